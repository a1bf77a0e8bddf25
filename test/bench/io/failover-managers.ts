// The two contestants of scripts/bench failover behind one interface: start on a router, wait until one serves and the other stands by,
// hand over. Both get the same interfaces and addresses, the same interval and real-time priority. Io.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type ControlReply, type Snapshot, snapshotSchema } from '../../../src/feed/message.ts';
import { pairConfig } from '../../lab/pair/config.ts';
import { GATEWAY, ROUTERS, type Router, type Topology, VIP, wallNow } from '../../lab/pair/topology.ts';
import type { Tool } from '../failover-plan.ts';

const CLI = fileURLToPath(new URL('../../../program/tandem.js', import.meta.url));
const VIPD = fileURLToPath(new URL('../../../vipd', import.meta.url));
/** L and D as parts of H: 220 and 300 ms at 100 ms, the defaults. */
const LEASE_INTERVALS = 2.2;
const DEAD_INTERVALS = 3;
const SETTLE_MS = 20_000;
const LOG_LINES_MAX = 2_000;
const ANSWER_MS = 2_000;

export interface Manager {
  readonly start: (router: Router) => void;
  /** Pid of the process that a service manager would watch. */
  readonly mainPid: (router: Router) => number;
  /** The router that serves, once the other stands by; throws when that takes 20 s. */
  readonly settled: () => Promise<Router>;
  /** What must be done long before a planned handover. */
  readonly prepareHandover: (active: Router) => Promise<void>;
  /** Moves the VIP as an administrator would, both routers well. */
  readonly handover: (active: Router) => Promise<void>;
  /** What the manager said since its start. */
  readonly log: (router: Router) => readonly string[];
  /** From the decision of its last takeover to the first announcement, in ms; null where it does not tell. */
  readonly announcedAfterMs: (router: Router) => number | null;
}

export interface ManagerOptions {
  readonly topology: Topology;
  /** An empty folder for this run alone, so that no earlier run is remembered. */
  readonly dir: string;
  readonly intervalMs: number;
  /** Real-time priority. */
  readonly priority: number;
}

export function managerOf(tool: Tool, options: ManagerOptions): Manager {
  return tool === 'tandem' ? tandem(options) : keepalived(options);
}

interface Started {
  readonly child: ChildProcess;
  readonly lines: string[];
}

function starter(topology: Topology) {
  const started: Partial<Record<Router, Started>> = {};
  const of = (router: Router): Started => {
    const one = started[router];
    if (!one) throw new Error(`nothing was started on ${router}`);
    return one;
  };
  return {
    start(router: Router, file: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
      const child = topology.start(router, file, args, { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true });
      const lines: string[] = [];
      child.on('error', error => lines.push(error.message));
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          lines.push(...text.split('\n').filter(line => line !== ''));
          if (lines.length > LOG_LINES_MAX) lines.splice(0, lines.length - LOG_LINES_MAX);
        });
      }
      started[router] = { child, lines };
    },
    pid: (router: Router): number => of(router).child.pid ?? 0,
    log: (router: Router): readonly string[] => started[router]?.lines ?? [],
  };
}

/** Waits until `test` names a router; throws with the managers' last words. */
async function until(what: string, log: Manager['log'], test: () => Promise<Router | undefined>): Promise<Router> {
  const end = wallNow() + SETTLE_MS;
  while (wallNow() < end) {
    const router = await test();
    if (router) return router;
    await sleep(10);
  }
  const words = ROUTERS.map(router => `${router}: ${log(router).slice(-3).join(' / ')}`);
  throw new Error(`${what} did not settle within ${SETTLE_MS / 1000} s; ${words.join('; ').slice(0, 800)}`);
}

