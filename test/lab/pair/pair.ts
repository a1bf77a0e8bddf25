// The shipped daemons on both routers of a topology: starts them, follows their feeds, waits for what they say. Io. Logs (JSON
// lines) go to the results directory, so that a failed run can be read afterwards.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, open, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '../../../src/feed/message.ts';
import { type StatusReport, statusReportSchema } from '../../../src/status/status-report.ts';
import type { SyncStatus } from '../../../src/status/sync-status.ts';
import { labConfig, labTimes, type ServiceOptions, TIMES_ARE_EXACT, type Times } from './config.ts';
import { type Feed, followFeed } from './feed.ts';
import { askStatusSocket } from './status-socket.ts';
import { type PowerCut, ROUTERS, type Router, type Topology } from './topology.ts';

export interface PairOptions extends ServiceOptions {
  readonly topology: Topology;
  /** For sockets and state, on a file system of the lab. */
  readonly dir: string;
  /** For logs, kept. */
  readonly results: string;
  /** H, L, D; default: what the lab's machine can keep. */
  readonly times?: Times;
  /** Further lines at the end of the config. */
  readonly more?: string;
}

export type Daemon = 'pulse' | 'director';

export interface Pair {
  readonly configFile: string;
  /** The name that a router has for it: a link, until there is another file. */
  readonly configFileOf: (router: Router) => string;
  readonly runDir: (router: Router) => string;
  /** Starts both daemons of a router and follows its feed. */
  readonly startRouter: (router: Router) => Promise<void>;
  readonly feed: (router: Router) => Feed;
  readonly process: (router: Router, daemon: Daemon) => ChildProcess;
  /** GET /status of a router's director. */
  readonly status: (router: Router) => Promise<StatusReport>;
  /** Runs the `tandem` command in a router's namespace with the pair's config and run directory. */
  readonly tandem: (router: Router, args: readonly string[]) => Promise<string>;
  /** One router active, the other standing by with its rules in, all real servers up on both; at most `timeoutMs`. `say`: what is missing. */
  readonly untilReady: (
    timeoutMs: number,
    say?: (text: string) => void,
  ) => Promise<{ active: Router; standby: Router }>;
  /** What a router's status says of its sync; fields that its version does not have are missing. */
  readonly sync: (router: Router) => Promise<SyncSeen>;
  /** Until a router's sync says what is `wanted`; throws after `timeoutMs` with what it said last. */
  readonly untilSync: (
    router: Router,
    wanted: (sync: SyncSeen) => boolean,
    what: string,
    timeoutMs: number,
  ) => Promise<SyncSeen>;
  /** Until a standby says that its tables hold what the active router's hold. */
  readonly untilWarm: (router: Router, timeoutMs: number) => Promise<void>;
  /** Power off, on again, daemons started: its disk is as it was, /run and all kernel state are gone. */
  readonly reboot: (router: Router) => Promise<PowerCut>;
  /** The second half of a reboot, for a router whose power was cut. */
  readonly comeBack: (router: Router) => Promise<void>;
  /** Both are without power at the same moment. */
  readonly rebootBoth: () => Promise<void>;
  readonly startDirector: (router: Router) => Promise<void>;
  readonly stopDirector: (router: Router, signal: NodeJS.Signals) => Promise<void>;
}

/** Loosely read: what runs in the lab may be older or newer than this file. */
export type SyncSeen = Partial<SyncStatus> & {
  readonly mode?: string;
  readonly master?: boolean;
  readonly backup?: boolean;
};

interface Running {
  readonly feed: Feed;
  readonly processes: Record<Daemon, ChildProcess>;
}

/** Longest time for a command; a handover waits for a cold peer for a minute. */
const TANDEM_MS = 90_000;
/** A person who waits hears this often what for. */
const SAY_MS = 10_000;
const MAIN = path.join(process.env.LAB_ROOT ?? process.cwd(), 'dist', 'program', 'tandem.js');

/**
 * pulse, and vipd with it, in the real-time class, as its unit does. Round robin, not FIFO: with as many pulses as processors
 * node's main threads wait actively for helper threads that never get their turn (seen: pulse pinned to one processor never
 * starts under FIFO, always under round robin).
 */
const SCHEDULING: Readonly<Record<Daemon, readonly string[]>> = { pulse: ['chrt', '--rr', '50'], director: [] };

