// The soak: faults of a seed on a real pair, one after the other, each judged when it has healed; memory and descriptors looked at in
// between. Io.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOST_TIMES } from '../../lab/pair/config.ts';
import { CLIENT_ADDRESSES, ROUTERS, type Router, SERVER_ADDRESSES } from '../../lab/pair/topology.ts';
import { buildRouters, type PulseProcess, type Routers } from '../../netns/io/routers.ts';
import { buildTools, startWatch, type Tools, type Watch } from '../../netns/io/vip-watch.ts';
import type { Held, LogLine } from '../evidence.ts';
import { expectationOf, type Times } from '../expectation.ts';
import { type Daemon, type Life, type Metric, newLife } from '../lives.ts';
import { type Done, type Report, reportOf } from '../report.ts';
import { type Fault, type FaultKind, faultAt, faultInWords } from '../schedule.ts';
import { inject, type Pair, pidsOf } from './inject.ts';
import { judge, settled } from './judge.ts';
import { lookAt } from './look.ts';

const DIST = fileURLToPath(new URL('../../../', import.meta.url));
const HEAP_HOOK = new URL('./heap.js', import.meta.url).href;
/** As in pulse's unit: without it a busy machine is what is tested. */
const REAL_TIME = ['chrt', '--rr', '50'] as const;
/** HOST_TIMES, as numbers. */
const TIMES: Times = { intervalMs: 100, leaseMs: 220, deadMs: 300 };
/** As the docs advise: somebody on every LAN of addresses who always answers. */
const TARGETS = { clients: [CLIENT_ADDRESSES[0]], servers: [SERVER_ADDRESSES.fs1, SERVER_ADDRESSES.fs2] };
const TRANSCRIPT_MAX = 400;
/** Lines of each pulse's log that a transcript ends with. */
const LOG_TAIL = 40;
/** The log's limit of repetitions: windows of 10 s, and a flood ends with a calm one. */
const TOLD_LATELY_MS = 120_000;

export interface SoakOptions {
  /** Of the namespaces; at most 20 characters. */
  readonly prefix: string;
  readonly seed: number;
  /** First fault, from 0. */
  readonly from: number;
  /** No fault begins after this long. */
  readonly forMs: number;
  /** At most so many faults. */
  readonly faultsMax: number;
  readonly only: readonly FaultKind[];
  readonly asan: boolean;
  /** Goes on after a finding. */
  readonly keepGoing: boolean;
  readonly onProgress: (text: string) => void;
}

export interface Soak {
  run(): Promise<Report>;
  /** Ends everything that the soak started; safe at any time and more than once. */
  destroy(): Promise<void>;
}

interface Rig extends Pair {
  readonly options: SoakOptions;
  readonly routers: Routers;
  readonly tools: Tools;
  readonly watch: Watch;
  readonly gated: boolean;
  readonly heapDirectory: string;
  readonly marks: Held[];
  readonly transcript: string[];
  readonly tails: Record<Router, string[]>;
  /** Every pulse that may still have something to say, oldest first. */
  readonly started: Record<Router, PulseProcess[]>;
  /** When an event code was last told. */
  readonly told: Map<string, number>;
  readonly lives: Map<number, Life>;
  readonly startedAt: number;
  readonly done: Done[];
}

/** Builds the pair; the caller runs and destroys it. */
export async function buildSoak(options: SoakOptions): Promise<Soak> {
  const vipd = join(DIST, options.asan ? 'vipd-asan' : 'vipd');
  if (!existsSync(vipd)) throw new Error(`${vipd} is missing; run scripts/build${options.asan ? '-vipd --asan' : ''}`);
  const tools = await buildTools();
  const heapDirectory = join(tools.directory, 'heap');
  mkdirSync(heapDirectory);
  const env = { NODE_OPTIONS: `--import ${HEAP_HOOK}`, SOAK_HEAP_DIR: heapDirectory };
  let building: Promise<Routers> | undefined;
  let watch: Watch | undefined;
  let destroyed: Promise<void> | undefined;
  const destroy = async (): Promise<void> => {
    watch?.end();
    // Interrupted while it is being built: what is half there can only be removed once it is whole.
    const routers = await building?.catch(() => undefined);
    try {
      await routers?.destroy();
    } finally {
      await tools.remove();
    }
  };
  return {
    async run() {
      const config = { targets: TARGETS };
      const times = HOST_TIMES;
      building = buildRouters({ prefix: options.prefix, times, vipd, scheduling: REAL_TIME, env, config });
      const routers = await building;
      watch = await startWatch(routers.topology, tools);
      return soak(rigOf({ options, routers, tools, watch, heapDirectory }));
    },
    destroy() {
      destroyed ??= destroy();
      return destroyed;
    },
  };
}

