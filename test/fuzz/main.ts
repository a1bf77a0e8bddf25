// The command behind scripts/fuzz: splits the time over the targets, one after the other, and tells what came of each.
import { parseArgs } from 'node:util';
import { NATIVE_TARGETS, type NativeTarget } from './native-targets.ts';
import { coveragePercent, FUZZ_DIRECTORY, type Outcome, readCorpus, writeCorpus } from './outcome.ts';
import { replay, runTarget } from './run.ts';
import { buildNative, type Engine, replayNative, runNative } from './run-native.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';

const MINUTES_MAX = 24 * 60;
const SHARE_MS_MIN = 1_000;

interface Options {
  readonly minutes: number;
  readonly targets: readonly (Target | NativeTarget)[];
  readonly seed: number;
  readonly engine: Engine;
  readonly json: boolean;
}

const isNative = (target: Target | NativeTarget): target is NativeTarget => 'binary' in target;
const ALL: readonly (Target | NativeTarget)[] = [...NATIVE_TARGETS, ...TARGETS];

class UsageError extends Error {}

function readOptions(): { options: Options; list: boolean; replay: string | undefined } {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      target: { type: 'string', multiple: true },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      engine: { type: 'string', default: 'gcc' },
      replay: { type: 'string' },
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= MINUTES_MAX))
    throw new UsageError(`--minutes wants a number up to ${MINUTES_MAX}, not "${values.minutes}"`);
  if (!/^\d{1,9}$/.test(values.seed))
    throw new UsageError(`--seed wants a whole number of at most 9 digits, not "${values.seed}"`);
  if (values.engine !== 'gcc' && values.engine !== 'clang') throw new UsageError('--engine wants gcc or clang');
  const names = values.target ?? ALL.map(target => target.name);
  const targets = names.map(name => {
    const target = ALL.find(each => each.name === name);
    if (!target) throw new UsageError(`there is no target "${name}"; --list names them`);
    return target;
  });
  if (values.replay !== undefined && targets.length !== 1) throw new UsageError('--replay wants one --target');
  const { engine, json } = values;
  return {
    options: { minutes, targets, seed: Number(values.seed), engine, json },
    list: values.list,
    replay: values.replay,
  };
}

async function runAll(options: Options): Promise<Outcome[]> {
  const say = (text: string) => process.stderr.write(text);
  if (options.targets.some(isNative)) {
    say(`fuzz: building vipd's targets with ${options.engine}\n`);
    await buildNative(options.engine);
    await buildNative('coverage');
  }
  const end = performance.now() + options.minutes * 60_000;
  const outcomes: Outcome[] = [];
  for (const [i, target] of options.targets.entries()) {
    // What a target takes longer is taken from those after it.
    const ms = Math.max(SHARE_MS_MIN, (end - performance.now()) / (options.targets.length - i));
    const show = (executions: number) => {
      if (process.stderr.isTTY) say(`\r${target.name.padEnd(14)} ${executions} inputs`);
    };
    const outcome = isNative(target)
      ? await runNative(target, { engine: options.engine, seed: options.seed, ms, measure: true, onProgress: show })
      : await runTarget(target, {
          seed: options.seed,
          ms,
          corpus: readCorpus(target.name),
          onProgress: progress => show(progress.executions),
          onKept: inputs => writeCorpus(target.name, inputs),
        });
    outcomes.push(outcome);
    if (process.stderr.isTTY) say('\r\x1b[K');
    say(`${rowOf(outcome)}\n`);
    if (outcome.finding) say(`${findingText(outcome)}\n`);
  }
  return outcomes;
}

function rowOf(outcome: Outcome): string {
  const { target, executions, perSecond, corpus } = outcome;
  const lines = outcome.lines === null ? '' : ` of ${outcome.lines.all} lines`;
  return [
    target.padEnd(14),
    `${executions} inputs`.padStart(17),
    `${perSecond}/s`.padStart(10),
    `${corpus} kept`.padStart(10),
    `  ${coveragePercent(outcome)}${lines}`,
    outcome.finding ? '  FOUND SOMETHING' : '',
  ].join('');
}

function findingText({ target, finding }: Outcome): string {
  const where = finding?.file
    ? `scripts/fuzz --target ${target} --replay ${finding.file}`
    : 'the input could not be saved';
  return `${finding?.problem}\nreplay: ${where}`;
}

async function replayOne(target: Target | NativeTarget, engine: Engine, file: string): Promise<number> {
  if (isNative(target)) return (await replayNative(target, engine, file)) ? 0 : 1;
  try {
    await replay(target, file);
  } catch (error) {
    process.stderr.write(`${(error as Error).stack}\n`);
    return 1;
  }
  process.stderr.write('nothing found\n');
  return 0;
}

async function main(): Promise<number> {
  const { options, list, replay: file } = readOptions();
  const { targets, engine, json, seed } = options;
  if (list) {
    const named = targets.map(({ name, says }) => ({ name, says }));
    process.stdout.write(
      json ? `${JSON.stringify(named)}\n` : named.map(({ name, says }) => `${name.padEnd(14)} ${says}\n`).join(''),
    );
    return 0;
  }
  if (file !== undefined) return await replayOne(targets[0] as Target, engine, file);
  process.stderr.write(
    `fuzz: ${targets.length} targets, ${options.minutes} minutes, seed ${seed}; corpora and findings: ${FUZZ_DIRECTORY}\n`,
  );
  const outcomes = await runAll(options);
  const found = outcomes.filter(outcome => outcome.finding).length;
  if (json) process.stdout.write(`${JSON.stringify({ seed, engine, outcomes })}\n`);
  process.stderr.write(`${outcomes.reduce((sum, each) => sum + each.executions, 0)} inputs, ${found} findings\n`);
  return found === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage =
    error instanceof UsageError || String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`fuzz: ${(error as Error).message}${isUsage ? '; see scripts/fuzz --help' : ''}\n`);
  process.exitCode = isUsage ? 64 : 70;
}