function tandem({ topology, dir, intervalMs, priority }: ManagerOptions): Manager {
  const keyFile = join(dir, 'pair.key');
  writeFileSync(keyFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  const file = join(dir, 'tandem.yaml');
  const ms = (intervals: number): string => `${Math.round(intervals * intervalMs)}ms`;
  writeFileSync(file, pairConfig({ keyFile, interval: ms(1), lease: ms(LEASE_INTERVALS), dead: ms(DEAD_INTERVALS) }));
  const processes = starter(topology);
  const runDir = (router: Router): string => join(dir, router, 'run');
  return {
    start(router) {
      mkdirSync(runDir(router), { recursive: true });
      const places = ['--run-dir', runDir(router), '--state-dir', join(dir, router, 'state')];
      const how = ['--rr', String(priority), process.execPath, CLI, 'pulse', '--config', file, '--node', router];
      processes.start(router, 'chrt', [...how, ...places], { ...process.env, TANDEM_VIPD: VIPD });
    },
    mainPid: processes.pid,
    log: processes.log,
    settled: () =>
      until('Tandem', processes.log, async () => {
        const [one, two] = await Promise.all(ROUTERS.map(router => snapshot(join(runDir(router), 'pulse.sock'))));
        if (isOwner(one) && isStandby(two)) return 'r1';
        return isOwner(two) && isStandby(one) ? 'r2' : undefined;
      }),
    announcedAfterMs(router) {
      const told = processes.log(router).findLast(line => line.includes('"VIPS_ANNOUNCED"'));
      return told === undefined ? null : (JSON.parse(told) as { afterMs: number }).afterMs;
    },
    prepareHandover: async () => undefined,
    async handover(active) {
      const request = `${JSON.stringify({ command: 'handover', cold: false })}\n`;
      const reply = JSON.parse(await firstLine(join(runDir(active), 'pulse-control.sock'), request)) as ControlReply;
      if (!reply.ok) throw new Error(`handover on ${active}: ${reply.message}`);
    },
  };
}

const isOwner = (snapshot: Snapshot | undefined): boolean =>
  snapshot?.role === 'active' && snapshot.serving && snapshot.leaseArmed;
const isStandby = (snapshot: Snapshot | undefined): boolean =>
  snapshot?.role === 'standby' && snapshot.peer?.serving === true;

function snapshot(path: string): Promise<Snapshot | undefined> {
  return firstLine(path, undefined).then(
    line => snapshotSchema.parse(JSON.parse(line)),
    () => undefined,
  );
}

function firstLine(path: string, say: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`${path} does not answer`)));
    socket.on('error', reject);
    socket.on('connect', () => say && socket.write(say));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0) return;
      socket.destroy();
      resolve(text.slice(0, end));
    });
    socket.on('close', () => reject(new Error(`${path} closed`)));
  });
}

const OWN: Readonly<Record<Router, string>> = { r1: '192.0.2.2', r2: '192.0.2.3' };
const PRIORITY: Readonly<Record<Router, number>> = { r1: 110, r2: 100 };
/** Below every other: what an administrator sets to make a router yield. */
const YIELDING = 50;
/** How long nothing may have moved until keepalived counts as settled: it does not say so itself. */
const CALM_MS = 300;
/** For keepalived to have read its file again. */
const RELOAD_MS = 300;

interface Standing {
  readonly realTime: number;
  readonly priority: number;
  readonly preempts: boolean;
}

function keepalivedConfig(router: Router, intervalMs: number, { priority, preempts, realTime }: Standing): string {
  const peer = router === 'r1' ? 'r2' : 'r1';
  return `global_defs {
  router_id ${router}
  vrrp_version 3
  vrrp_rt_priority ${realTime}
}
vrrp_instance bench {
  state BACKUP
  ${preempts ? '' : 'nopreempt'}
  interface c0
  virtual_router_id 51
  priority ${priority}
  advert_int ${intervalMs / 1000}
  unicast_src_ip ${OWN[router]}
  unicast_peer {
    ${OWN[peer]}
  }
  virtual_ipaddress {
    ${VIP}/32 dev c0
    ${GATEWAY}/24 dev s0
  }
}
`;
}

function keepalived({ topology, dir, intervalMs, priority: realTime }: ManagerOptions): Manager {
  const processes = starter(topology);
  const file = (router: Router): string => join(dir, `keepalived-${router}.conf`);
  const write = (router: Router, text: string): void => writeFileSync(file(router), text, { mode: 0o600 });
  return {
    start(router) {
      write(router, keepalivedConfig(router, intervalMs, { realTime, priority: PRIORITY[router], preempts: false }));
      const pids = ['-p', join(dir, `${router}.pid`), '-r', join(dir, `${router}-vrrp.pid`)];
      const how = ['--vrrp', '--dont-fork', '--log-console', '--log-detail', '--no-syslog'];
      processes.start(router, 'keepalived', [...how, '-f', file(router), ...pids]);
    },
    mainPid: processes.pid,
    log: processes.log,
    settled: async () => {
      let owner: Router | undefined;
      let since = wallNow();
      return await until('keepalived', processes.log, async () => {
        const holders = await Promise.all(ROUTERS.map(router => holds(topology, router)));
        const now = holders[0] === holders[1] ? undefined : ROUTERS[holders.indexOf(true)];
        if (now !== owner) since = wallNow();
        owner = now;
        return wallNow() - since >= CALM_MS ? owner : undefined;
      });
    },
    announcedAfterMs: () => null,
    // By priority, which a backup with nopreempt would not act on: the standby is reloaded without it first.
    async prepareHandover(active) {
      const standby = active === 'r1' ? 'r2' : 'r1';
      write(standby, keepalivedConfig(standby, intervalMs, { realTime, priority: PRIORITY[standby], preempts: true }));
      process.kill(processes.pid(standby), 'SIGHUP');
      await sleep(RELOAD_MS);
    },
    async handover(active) {
      write(active, keepalivedConfig(active, intervalMs, { realTime, priority: YIELDING, preempts: true }));
      process.kill(processes.pid(active), 'SIGHUP');
    },
  };
}

async function holds(topology: Topology, router: Router): Promise<boolean> {
  const { stdout } = await topology.exec(router, 'ip', ['-o', '-4', 'address', 'show', 'dev', 'c0']);
  return stdout.includes(` ${VIP}/`);
}
