// Two real pulses in network namespaces on the machine's own kernel, and witnesses that record every address event with its time.
// Io, for the tests beside it.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ControlReply, type ControlRequest, type Snapshot, snapshotSchema } from '../../../src/feed/message.ts';
import { type ConfigOptions, HOST_TIMES, pairConfig, type Times } from '../../lab/pair/config.ts';
import { signalAll } from '../../lab/pair/netns.ts';
import { buildTopology, ROUTERS, type Router, type Topology, wallNow } from '../../lab/pair/topology.ts';
import { beginStep } from '../../runner/step.ts';

/** A compiled Tandem: its command line and its vipd. */
export interface Build {
  readonly cli: string;
  readonly vipd: string;
}

export const CLI = fileURLToPath(new URL('../../../program/tandem.js', import.meta.url));
/** This version, its vipd with sanitizers. */
export const OURS: Build = { cli: CLI, vipd: fileURLToPath(new URL('../../../../dist/vipd-asan', import.meta.url)) };

/** A change of the VIP in one router's kernel, as `ip monitor` saw it; wall time in ms. */
export interface AddressEvent {
  readonly router: Router;
  readonly at: number;
  readonly held: boolean;
}

export interface PulseProcess {
  readonly child: ChildProcess;
  /** JSON lines of its log, parsed. */
  readonly log: Record<string, unknown>[];
  readonly exited: Promise<number | null>;
}

export interface Routers {
  readonly topology: Topology;
  readonly events: readonly AddressEvent[];
  readonly directory: string;
  /**
   * `node`: the name it goes by, should that be the wrong one. `build`: another version than the router's own. `config`: another file
   * than that of both.
   */
  start(router: Router, node?: Router, build?: Build, config?: string): PulseProcess;
  /** Power comes back: nothing runs yet, the address witness does. */
  reboot(router: Router): Promise<void>;
  readonly pulses: Partial<Record<Router, PulseProcess>>;
  /** Newest snapshot on the router's feed; undefined when pulse does not answer. */
  snapshot(router: Router): Promise<Snapshot | undefined>;
  command(router: Router, request: ControlRequest): Promise<ControlReply>;
  /** Pid of the router's vipd. */
  vipdPid(router: Router): Promise<number>;
  until(what: string, within: number, test: () => Promise<boolean> | boolean): Promise<void>;
  /** One active, the other standby and both hearing each other. */
  settle(active: Router): Promise<void>;
  holders(): Router[];
  /** First moment at or after `since` at which the router held the VIP. */
  heldAt(router: Router, since: number): number | undefined;
  goneAt(router: Router, since: number): number | undefined;
  /** Longest time during which both kernels had the VIP. */
  overlapMs(): number;
  destroy(): Promise<void>;
}

/** For an event of the kernel that has happened to be read. */
const TOLD_MS = 500;

export interface RouterOptions {
  readonly prefix: string;
  /** H, L, D; default: the config's defaults. */
  readonly times?: Times;
  /** The vipd to run; default: the one with sanitizers. */
  readonly vipd?: string;
  /** Routers that run another build than this one. */
  readonly builds?: Readonly<Partial<Record<Router, Build>>>;
  /** A command before pulse's own, such as chrt with its class. */
  readonly scheduling?: readonly string[];
  /** Added to pulse's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Further lines of the config. */
  readonly more?: string;
  /** Changes the config's text. */
  readonly edit?: (text: string) => string;
  /** With a host for Redis on the cross LAN. */
  readonly store?: boolean;
  /** What the config says beyond the default; with `ipv6` the topology has it too. */
  readonly config?: Pick<ConfigOptions, 'ipv6' | 'targets' | 'lans' | 'links' | 'heartbeat'>;
}

