// The shipped daemons on both routers of a topology: starts them, follows their feeds, waits for what they say. Io. Logs (JSON
// lines) go to the results directory, so that a failed run can be read afterwards.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '../../src/feed/message.ts';
import { type StatusReport, statusReportSchema } from '../../src/status/report.ts';
import { EMULATION_TIMES, HOST_TIMES, labConfig, type Times } from './config.ts';
import { type Feed, followFeed } from './feed.ts';
import { ROUTERS, type Router, type Topology } from './topology.ts';

export interface PairOptions {
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
  readonly runDir: (router: Router) => string;
  /** Starts both daemons of a router and follows its feed. */
  readonly startRouter: (router: Router) => Promise<void>;
  readonly feed: (router: Router) => Feed;
  readonly process: (router: Router, daemon: Daemon) => ChildProcess;
  /** GET /status of a router's director. */
  readonly status: (router: Router) => Promise<StatusReport>;
  /** Runs the `tandem` command in a router's namespace with the pair's config and run directory. */
  readonly tandem: (router: Router, args: readonly string[]) => Promise<string>;
  /** One router active, the other standing by with its rules in, all real servers up on both; at most `timeoutMs`. */
  readonly untilReady: (timeoutMs: number) => Promise<{ active: Router; standby: Router }>;
}

interface Running {
  readonly feed: Feed;
  readonly processes: Readonly<Record<Daemon, ChildProcess>>;
}

const MAIN = path.join(process.env.LAB_ROOT ?? process.cwd(), 'dist', 'src', 'cli', 'main.js');

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
  const times = options.times ?? (process.env.LAB_VM === '1' ? EMULATION_TIMES : HOST_TIMES);
  await writeFile(configFile, labConfig({ keyFile, ...times, ...(options.more && { more: options.more }) }));
  const running = new Map<Router, Running>();
  const runDir = (router: Router): string => path.join(dir, router, 'run');
  const of = (router: Router): Running => {
    const found = running.get(router);
    if (!found) throw new Error(`${router} was never started`);
    return found;
  };
  const pair: Omit<Pair, 'untilReady'> = {
    configFile,
    runDir,
    startRouter: async router =>
      void running.set(router, await startDaemons(options, router, configFile, runDir(router))),
    feed: router => of(router).feed,
    process: (router, daemon) => of(router).processes[daemon],
    status: router => readStatus(path.join(runDir(router), 'status.sock')),
    tandem: async (router, args) => {
      const { stdout } = await topology.exec(router, 'node', [MAIN, ...args, '--run-dir', runDir(router)]);
      return stdout;
    },
  };
  return { ...pair, untilReady: timeoutMs => untilReady(pair, timeoutMs) };
}

async function startDaemons(options: PairOptions, router: Router, config: string, runDir: string): Promise<Running> {
  const stateDir = path.join(options.dir, router, 'state');
  await Promise.all([mkdir(runDir, { recursive: true }), mkdir(stateDir, { recursive: true })]);
  const start = async (daemon: Daemon): Promise<ChildProcess> => {
    const log = await open(path.join(options.results, `${router}-${daemon}.log`), 'a');
    const args = [MAIN, daemon, '--config', config, '--node', router, '--run-dir', runDir, '--state-dir', stateDir];
    // A session of its own: what a terminal or a time-out signals here is not meant for the daemons.
    const [file, ...rest] = [...SCHEDULING[daemon], 'node', ...args] as [string, ...string[]];
    const child = options.topology.start(router, file, rest, { stdio: ['ignore', log.fd, log.fd], detached: true });
    child.on('error', error => process.stderr.write(`${daemon} on ${router} did not start: ${error.message}\n`));
    await log.close();
    return child;
  };
  const processes = { pulse: await start('pulse'), director: await start('director') };
  return { processes, feed: followFeed(runDir) };
}

function readStatus(socketPath: string): Promise<StatusReport> {
  return new Promise((resolve, reject) => {
    const get = request({ socketPath, path: '/status', timeout: 10_000 }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => {
        try {
          resolve(statusReportSchema.parse(JSON.parse(body)));
        } catch (cause) {
          reject(new Error(`GET /status on ${socketPath} is no status report: ${body.slice(0, 200)}`, { cause }));
        }
      });
      response.on('error', reject);
    });
    get.on('timeout', () => get.destroy(new Error(`GET /status on ${socketPath}: no answer in 10 s`)));
    get.on('error', reject).end();
  });
}

/** Whether a router's feed says that it could take over now. */
function standsBy(own: Snapshot): boolean {
  return own.role === 'standby' && own.rulesIn && !own.hold.on && own.peer !== null;
}

async function untilReady(
  pair: Omit<Pair, 'untilReady'>,
  timeoutMs: number,
): Promise<{ active: Router; standby: Router }> {
  const deadline = performance.now() + timeoutMs;
  let missing = 'no feed yet';
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
    await sleep(250);
  }
  const roles = ROUTERS.map(router => `${router}: ${describe(pair.feed(router).latest())}`);
  throw new Error(`the pair is not ready after ${timeoutMs / 1000} s: ${missing} (${roles.join('; ')})`);
}

function failIfEnded(pair: Omit<Pair, 'untilReady'>): void {
  for (const router of ROUTERS) {
    for (const daemon of ['pulse', 'director'] as const) {
      const { exitCode, signalCode } = pair.process(router, daemon);
      const ended = exitCode ?? signalCode;
      if (ended !== null) throw new Error(`${daemon} on ${router} ended with ${ended}; see ${router}-${daemon}.log`);
    }
  }
}

async function serversMissing(pair: Omit<Pair, 'untilReady'>): Promise<string> {
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
