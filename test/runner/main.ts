// Runs what scripts/test asks for: checks that are commands, then ava's tests, and counts them. Io. Where time is real and a stand-still of
// the machine spoilt a test's failing step, the test is run again, twice at most, and is said to be disturbed.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Disturbed, disturbance, type StandStill, type Step } from './disturbance.ts';
import {
  closingLine,
  outcomeOf,
  ownTimeMs,
  slowest,
  type TestOutcome,
  type Timed,
  titleOf,
  tooDisturbed,
  type Verdict,
} from './outcome.ts';
import { wallMs } from './step.ts';

/** The checkout: this file is compiled to dist/test/runner/. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const AVA = path.join(ROOT, 'node_modules/ava/entrypoints/cli.mjs');
const WATCH = fileURLToPath(new URL('./watch.js', import.meta.url));
const STAGES = ['lint', 'unit', 'netns', 'lab', 'install'] as const;
type Stage = (typeof STAGES)[number];
const RUNS_MAX = 3;
const SLOWEST = 10;
/** Of a run with failures, so many of its last lines are shown again at the end: ava tells the errors there. */
const LAST_WORDS = 30;

/** One call for each: what it shows, and the command. Shown whole when it fails. */
const CHECKS: readonly (readonly [string, string, ...string[]])[] = [
  ['Biome finds nothing', 'node_modules/.bin/biome', 'check', '--error-on-warnings', '.'],
  ['the types are right', 'node_modules/.bin/tsc', '--noEmit'],
  ['the generated documentation is up to date', 'scripts/docs', '--check'],
  ["vipd passes the compiler's analyzer", 'scripts/build-vipd', '--analyze'],
];

interface Result extends Timed {
  readonly verdict: Verdict;
  readonly disturbed: number;
}

const startedAt = performance.now();
const results: Result[] = [];
const lastWords: string[] = [];
const work = mkdtempSync(path.join(tmpdir(), 'tandem-run-'));
const stepsFile = path.join(work, 'steps');
const watchFile = path.join(work, 'stand-stills');

function say(text: string): void {
  const s = Math.floor((performance.now() - startedAt) / 1000);
  process.stdout.write(`[${String(Math.floor(s / 60)).padStart(2)}:${String(s % 60).padStart(2, '0')}] ${text}\n`);
}

function stageOf(file: string): Stage {
  if (file === 'test/install/install.test.ts' || file.startsWith('test/package/')) return 'install';
  if (file.startsWith('test/lab/')) return 'lab';
  if (file.startsWith('test/netns/') || file === 'test/systemd/boot.test.ts') return 'netns';
  return 'unit';
}

function testFiles(): string[] {
  return readdirSync(path.join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.test.ts'))
    .map(file => `test/${file}`)
    .sort();
}

/** Starts a command in the checkout and hands its lines on, of both streams. Resolves with its exit status. */
async function lines(command: readonly string[], take: (line: string) => void): Promise<number> {
  const [file = '', ...args] = command;
  const env = { ...process.env, TANDEM_STEPS: stepsFile, NO_COLOR: '1', FORCE_COLOR: '0' };
  const child: ChildProcess = spawn(file, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', take);
  }
  return await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve(signal === null ? (code ?? 1) : 128));
  });
}

async function check([title, ...command]: (typeof CHECKS)[number]): Promise<void> {
  const began = performance.now();
  const output: string[] = [];
  const status = await lines(command, line => output.push(line));
  const verdict = status === 0 ? 'passed' : 'failed';
  results.push({ title, verdict, tookMs: performance.now() - began, disturbed: 0 });
  say(`${verdict === 'passed' ? '✔' : '✘'} ${title}`);
  if (verdict === 'failed') process.stdout.write(`${output.slice(-80).join('\n')}\n`);
}

interface Failure {
  readonly title: string;
  /** When the test before it had ended, for a test that names no steps. */
  readonly beganAt: number;
  readonly failedAt: number;
}

interface Run {
  readonly outcomes: readonly TestOutcome[];
  readonly failures: readonly Failure[];
}

/** Runs ava, shows what it says, and gathers the outcomes. A run that fails without a failed test counts as one. */
async function ava(what: string, args: readonly string[]): Promise<Run> {
  const outcomes: TestOutcome[] = [];
  const failures: Failure[] = [];
  const others: string[] = [];
  let beganAt = wallMs();
  const status = await lines([process.execPath, AVA, ...args], line => {
    const outcome = outcomeOf(line);
    if (outcome) {
      outcomes.push(outcome);
      if (outcome.verdict === 'failed') failures.push({ title: outcome.title, beganAt, failedAt: wallMs() });
      beganAt = wallMs();
      say(line.trim());
    } else if (line.trim() !== '') {
      others.push(line);
      const tookMs = ownTimeMs(line);
      const last = outcomes.pop();
      if (last) outcomes.push(tookMs === undefined ? last : { ...last, tookMs });
      process.stdout.write(`        ${line}\n`);
    }
  });
  if (outcomes.length === 0 || (status !== 0 && failures.length === 0)) {
    const title = `${what}: ava ended with status ${status} after ${outcomes.length} tests`;
    say(`✘ ${title}`);
    outcomes.push({ verdict: 'failed', title, tookMs: 0 });
  }
  if (failures.length > 0) lastWords.push(`\n${what}:`, ...others.slice(-LAST_WORDS));
  const whole = <T extends { title: string }>(one: T): T => ({ ...one, title: titleOf(one.title, others) });
  return {
    outcomes: outcomes.map(one => (one.verdict === 'failed' ? whole(one) : one)),
    failures: failures.map(whole),
  };
}