export async function buildRouters(options: RouterOptions): Promise<Routers> {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-netns-'));
  const keyFile = join(directory, 'pair.key');
  writeFileSync(keyFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  const configFile = join(directory, 'tandem.yaml');
  const text = pairConfig({ keyFile, ...(options.times ?? HOST_TIMES), ...options.config });
  writeFileSync(configFile, (options.edit ?? (same => same))(`${text}${options.more ?? ''}`));
  const { ipv6 = false } = options.config ?? {};
  const topology = await buildTopology({ prefix: options.prefix, ipv6, store: options.store ?? false });
  const events: AddressEvent[] = [];
  const witnessOf = (router: Router) => witness(topology, router, event => events.push(event));
  const witnesses = ROUTERS.map(witnessOf);
  const pulses: Partial<Record<Router, PulseProcess>> = {};
  /** What a kernel held when its power was cut, nobody has told. */
  const bootedAt: Record<Router, number> = { r1: 0, r2: 0 };
  const runDir = (router: Router) => join(directory, router, 'run');

  const routers: Routers = {
    topology,
    events,
    directory,
    pulses,
    start(
      router,
      node = router,
      build = options.builds?.[router] ?? { ...OURS, vipd: options.vipd ?? OURS.vipd },
      config = configFile,
    ) {
      mkdirSync(runDir(router), { recursive: true });
      const args = [build.cli, 'pulse', '--config', config, '--node', node, '--run-dir', runDir(router)];
      const env = { ...process.env, TANDEM_VIPD: build.vipd, ...options.env };
      const stateDir = join(directory, router, 'state');
      // setsid: a process group of its own, so that a test can end all of it at once.
      const command = ['--wait', ...(options.scheduling ?? []), process.execPath, ...args, '--state-dir', stateDir];
      const child = topology.start(router, 'setsid', command, { stdio: ['ignore', 'pipe', 'pipe'], env });
      const started = follow(child);
      pulses[router] = started;
      return started;
    },
    async reboot(router) {
      await topology.restorePower(router);
      bootedAt[router] = wallNow();
      witnesses.push(witnessOf(router));
    },
    snapshot: router => newest(join(runDir(router), 'pulse.sock')),
    command: (router, request) => ask(join(runDir(router), 'pulse-control.sock'), request),
    async vipdPid(router) {
      const { stdout } = await topology.exec(router, 'pgrep', [
        '-f',
        '--',
        `--state ${join(runDir(router), 'vipd.state')}`,
      ]);
      return Number(stdout.trim().split('\n')[0]);
    },
    until,
    async settle(active) {
      const standby = active === 'r1' ? 'r2' : 'r1';
      await until(`${active} active, ${standby} standby`, 20_000, async () => {
        const [a, b] = [await routers.snapshot(active), await routers.snapshot(standby)];
        return a?.role === 'active' && a.serving && a.leaseArmed && b?.role === 'standby' && b.peer?.serving === true;
      });
      // The kernels' events come through a pipe of their own, maybe behind the snapshots; what is held then is for the test to judge.
      await until(`only ${active} holds the VIP`, TOLD_MS, () => routers.holders().join() === active).catch(
        () => undefined,
      );
    },
    holders: () =>
      ROUTERS.filter(router => {
        const last = events.findLast(event => event.router === router);
        return last !== undefined && last.at >= bootedAt[router] && last.held;
      }),
    heldAt: (router, since) => events.find(event => event.router === router && event.held && event.at >= since)?.at,
    goneAt: (router, since) => events.find(event => event.router === router && !event.held && event.at >= since)?.at,
    overlapMs: () => overlapMs(events),
    async destroy() {
      for (const child of witnesses) child.kill('SIGKILL');
      await topology.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return routers;
}

/**
 * `ip monitor` in the router's namespace: the kernel's own word. Its time is taken when `ip` reads it, so it runs in the real-time
 * class: on a busy machine one of the two witnesses would else be late, and events change their order.
 */
function witness(topology: Topology, router: Router, onEvent: (event: AddressEvent) => void): ChildProcess {
  const child = topology.start(router, 'chrt', ['--rr', '60', 'ip', '-4', '-o', '-ts', 'monitor', 'address'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let pending = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) {
      const match = /^\[([^\]]+)\] (Deleted )?.* inet 192\.0\.2\.100\//.exec(line);
      if (match) onEvent({ router, at: Date.parse(`${match[1]}Z`) + microseconds(match[1] ?? ''), held: !match[2] });
    }
  });
  return child;
}

/** The part of "…T16:00:00.123456" below a millisecond, in ms. */
function microseconds(time: string): number {
  return Number(`0.${/\.\d{3}(\d{3})/.exec(time)?.[1] ?? '0'}`);
}

export function follow(child: ChildProcess): PulseProcess {
  const log: Record<string, unknown>[] = [];
  let pending = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) log.push(JSON.parse(line) as Record<string, unknown>);
  });
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-10_000);
  });
  const exited = new Promise<number | null>(resolve => {
    child.on('exit', code => {
      if (words) log.push({ code: 'STDERR', text: words });
      resolve(code);
    });
  });
  return { child, log, exited };
}

async function until(what: string, within: number, test: () => Promise<boolean> | boolean): Promise<void> {
  beginStep(what);
  const end = wallNow() + within;
  while (wallNow() < end) {
    if (await test()) return;
    await new Promise(resolve => setTimeout(resolve, 10));
  }
  throw new Error(`not within ${within} ms: ${what}`);
}

function newest(path: string): Promise<Snapshot | undefined> {
  return firstLine(path, undefined).then(
    line => snapshotSchema.parse(JSON.parse(line)),
    () => undefined,
  );
}

async function ask(path: string, request: ControlRequest): Promise<ControlReply> {
  // A reload is answered once a process of its own has read the file.
  return JSON.parse(await firstLine(path, `${JSON.stringify(request)}\n`, 15_000)) as ControlReply;
}

function firstLine(path: string, say: string | undefined, forMs = 2_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.setTimeout(forMs, () => socket.destroy(new Error(`${path} does not answer`)));
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

function overlapMs(events: readonly AddressEvent[]): number {
  const held: Record<Router, boolean> = { r1: false, r2: false };
  let since: number | undefined;
  let longest = 0;
  for (const event of [...events].sort((a, b) => a.at - b.at)) {
    held[event.router] = event.held;
    const both = held.r1 && held.r2;
    if (both) since ??= event.at;
    if (!both && since !== undefined) {
      longest = Math.max(longest, event.at - since);
      since = undefined;
    }
  }
  return since === undefined ? longest : Math.max(longest, wallNow() - since);
}

/** All processes of pulse's group: vipd, then pulse. */
export async function groupPids(routers: Routers, router: Router): Promise<number[]> {
  const { stdout } = await routers.topology.exec(router, 'pgrep', ['-f', '--', join(routers.directory, router, 'run')]);
  const vipd = await routers.vipdPid(router);
  const pids = stdout.trim().split('\n').map(Number);
  // vipd first: it must not live to see its pipe close.
  return [vipd, ...pids.filter(pid => pid !== vipd)];
}

export { signalAll };
