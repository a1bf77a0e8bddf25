// One run of scripts/bench failover: a fresh pair, the prober in the client's namespace, one fault, and what came of it. Io.
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processesIn, run as runCommand, signalAll, startIn } from '../../lab/pair/netns.ts';
import { CLIENT_ADDRESSES, ROUTERS, type Router, type Topology, VIP } from '../../lab/pair/topology.ts';
import type { FaultName, PlannedRun } from '../failover-plan.ts';
import type { Cost, Outcome } from '../failover-summary.ts';
import { type Figures, figuresOf, type LoadFigures, loadFiguresOf, parseTrace, type Trace } from '../failover-trace.ts';
import { type Manager, managerOf } from './failover-managers.ts';

const SOURCE = fileURLToPath(new URL('../../../../test/bench/io/failover-probe.c', import.meta.url));
/** The prober must never wait for what it measures. */
const PROBER_CLASS = ['--rr', '70'] as const;
const TRACE_BYTES_MAX = 268_435_456;
const DUMP_MS = 20_000;
/** Quiet before the fault; a random part, so that the fault meets every phase of the heartbeats. */
const QUIET_MS = 400;
const STOPPED_MS = 2_000;
const IDLE_MS = 10_000;
/** Observed after each fault: until the slower contestant is surely through. */
const OBSERVED_MS: Readonly<Record<FaultName, number>> = {
  power: 1_000,
  'kill-main': 1_000,
  'kill-all': 2_500,
  'stop-all': STOPPED_MS + 1_500,
  graceful: 1_000,
  carrier: 1_000,
  handover: 1_500,
};

export interface Rig {
  readonly topology: Topology;
  /** The compiled prober. */
  readonly prober: string;
  /** For what the managers write: a tmpfs, as their /run is. */
  readonly dir: string;
  /** A directory on a disk, which the load keeps busy. */
  readonly disk: string;
  readonly loadMinutes: number;
  /** Real-time priority of both managers. */
  readonly priority: number;
  /** A run whose prober was later than this does not count: it says something of the machine, not of a manager. */
  readonly proberLateMsMax: number;
  /** Called with everything that was recorded of a run. */
  readonly onTrace: (planned: PlannedRun, text: string, logs: Readonly<Record<Router, readonly string[]>>) => void;
}