function readJsonLines<T>(file: string): T[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as T);
}

/** The test that a hook's failure belongs to, else the test itself. */
function testOf(title: string): string {
  return /^(?:beforeEach|afterEach|afterEach\.always) hook for (.*)$/.exec(title)?.[1] ?? title;
}

function disturbedOnes(failures: readonly Failure[]): Map<string, Disturbed> {
  const [steps, seen] = [readJsonLines<Step>(stepsFile), readJsonLines<StandStill>(watchFile)];
  const found = new Map<string, Disturbed>();
  for (const { title, beganAt, failedAt } of failures) {
    const test = testOf(title);
    const whole: Step = { at: beganAt, test, what: 'the test as a whole' };
    const ordered = [...steps, whole].sort((a, b) => a.at - b.at);
    const one = disturbance({ title: test, failedAt }, ordered, seen);
    if (one) found.set(test, one);
  }
  return found;
}

/** Runs a file where time is real: alone, and what was disturbed again. */
async function runFile(file: string, args: readonly string[]): Promise<void> {
  const latest = new Map<string, Result>();
  const take = (run: Run, again: ReadonlyMap<string, Disturbed>): void => {
    for (const { title, verdict, tookMs } of run.outcomes) {
      const name = testOf(title);
      const before = latest.get(name);
      // A test and its hook are one: it failed if either did.
      const failed = verdict === 'failed' || (before?.verdict === 'failed' && !again.has(name));
      const disturbed = (before?.disturbed ?? 0) + (again.has(name) && before?.verdict === 'failed' ? 1 : 0);
      latest.set(name, { title: `${file}: ${name}`, verdict: failed ? 'failed' : verdict, tookMs, disturbed });
    }
  };
  let run = await ava(file, [...args, file]);
  take(run, new Map());
  for (let runs = 1; runs < RUNS_MAX; runs++) {
    const again = disturbedOnes(run.failures);
    if (again.size === 0) break;
    for (const [title, { step, standStillMs }] of again)
      say(
        `disturbed: "${title}" failed in its step "${step.what}", in which this machine stood still for ${standStillMs.toFixed(0)} ms`,
      );
    run = await ava(file, [...args, ...[...again.keys()].flatMap(title => ['--match', title]), file]);
    take(run, again);
  }
  results.push(...latest.values());
}

async function runStage(stage: Stage, files: readonly string[]): Promise<void> {
  if (stage !== 'lint' && files.length === 0) return;
  say(`== ${stage}`);
  switch (stage) {
    case 'lint':
      for (const one of CHECKS) await check(one);
      return;
    case 'unit': {
      const { outcomes } = await ava('unit', [...files]);
      results.push(...outcomes.map(outcome => ({ ...outcome, disturbed: 0 })));
      return;
    }
    case 'netns':
      await lines(['scripts/build-vipd', '--asan'], line => process.stdout.write(`${line}\n`));
      for (const file of files) await runFile(file, ['--serial', '--concurrency', '1']);
      return;
    case 'lab':
    case 'install':
      for (const file of files) await runFile(file, ['--timeout', '50m']);
      return;
  }
}

function report(): number {
  const count = (verdict: Verdict): number => results.filter(result => result.verdict === verdict).length;
  const disturbed = results.reduce((sum, result) => sum + result.disturbed, 0);
  const counts = { passed: count('passed'), failed: count('failed'), skipped: count('skipped'), disturbed };
  if (lastWords.length > 0) process.stdout.write(`\nthe last words of runs with failures:\n${lastWords.join('\n')}\n`);
  process.stdout.write('\nthe slowest:\n');
  for (const { title, tookMs } of slowest(results, SLOWEST))
    process.stdout.write(`${(tookMs / 1000).toFixed(1).padStart(8)} s  ${title}\n`);
  for (const { title } of results.filter(result => result.verdict === 'failed'))
    process.stdout.write(`failed: ${title}\n`);
  const shaky = tooDisturbed(counts);
  if (shaky) {
    process.stdout.write(
      'failed: more than 5 % of the tests were disturbed: this machine is too busy to judge anything\n',
    );
  }
  const total = shaky ? { ...counts, failed: counts.failed + 1 } : counts;
  process.stdout.write(`${process.env.TANDEM_TEST_PLACE ?? ''}\n${closingLine(total)}\n`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

/** The numbers of those that may be used: a hypervisor stops them one by one (seen: 60 to 90 ms). */
function processors(): string[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap(range => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, n) => String(first + n));
  });
}

/** Arguments: the stages, separated by commas; files, if only they are to run. */
async function main([stages = '', ...named]: readonly string[]): Promise<number> {
  const wanted = STAGES.filter(stage => stages.split(',').includes(stage));
  const files = named.length > 0 ? named : testFiles();
  for (const file of [stepsFile, watchFile]) writeFileSync(file, '');
  const watches = processors().map(cpu =>
    spawn('taskset', ['--cpu-list', cpu, process.execPath, WATCH, watchFile], { stdio: 'inherit' }),
  );
  try {
    for (const stage of wanted) {
      if (stage === 'lint' && named.length > 0) continue;
      await runStage(
        stage,
        files.filter(file => stageOf(file) === stage),
      );
    }
    return report();
  } finally {
    for (const watch of watches) watch.kill('SIGKILL');
    rmSync(work, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