type Parts = Pick<Rig, 'options' | 'routers' | 'tools' | 'watch' | 'heapDirectory'>;

function rigOf(parts: Parts): Rig {
  const startedAt = Date.now();
  const transcript: string[] = [];
  const marks: Held[] = [];
  const started: Rig['started'] = { r1: [], r2: [] };
  return {
    ...parts,
    gated: false,
    started,
    start: router => void started[router].push(parts.routers.start(router)),
    marks,
    transcript,
    tails: { r1: [], r2: [] },
    told: new Map(),
    lives: new Map(),
    startedAt,
    done: [],
    note(text) {
      transcript.push(`${((Date.now() - startedAt) / 1_000).toFixed(3).padStart(9)} ${text}`);
      if (transcript.length > TRANSCRIPT_MAX) transcript.splice(0, transcript.length - TRANSCRIPT_MAX);
    },
    mark: held => void marks.push(held),
  };
}

async function soak(built: Rig): Promise<Report> {
  const { options, routers } = built;
  for (const router of ROUTERS) built.start(router);
  const start = await settled(routers);
  if (start === undefined) throw new Error(`the pair does not settle at its start: ${logText(built)}`);
  const rig: Rig = { ...built, gated: await isGated(routers) };
  let { active } = start;
  let highest = 0;
  const end = rig.startedAt + options.forMs;
  for (let count = 0; count < options.faultsMax && Date.now() < end; count += 1) {
    const index = options.from + count;
    const done = await oneFault(rig, index, active, highest);
    rig.done.push(done);
    ({ active, highest } = done.outcome);
    options.onProgress(progressLine(done, end));
    if (done.outcome.problems.length === 0) continue;
    // Without eyes on the LAN there is nothing left to judge.
    if (!options.keepGoing || rig.watch.ended() !== undefined) break;
    // The report keeps the end of the whole run only.
    for (const line of rig.transcript.slice(rig.transcript.findLastIndex(text => text.includes(' fault '))))
      options.onProgress(line);
  }
  return reportOf({
    seed: options.seed,
    from: options.from,
    asan: options.asan,
    gated: rig.gated,
    seconds: (Date.now() - rig.startedAt) / 1_000,
    done: rig.done,
    lives: [...rig.lives.values()],
    transcript: rig.transcript,
    logs: { r1: rig.tails.r1, r2: rig.tails.r2 },
  });
}

/** The packet lease stands in the kernel: pulse has found that it can have it. */
async function isGated(routers: Routers): Promise<boolean> {
  const { stdout } = await routers.topology.exec('r1', 'nft', ['list', 'tables']);
  return /^table netdev tandem_gate$/m.test(stdout);
}

async function oneFault(rig: Rig, index: number, before: Router, highest: number): Promise<Done> {
  const { routers, watch, options } = rig;
  const fault = faultAt(options.seed, index, { only: options.only });
  const firstEvent = routers.events.length;
  rig.marks.length = 0;
  watch.take();
  const from = Date.now();
  rig.note(`fault ${index}: ${faultInWords(fault)}; active ${before}`);
  const trouble = await injected(rig, fault, before);
  const scene = {
    ...{ routers, watch, times: TIMES, gated: rig.gated, before, from, highest },
    held: () => [...routers.events.slice(firstEvent), ...rig.marks].sort((a, b) => a.at - b.at),
    takeLog: () => takeLog(rig),
    toldLately: (code: string) => Date.now() - (rig.told.get(code) ?? 0) < TOLD_LATELY_MS,
  };
  const outcome = await judge(scene, expectationOf(fault, TIMES, rig.gated), trouble);
  const looked = outcome.problems.length === 0 ? await lookAtAll(rig) : [];
  const problems = [...outcome.problems, ...looked];
  rig.note(
    `healed: ${outcome.active} active, ${outcome.moves} moves, ${outcome.gapMs.toFixed(0)} ms without an answer`,
  );
  for (const problem of problems) rig.note(`WRONG ${problem}`);
  return { index, fault, outcome: { ...outcome, problems } };
}

