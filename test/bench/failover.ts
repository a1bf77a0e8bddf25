// scripts/bench failover: real keepalived and Tandem beside each other, fault by fault, as a client sees it. Io. Every finished run is
// a line of a state file at once, so that an interrupted measurement goes on where it was.
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildTopology, type Topology, wallNow } from '../lab/pair/topology.ts';
import { type Options, type Part, type PlannedRun, parseOptions, planOf, remainingMs } from './failover-plan.ts';
import { intoDocument, type Outcome, type Result, summaryOf } from './failover-summary.ts';
import { plotOf } from './failover-svg.ts';
import { tablesOf } from './failover-table.ts';
import { buildProber, measure, type Rig } from './io/failover-run.ts';

/** Where both managers write while they run, in memory as systemd's /run is: a container's /run may lie on a disk. */
const MEMORY = '/dev/shm';
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const DOCUMENT = join(ROOT, 'docs/BENCHMARKS.md');
const PLOT = join(ROOT, 'docs/bench-failover.svg');
/** A run that could not be set up, or whose prober was late, is tried again; what the contestants do is never a reason to. */
const TRIES = 6;
const PLOT_LINK = '![The gap and the time of double service, by fault and interval](bench-failover.svg)';
/** Probes are a millisecond apart. */
const PROBER_LATE_MS_MAX = 2;
const EXIT_USAGE = 64;
const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;

const say = (text: string): boolean => process.stderr.write(`bench failover: ${text}\n`);

function typicalMs(options: Options): (part: Part) => number {
  return part => (part === 'load' ? options.loadMinutes * 60_000 + 5_000 : part === 'idle' ? 14_000 : 4_500);
}

/** Results belong to the code that made them: the folder is named by the commit unless it is given. */
function folderOf({ out, quick }: Options): string {
  if (out !== undefined) return out;
  let commit = 'none';
  try {
    commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } catch {
    // Not a checkout: one folder for all.
  }
  return join(ROOT, '.lab/bench-failover', `${commit}-${quick ? 'quick' : 'full'}`);
}

function readResults(file: string): Result[] {
  if (!existsSync(file)) return [];
  // A line that was cut by a crash is a run that was not finished.
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap(line => {
      try {
        return line === '' ? [] : [JSON.parse(line) as Result];
      } catch {
        return [];
      }
    });
}

async function withTopology(act: (topology: Topology, interrupted: () => boolean) => Promise<void>): Promise<void> {
  const topology = await buildTopology({ prefix: `bf${process.pid}-` });
  let stopped = false;
  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    say('interrupted; removing the namespaces');
    topology
      .destroy()
      .catch((error: Error) => say(error.message))
      .finally(() => process.exit(EXIT_INTERRUPTED));
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    await act(topology, () => stopped);
  } finally {
    // The interruption ends the process itself, once everything is gone.
    if (stopped) await new Promise(() => undefined);
    await topology.destroy();
  }
}

/**
 * A busy loop on each processor that yields to everything else, and ends with the topology: a hypervisor may let a processor that
 * sleeps wake up late (seen: 39 ms), which no run survives.
 */
function keepAwake(topology: Topology, prober: string): void {
  for (let processor = 0; processor < availableParallelism(); processor += 1)
    topology.start('client', 'chrt', ['--idle', '0', prober, 'burn'], { stdio: 'ignore' });
}

async function attempt(rig: Rig, planned: PlannedRun): Promise<Outcome | undefined> {
  for (let tries = 1; tries <= TRIES; tries += 1) {
    try {
      return await measure(rig, planned);
    } catch (error) {
      say(`${planned.id}, try ${tries} of ${TRIES}: ${(error as Error).message}`);
    }
  }
  return undefined;
}

interface Progress {
  readonly options: Options;
  readonly done: Result[];
  readonly left: PlannedRun[];
  readonly file: string;
}