/** CLOCK_MONOTONIC in microseconds, as the prober counts. */
function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export async function buildProber(target: string): Promise<void> {
  const strict = ['-std=c17', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Wconversion', '-Werror'];
  await runCommand('cc', [...strict, '-o', target, SOURCE], { timeoutMs: 60_000 });
}

export async function measure(rig: Rig, planned: PlannedRun): Promise<Outcome> {
  const { topology } = rig;
  const dir = join(rig.dir, 'run');
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  // As after a boot: no address, rule or process of the run before.
  for (const router of ROUTERS) await topology.restorePower(router);
  const manager = managerOf(planned.tool, { topology, dir, intervalMs: planned.intervalMs, priority: rig.priority });
  try {
    for (const router of ROUTERS) manager.start(router);
    const active = await manager.settled();
    if (planned.part === 'idle') return { kind: 'idle', costs: await idleCosts(topology) };
    if (planned.part === 'load') return { kind: 'load', figures: await underLoad(rig, planned, manager) };
    const figures = await underFault(rig, planned, manager, active);
    const taker = active === 'r1' ? 'r2' : 'r1';
    return { kind: 'fault', figures, decidedToAnnouncedMs: manager.announcedAfterMs(taker) };
  } finally {
    for (const router of ROUTERS) signalAll(await processesIn(topology.namespace(router)), 'SIGKILL');
  }
}

async function underFault(rig: Rig, planned: PlannedRun, manager: Manager, active: Router): Promise<Figures> {
  const fault = planned.part as FaultName;
  if (fault === 'handover') await manager.prepareHandover(active);
  const prober = await startProber(rig, 30);
  let atUs: number;
  try {
    await sleep(QUIET_MS + Math.random() * planned.intervalMs * 2);
    atUs = await inject(rig.topology, fault, manager, active);
    await sleep(Math.max(0, OBSERVED_MS[fault] - (nowUs() - atUs) / 1_000));
  } catch (error) {
    prober.kill();
    throw error;
  }
  const trace = await prober.end();
  rig.onTrace(planned, `fault ${atUs} ${active}\n${prober.text()}`, { r1: manager.log('r1'), r2: manager.log('r2') });
  if (trace.lateMaxUs > rig.proberLateMsMax * 1_000)
    throw new Error(
      `the prober itself was ${Math.round(trace.lateMaxUs / 1_000)} ms late: the machine is too busy, the run does not count`,
    );
  return figuresOf(trace, { atUs, router: active, dead: fault === 'power' });
}

/** Does it to the active router; the moment at which it had been done, or been asked for. */
async function inject(topology: Topology, fault: FaultName, manager: Manager, active: Router): Promise<number> {
  const pids = await processesIn(topology.namespace(active));
  const main = manager.mainPid(active);
  let atUs = nowUs();
  switch (fault) {
    case 'power': {
      const { at } = await topology.cutPower(active);
      return (at - performance.timeOrigin - performance.now()) * 1_000 + nowUs();
    }
    case 'kill-main':
      process.kill(main, 'SIGKILL');
      break;
    case 'kill-all':
      // Stopped first: none may act on the death of another.
      signalAll(pids, 'SIGSTOP');
      signalAll(pids, 'SIGKILL');
      break;
    case 'stop-all':
      signalAll(pids, 'SIGSTOP');
      await sleep(STOPPED_MS);
      signalAll(pids, 'SIGCONT');
      break;
    case 'graceful':
      process.kill(main, 'SIGTERM');
      break;
    case 'carrier':
      await topology.exec('lan', 'ip', ['link', 'set', `${active}-c0`, 'down']);
      break;
    case 'handover':
      atUs = nowUs();
      await manager.handover(active);
      break;
  }
  return Math.round(atUs);
}

interface Prober {
  /** Ends it and gives what it recorded. */
  readonly end: () => Promise<Trace>;
  readonly text: () => string;
  readonly kill: () => void;
}

/** `seconds`: the longest that it may be needed. */
async function startProber({ topology, prober }: Rig, seconds: number): Promise<Prober> {
  // The client asks anew who has the VIP: its neighbour entry is fresh, and no old one makes a fault look better or worse.
  await topology.exec('client', 'ip', ['neigh', 'flush', 'to', VIP]);
  const macs = await Promise.all(ROUTERS.map(router => macOf(topology, router)));
  const places = ROUTERS.map(router => `/run/netns/${topology.namespace(router)}`);
  const args = ['watch', 'c0', VIP, CLIENT_ADDRESSES[0], ...macs, ...places, String(seconds)];
  const child = topology.start('client', 'chrt', [...PROBER_CLASS, prober, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let text = '';
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    words = (words + chunk).slice(-1_000);
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > TRACE_BYTES_MAX) child.kill('SIGKILL');
      resolve();
    });
    child.on('error', reject).on('close', () => reject(new Error(`the prober did not start: ${words}`)));
  });
  child.stdin?.on('error', () => undefined);
  await ready;
  return {
    text: () => text,
    kill: () => child.kill('SIGKILL'),
    end: async () => {
      await ended(child);
      return parseTrace(text);
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  const closed = new Promise(resolve => child.on('close', resolve));
  const timer = setTimeout(() => child.kill('SIGKILL'), DUMP_MS);
  child.stdin?.end();
  await closed;
  clearTimeout(timer);
}

async function macOf(topology: Topology, router: Router): Promise<string> {
  const { stdout } = await topology.exec(router, 'ip', ['-o', 'link', 'show', 'dev', 'c0']);
  const mac = /link\/ether (\S+)/.exec(stdout)?.[1];
  if (!mac) throw new Error(`no MAC of c0 on ${router}: ${stdout}`);
  return mac;
}

/** Every processor busy at normal priority, and the disk with writes that are synced. */
async function underLoad(rig: Rig, planned: PlannedRun, manager: Manager): Promise<LoadFigures> {
  const { stdout } = await runCommand('nproc', []);
  const file = join(rig.disk, 'disk-load');
  const start = (...args: string[]) => startIn(rig.topology.namespace('client'), rig.prober, args, { stdio: 'ignore' });
  const prober = await startProber(rig, rig.loadMinutes * 60 + 60);
  const loads = [...Array.from({ length: Number(stdout) }, () => start('burn')), start('disk', file)];
  try {
    await sleep(rig.loadMinutes * 60_000);
  } finally {
    for (const load of loads) load.kill('SIGKILL');
    rmSync(file, { force: true });
  }
  const trace = await prober.end();
  rig.onTrace(planned, prober.text(), { r1: manager.log('r1'), r2: manager.log('r2') });
  return loadFiguresOf(trace);
}

async function idleCosts(topology: Topology): Promise<Cost[]> {
  // Past the announcements and first collections of a start.
  await sleep(2_000);
  const processes = (
    await Promise.all(
      ROUTERS.map(async router => (await processesIn(topology.namespace(router))).map(pid => ({ router, pid }))),
    )
  ).flat();
  const before = new Map(processes.map(({ pid }) => [pid, ranNs(pid)]));
  const since = nowUs();
  await sleep(IDLE_MS);
  const lasted = (nowUs() - since) * 1_000;
  return processes
    .filter(({ pid }) => existsSync(`/proc/${pid}`))
    .map(({ router, pid }) => {
      const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(memory)?.[1] ?? NaN);
      return {
        router,
        process: readFileSync(`/proc/${pid}/comm`, 'utf8').trim(),
        cpuPercent: Math.round(((ranNs(pid) - (before.get(pid) ?? 0)) / lasted) * 10_000) / 100,
        residentKib: kib('Rss'),
        proportionalKib: kib('Pss'),
      };
    });
}

/** Processor time of all threads so far, in ns, by the scheduler's own count. */
function ranNs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce(
    (sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
    0,
  );
}