/** What kept the fault from being done is a finding, not the end of the soak's own process. */
async function injected(rig: Rig, fault: Fault, before: Router): Promise<readonly string[]> {
  try {
    await inject(rig, fault, before);
    return [];
  } catch (error) {
    return [`the fault could not be done: ${(error as Error).message}`];
  }
}

function takeLog(rig: Rig): LogLine[] {
  return ROUTERS.flatMap(router => {
    const started = rig.started[router];
    const raw = started.flatMap(({ log }) => log.splice(0));
    // One that has ended may still be read from: it goes when its successor's successor is there.
    started.splice(0, Math.max(0, started.length - 2));
    for (const line of raw) rig.note(`${router} ${JSON.stringify(line).slice(0, 600)}`);
    rig.tails[router].push(...raw.map(line => JSON.stringify(line)));
    rig.tails[router].splice(0, Math.max(0, rig.tails[router].length - LOG_TAIL));
    const lines = raw.map(line => logLine(router, line));
    for (const { code, at } of lines) rig.told.set(code, at);
    return lines;
  });
}

function logLine(router: Router, { ts, code, severity, ...fields }: Record<string, unknown>): LogLine {
  const at = typeof ts === 'string' ? Date.parse(ts) : Date.now();
  // Without a severity: what a daemon wrote to its standard error, which is always a finding.
  return { router, at, code: String(code), severity: typeof severity === 'string' ? severity : 'err', fields };
}

async function lookAtAll(rig: Rig): Promise<string[]> {
  const changes = rig.done.reduce((sum, { outcome }) => sum + outcome.moves, 0);
  const problems: string[] = [];
  for (const router of ROUTERS) {
    const { pulse, vipds } = await pidsOf(rig.routers, router);
    try {
      await note(rig, router, 'pulse', pulse, changes);
      for (const vipd of vipds) await note(rig, router, 'vipd', vipd, changes);
    } catch (error) {
      problems.push(`${router}: ${(error as Error).message}`);
    }
  }
  return problems;
}

async function note(rig: Rig, router: Router, daemon: Daemon, pid: number, changes: number): Promise<void> {
  const look = await lookAt(pid, daemon === 'pulse' ? rig.heapDirectory : undefined);
  const life = rig.lives.get(pid) ?? newLife(pid, daemon, router);
  rig.lives.set(pid, life);
  const at = Date.now();
  const values: Readonly<Record<Metric, number | undefined>> = look;
  for (const [metric, samples] of Object.entries(life.samples)) {
    const value = values[metric as Metric];
    if (value !== undefined) samples.push({ at, changes, value });
  }
}

function progressLine({ index, fault, outcome }: Done, end: number): string {
  const { moves, gapMs, overlapMs, problems, active, stalledMs } = outcome;
  const left = Math.max(0, Math.round((end - Date.now()) / 1_000));
  const numbers = `moves ${moves}, gap ${gapMs.toFixed(0)} ms, both ${overlapMs.toFixed(1)} ms, ${active} active${stalledMs > 0 ? `, machine stalled ${stalledMs} ms` : ''}`;
  const words = problems.length === 0 ? '' : `  WRONG: ${problems.join('; ')}`;
  return `[${index}${Number.isFinite(left) ? `, ${left} s left` : ''}] ${faultInWords(fault)}: ${numbers}${words}`;
}

function logText(rig: Rig): string {
  takeLog(rig);
  return rig.transcript.slice(-LOG_TAIL).join('\n');
}
