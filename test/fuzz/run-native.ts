// Runs a target of vipd for a time: builds it, feeds it, reads what libFuzzer or driver.c say, and counts the lines that the
// inputs worth keeping reach (gcov).
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { NativeTarget } from './native-targets.ts';
import { corpusDirectory, FUZZ_DIRECTORY, type Outcome } from './outcome.ts';

export type Engine = 'gcc' | 'clang';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BUILD = join(ROOT, 'test', 'fuzz', 'native', 'build');
const BUILD_MS_MAX = 300_000;
const COVERAGE_MS_MAX = 120_000;
/** Beyond its own time a target may take this long to load its corpus and to say goodbye. */
const GRACE_MS = 60_000;
const OUTPUT_MAX = 20_000;
/** Leaks are looked for at exit by the netns tests; here every input leaves the variables as they were. */
const ENVIRONMENT = {
  ...process.env,
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:handle_abort=0',
  UBSAN_OPTIONS: 'print_stacktrace=1',
};

const run = promisify(execFile);

export interface NativeOptions {
  readonly engine: Engine;
  readonly seed: number;
  readonly ms: number;
  /** Where inputs are kept; absent: in the target's folder, from run to run. */
  readonly corpus?: string;
  readonly measure: boolean;
  readonly onProgress?: (executions: number) => void;
}

/** Builds what is not up to date. Throws with the compiler's words. */
export async function buildNative(kind: Engine | 'coverage'): Promise<void> {
  await run(BUILD, [`--${kind}`], { timeout: BUILD_MS_MAX, maxBuffer: 1 << 24 });
}

export async function runNative(target: NativeTarget, options: NativeOptions): Promise<Outcome> {
  const corpus = options.corpus ?? corpusDirectory(target.name);
  const findings = join(FUZZ_DIRECTORY, target.name, 'findings');
  mkdirSync(corpus, { recursive: true });
  mkdirSync(findings, { recursive: true });
  for (const [i, seed] of target.seeds.entries()) writeFileSync(join(corpus, `seed-${i}`), seed);
  const words = join(FUZZ_DIRECTORY, target.name, 'words');
  writeFileSync(words, target.words.map(quoted).join(''));

  const start = performance.now();
  const ended = await fuzz(target, options, [
    ...[`-max_total_time=${Math.max(1, Math.round(options.ms / 1_000))}`, `-seed=${options.seed}`],
    ...(target.words.length > 0 ? [`-dict=${words}`] : []),
    ...[`-max_len=${target.bytesMax}`, `-artifact_prefix=${findings}/`, '-print_final_stats=1', '-timeout=5', corpus],
  ]);
  const seconds = (performance.now() - start) / 1_000;
  const executions = Number(/number_of_executed_units: (\d+)/.exec(ended.output)?.[1] ?? ended.executions);
  const lines = options.measure && ended.code === 0 ? await measure(target, corpus) : null;
  return {
    target: target.name,
    executions,
    seconds,
    perSecond: Math.round(executions / seconds),
    corpus: readdirSync(corpus).length,
    lines,
    finding:
      ended.code === 0
        ? null
        : { problem: ended.output.slice(-6_000), file: /written to (\S+)/.exec(ended.output)?.[1] ?? null },
  };
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly executions: number;
}

function fuzz(target: NativeTarget, options: NativeOptions, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(ROOT, 'dist', 'fuzz', options.engine, target.binary), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: ENVIRONMENT,
      timeout: Math.round(options.ms + GRACE_MS),
      killSignal: 'SIGKILL',
    });
    let output = '';
    let executions = 0;
    const read = (text: string) => {
      output = (output + text).slice(-OUTPUT_MAX);
      executions = Number([...text.matchAll(/^#(\d+)/gm)].at(-1)?.[1] ?? executions);
      options.onProgress?.(executions);
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    child.on('error', reject);
    child.on('close', code => resolve({ code, output, executions }));
  });
}

/** Runs one saved input. True when nothing was found. */
export async function replayNative(target: NativeTarget, engine: Engine, file: string): Promise<boolean> {
  await buildNative(engine);
  const child = spawn(join(ROOT, 'dist', 'fuzz', engine, target.binary), ['-runs=0', file], {
    stdio: 'inherit',
    env: { ...ENVIRONMENT, FUZZ_TRACE: '1' },
  });
  return (await new Promise(resolve => child.on('close', resolve))) === 0;
}

/** Lines of the target's files that the inputs in `corpus` reach. */
async function measure(target: NativeTarget, corpus: string): Promise<{ ran: number; all: number }> {
  await buildNative('coverage');
  const directory = join(ROOT, 'dist', 'fuzz', 'coverage');
  for (const name of readdirSync(directory).filter(each => each.endsWith('.gcda'))) rmSync(join(directory, name));
  await run(join(directory, target.binary), [corpus], { cwd: directory, timeout: COVERAGE_MS_MAX, maxBuffer: 1 << 24 });
  const counted = readdirSync(directory).filter(each => each.endsWith('.gcda'));
  const { stdout } = await run('gcov', ['--no-output', ...counted], { cwd: directory, maxBuffer: 1 << 24 });
  const lines = { ran: 0, all: 0 };
  for (const [, file = '', percent, all] of stdout.matchAll(/File '([^']+)'\nLines executed:([\d.]+)% of (\d+)/g)) {
    const name = basename(file);
    if (!name.endsWith('.c') || !file.includes('src/vip/native')) continue;
    if (target.files.length > 0 && !target.files.includes(name)) continue;
    lines.all += Number(all);
    lines.ran += Math.round((Number(percent) * Number(all)) / 100);
  }
  return lines;
}

/** A word as libFuzzer's dictionaries have it. */
function quoted(word: string): string {
  const text = [...Buffer.from(word, 'latin1')].map(byte => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  return `"${text}"\n`;
}