/** Writes config and key; the routers are started one by one with startRouter. */
export async function preparePair(options: PairOptions): Promise<Pair> {
  const { topology, dir } = options;
  const keyFile = path.join(dir, 'pair.key');
  const configFile = path.join(dir, 'tandem.yaml');
  await mkdir(dir, { recursive: true });
  await writeFile(keyFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  await chmod(keyFile, 0o600);
  const times = options.times ?? labTimes();
  await writeFile(configFile, labConfig({ ...options, keyFile, ...times }));
  // Each router has a name of its own for it, and with another file there another config.
  for (const router of ROUTERS) {
    await rm(configFileOf(dir, router), { force: true });
    await symlink(configFile, configFileOf(dir, router));
  }
  await roundRobinOnly(path.join(dir, 'bin'));
  const running = new Map<Router, Running>();
  const runDir = (router: Router): string => path.join(dir, router, 'run');
  const of = (router: Router): Running => {
    const found = running.get(router);
    if (!found) throw new Error(`${router} was never started`);
    return found;
  };
  const host: Host = { options, runDir, running, of };
  const base = {
    configFile,
    configFileOf: (router: Router) => configFileOf(dir, router),
    runDir,
    startRouter: (router: Router) => startRouter(host, router),
    feed: (router: Router) => of(router).feed,
    process: (router: Router, daemon: Daemon) => of(router).processes[daemon],
    status: async (router: Router) => parseStatus(await readStatus(host, router)),
    tandem: async (router: Router, args: readonly string[]) => {
      const options = { timeoutMs: TANDEM_MS };
      const { stdout } = await topology.exec(router, 'node', [MAIN, ...args, '--run-dir', runDir(router)], options);
      return stdout;
    },
  };
  return {
    ...base,
    untilReady: (timeoutMs, say = () => undefined) => untilReady(base, timeoutMs, say),
    ...syncControls(host),
    ...powerControls(host),
    startDirector: async router => {
      of(router).processes.director = await startDaemon(host, router, 'director');
    },
    stopDirector: (router, signal) => endDaemon(of(router).processes.director, signal),
  };
}

const configFileOf = (dir: string, router: Router): string => path.join(dir, `tandem-${router}.yaml`);

/** What all the controls share. */
interface Host {
  readonly options: PairOptions;
  readonly runDir: (router: Router) => string;
  readonly running: Map<Router, Running>;
  readonly of: (router: Router) => Running;
}

async function startRouter(host: Host, router: Router): Promise<void> {
  const processes = {
    pulse: await startDaemon(host, router, 'pulse'),
    director: await startDaemon(host, router, 'director'),
  };
  host.running.set(router, { processes, feed: followFeed(host.runDir(router)) });
}

async function startDaemon(host: Host, router: Router, daemon: Daemon): Promise<ChildProcess> {
  const { options } = host;
  const configFile = configFileOf(options.dir, router);
  const runDir = host.runDir(router);
  const stateDir = path.join(options.dir, router, 'state');
  await Promise.all([mkdir(runDir, { recursive: true }), mkdir(stateDir, { recursive: true })]);
  const log = await open(path.join(options.results, `${router}-${daemon}.log`), 'a');
  const args = [MAIN, daemon, '--config', configFile, '--node', router, '--run-dir', runDir, '--state-dir', stateDir];
  // A session of its own: what a terminal or a time-out signals here is not meant for the daemons.
  const env = { ...process.env, PATH: `${path.join(options.dir, 'bin')}:${process.env.PATH}` };
  const [file, ...rest] = [...SCHEDULING[daemon], 'node', ...args] as [string, ...string[]];
  const child = options.topology.start(router, file, rest, { stdio: ['ignore', log.fd, log.fd], detached: true, env });
  child.on('error', error => process.stderr.write(`${daemon} on ${router} did not start: ${error.message}\n`));
  await log.close();
  return child;
}

/**
 * A directory for PATH with a `chrt` that leaves what pulse starts (the reader of its config) in the class that everything here is
 * in: where the clock stands still, an ordinary program never gives way, and waits for its own threads for ever (seen: node.js).
 */
async function roundRobinOnly(bin: string): Promise<void> {
  await mkdir(bin, { recursive: true });
  const ordinary = '[ "$1" = --other ] && { shift 2; exec "$@"; }\n';
  await writeFile(path.join(bin, 'chrt'), `#!/bin/sh\n${TIMES_ARE_EXACT ? ordinary : ''}exec /usr/bin/chrt "$@"\n`, {
    mode: 0o755,
  });
}

async function endDaemon(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const late = sleep(30_000, 'late', { ref: false });
  if ((await Promise.race([ended, late])) === 'late') throw new Error(`no end within 30 s of ${signal}`);
}

function powerControls(host: Host): Pick<Pair, 'reboot' | 'comeBack' | 'rebootBoth'> {
  const { topology } = host.options;
  const comeBack = async (router: Router): Promise<void> => {
    host.of(router).feed.close();
    await topology.restorePower(router);
    await rm(host.runDir(router), { recursive: true, force: true });
    await startRouter(host, router);
  };
  return {
    comeBack,
    reboot: async router => {
      const cut = await topology.cutPower(router);
      await comeBack(router);
      return cut;
    },
    rebootBoth: async () => {
      await Promise.all(ROUTERS.map(topology.cutPower));
      for (const router of ROUTERS) await comeBack(router);
    },
  };
}

function syncControls(host: Host): Pick<Pair, 'sync' | 'untilSync' | 'untilWarm'> {
  const sync = async (router: Router): Promise<SyncSeen> => {
    const status = (await readStatus(host, router)) as { sync?: SyncSeen };
    return status.sync ?? {};
  };
  const untilSync: Pair['untilSync'] = async (router, wanted, what, timeoutMs) => {
    const deadline = performance.now() + timeoutMs;
    let last: SyncSeen | Error = new Error('not asked');
    do {
      last = await sync(router).catch((error: Error) => error);
      if (!(last instanceof Error) && wanted(last)) return last;
      await sleep(300);
    } while (performance.now() < deadline);
    const words = last instanceof Error ? last.message : JSON.stringify(last);
    throw new Error(`waited ${timeoutMs / 1000} s for ${what} on ${router}; its sync says ${words.slice(0, 1_500)}`);
  };
  return {
    sync,
    untilSync,
    untilWarm: async (router, timeoutMs) =>
      // The kernel's own daemons know no warmth: running is all that can be waited for.
      void (await untilSync(
        router,
        ({ warm, mode, master, backup }) => warm ?? (mode === 'kernel' && master === true && backup === true),
        'a warm standby',
        timeoutMs,
      )),
  };
}

function parseStatus(body: unknown): StatusReport {
  const parsed = statusReportSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new Error(`no status report: ${JSON.stringify(body).slice(0, 200)}`, { cause: parsed.error });
}

function readStatus(host: Host, router: Router): Promise<unknown> {
  return askStatusSocket(path.join(host.runDir(router), 'status.sock'), 'GET', '/status');
}

/** Whether a router's feed says that it could take over now. */
function standsBy(own: Snapshot): boolean {
  return own.role === 'standby' && own.rulesIn && !own.hold.on && own.peer !== null;
}

/** What waiting for the pair needs of it. */
type Watched = Pick<Pair, 'feed' | 'process' | 'status'>;

async function untilReady(
  pair: Watched,
  timeoutMs: number,
  say: (text: string) => void,
): Promise<{ active: Router; standby: Router }> {
  const startedAt = performance.now();
  const deadline = startedAt + timeoutMs;
  let missing = 'no feed yet';
  let sayAt = startedAt + SAY_MS;
  while (performance.now() < deadline) {
    failIfEnded(pair);
    const [first, second] = ROUTERS.map(router => pair.feed(router).latest());
    const active = first?.role === 'active' ? 'r1' : second?.role === 'active' ? 'r2' : undefined;
    const standby = active === 'r1' ? 'r2' : 'r1';
    const [serving, waiting] = active === 'r1' ? [first, second] : [second, first];
    if (active === undefined || !serving?.serving || !serving.rulesIn) missing = 'no router is active and serving';
    else if (!waiting || !standsBy(waiting)) missing = `${standby} does not stand by with its rules in`;
    else {
      missing = await serversMissing(pair);
      if (missing === '') return { active, standby };
    }
    if (performance.now() >= sayAt) {
      sayAt += SAY_MS;
      say(`not ready after ${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${missing}`);
    }
    await sleep(250);
  }
  const roles = ROUTERS.map(router => `${router}: ${describe(pair.feed(router).latest())}`);
  throw new Error(`the pair is not ready after ${timeoutMs / 1000} s: ${missing} (${roles.join('; ')})`);
}

function failIfEnded(pair: Watched): void {
  for (const router of ROUTERS) {
    for (const daemon of ['pulse', 'director'] as const) {
      const { exitCode, signalCode } = pair.process(router, daemon);
      const ended = exitCode ?? signalCode;
      if (ended !== null) throw new Error(`${daemon} on ${router} ended with ${ended}; see ${router}-${daemon}.log`);
    }
  }
}

async function serversMissing(pair: Watched): Promise<string> {
  for (const router of ROUTERS) {
    const report = await pair.status(router).catch((error: Error) => error);
    if (report instanceof Error) return `${router} answers no status: ${report.message}`;
    const down = report.services.flatMap(({ servers }) => servers).filter(({ state }) => state !== 'up');
    if (down.length > 0) return `${router} sees ${down.map(s => `${s.name} ${s.state} ${s.words}`.trim()).join(', ')}`;
  }
  return '';
}

function describe(snapshot: Snapshot | undefined): string {
  return snapshot ? `${snapshot.role}, rulesIn ${snapshot.rulesIn}, ${snapshot.reason}` : 'no feed';
}