async function measureAll(rig: Rig, progress: Progress, interrupted: () => boolean): Promise<number> {
  const { options, done, left, file } = progress;
  const all = left.length;
  let failed = 0;
  for (let planned = left[0]; planned && !interrupted(); planned = left[0]) {
    const since = wallNow();
    const outcome = await attempt(rig, planned);
    if (interrupted()) break;
    left.shift();
    const minutes = Math.ceil(remainingMs(left, done, typicalMs(options)) / 60_000);
    const count = `[${all - left.length}/${all}, ${minutes} min left]`;
    if (!outcome) {
      failed += 1;
      say(`${count} ${planned.id}: not measured`);
      continue;
    }
    const result: Result = {
      ...planned,
      at: new Date(wallNow()).toISOString(),
      tookMs: Math.round(wallNow() - since),
      outcome,
    };
    done.push(result);
    appendFileSync(file, `${JSON.stringify(result)}\n`);
    say(`${count} ${planned.id} ${brief(outcome)}`);
  }
  return failed;
}

function brief(outcome: Outcome): string {
  if (outcome.kind === 'idle')
    return outcome.costs.map(({ router, process: name, cpuPercent }) => `${router} ${name} ${cpuPercent}%`).join(', ');
  if (outcome.kind === 'load') return JSON.stringify(outcome.figures);
  const { gapMs, lost, bothServedMs, bothHeldMs, restored, lostBefore, movedBefore, proberLateMs } = outcome.figures;
  const oddities = `${restored ? '' : ', NOT RESTORED'}${lostBefore > 0 ? `, ${lostBefore} lost before` : ''}${movedBefore ? ', MOVED BEFORE THE FAULT' : ''}`;
  const late = proberLateMs > 1 ? `, prober ${proberLateMs} ms late` : '';
  return `gap ${gapMs} ms, lost ${lost}, both served ${bothServedMs} ms, both held ${bothHeldMs} ms${oddities}${late}`;
}

/** Gone when this process ends. */
function directoryIn(parent: string): string {
  const made = mkdtempSync(join(parent, 'tandem-bench-'));
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const folder = folderOf(options);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'runs.jsonl');
  const done = readResults(file);
  const names = new Set(done.map(({ id }) => id));
  const left = planOf(options).filter(({ id }) => !names.has(id));
  const progress: Progress = { options, done, left, file };
  let failed = 0;
  if (left.length > 0) {
    say(
      `${done.length} runs done, ${left.length} to do, about ${Math.ceil(remainingMs(left, done, typicalMs(options)) / 60_000)} minutes; results in ${folder}`,
    );
    const [dir, disk] = [directoryIn(MEMORY), directoryIn(tmpdir())];
    const prober = join(disk, 'failover-probe');
    await buildProber(prober);
    const onTrace: Rig['onTrace'] = (planned, text, logs) => {
      if (!options.keepTraces) return;
      const stem = join(folder, planned.id.replaceAll('/', '-'));
      writeFileSync(`${stem}.trace`, text);
      for (const [router, lines] of Object.entries(logs)) writeFileSync(`${stem}-${router}.log`, lines.join('\n'));
    };
    await withTopology(async (topology, interrupted) => {
      keepAwake(topology, prober);
      failed = await measureAll(
        {
          topology,
          prober,
          dir,
          disk,
          loadMinutes: options.loadMinutes,
          priority: options.priority,
          proberLateMsMax: PROBER_LATE_MS_MAX,
          onTrace,
        },
        progress,
        interrupted,
      );
    });
  }
  tell(options, done);
  process.exitCode = failed === 0 ? 0 : EXIT_FAILED;
}

function tell(options: Options, results: readonly Result[]): void {
  const summary = summaryOf(results);
  const tables = tablesOf(summary);
  process.stdout.write(`${tables}\n`);
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ summary, runs: results }, null, 1)}\n`);
  if (!options.report) return;
  writeFileSync(PLOT, plotOf(summary));
  writeFileSync(DOCUMENT, intoDocument(readFileSync(DOCUMENT, 'utf8'), `${tables}\n\n${PLOT_LINK}`));
  say(`written: ${DOCUMENT} and ${PLOT}`);
}

await main().catch((error: Error & { code?: string }) => {
  process.stderr.write(`bench failover: ${error.message}\n`);
  process.exitCode = /^ERR_PARSE_ARGS|^--/.test(error.code ?? error.message) ? EXIT_USAGE : 70;
});
