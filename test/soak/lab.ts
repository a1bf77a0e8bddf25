// scripts/soak --lab: blocks of failovers, a machine of its own for each (io/lab-block.ts), two at a time, judged and reported. Io; runs on the host.
// A block's record is kept as soon as it is there, so that an interrupted run goes on where it was.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runMachine } from '../lab/machine/run-machine.ts';
import { type Judgement, judge, type Likeness, likeness, phasesOf } from './lab-judge.ts';
import { parseSoakLog, type SoakBlock, type SoakLogLine } from './lab-record.ts';
import { soakSummary, soakText } from './lab-summary.ts';

/** The checkout: this file is compiled to dist/test/soak/. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BLOCK_MAX = 100;
/** On the lab's clock. */
const BLOCK_S = 1_200;
const SEED_MAX = 4_000_000_000;
const LOGS = ['r1-pulse', 'r2-pulse', 'r1-director', 'r2-director'] as const;

interface Options {
  readonly seed: number;
  readonly failovers: number;
  /** Failovers of a block, which has a machine and a seed of its own. */
  readonly block: number;
  readonly repeat: number;
  readonly json: string | undefined;
}

class UsageError extends Error {}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most || text.trim() === '')
    throw new UsageError(`${name} ${text}: write a whole number from ${least} to ${most}`);
  return value;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      failovers: { type: 'string', default: '200' },
      block: { type: 'string', default: '10' },
      repeat: { type: 'string', default: '0' },
      json: { type: 'string' },
    },
  });
  return {
    seed: values.seed === undefined ? randomInt(1, SEED_MAX) : whole('--seed', values.seed, 0, SEED_MAX),
    failovers: whole('--failovers', values.failovers, 1, 1_000_000),
    block: whole('--block', values.block, 1, BLOCK_MAX),
    repeat: whole('--repeat', values.repeat, 0, 10_000),
    json: values.json,
  };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Where a block's record and logs are kept: they belong to the code that made them. */
function placeOf(seed: number, failovers: number, run: string): string {
  const { stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
  return path.join(ROOT, '.lab', 'soak-lab', stdout.trim() || 'none', `${seed}-${failovers}${run}`);
}

interface Kept {
  readonly block: SoakBlock;
  readonly logs: Readonly<Record<(typeof LOGS)[number], readonly SoakLogLine[]>>;
  readonly realMs: number;
  readonly place: string;
}

async function keptAt(place: string): Promise<Kept | undefined> {
  const text = await readFile(path.join(place, 'record.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { block, realMs } = JSON.parse(text) as { block: SoakBlock; realMs: number };
  const logs = {} as Record<(typeof LOGS)[number], SoakLogLine[]>;
  for (const name of LOGS)
    logs[name] = parseSoakLog(await readFile(path.join(place, `${name}.log`), 'utf8').catch(() => ''));
  return { block, logs, realMs, place };
}

/** Runs one block, or takes what is kept of it. `run` tells repetitions apart. */
async function runBlock(seed: number, failovers: number, run = ''): Promise<Kept> {
  const place = placeOf(seed, failovers, run);
  const before = await keptAt(place);
  if (before) return before;
  const part = `${place}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  const began = performance.now();
  const results = path.join(part, 'results.json');
  const command = ['dist/test/soak/io/lab-block.js', String(seed), String(failovers)];
  const done = await runMachine({
    ...{ command, timeoutS: BLOCK_S, seed, results },
    say: line => say(`${seed}${run} ${line}`),
  });
  const realMs = Math.round(performance.now() - began);
  const block: SoakBlock =
    'error' in done ? { seed, failovers: [], virtualMs: 0, error: done.error } : (JSON.parse(done.text) as SoakBlock);
  await writeFile(path.join(part, 'record.json'), `${JSON.stringify({ block, realMs })}\n`);
  await rm(place, { recursive: true, force: true });
  await mkdir(place, { recursive: true });
  for (const file of await readdir(part)) await copyFile(path.join(part, file), path.join(place, file));
  await rm(part, { recursive: true, force: true });
  const kept = await keptAt(place);
  if (!kept) throw new Error(`the record of seed ${seed} is not in ${place}`);
  return kept;
}

function judged({ block, logs }: Kept): Judgement {
  return judge(block, { r1: logs['r1-pulse'], r2: logs['r2-pulse'] });
}

function replay(seed: number, failovers: number): string {
  return `scripts/soak --lab --seed ${seed} --failovers ${failovers} --block ${failovers}`;
}

/** Runs `work` for every item, as many at a time as there are processors. */
async function side<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index] as T);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

async function main(): Promise<number> {
  const { seed, failovers, block, repeat, json } = readOptions();
  const sizes = Array.from({ length: Math.ceil(failovers / block) }, (_, index) => ({
    seed: seed + index,
    failovers: Math.min(block, failovers - index * block),
  }));
  say(`soak: seed ${seed}, ${failovers} failovers in ${sizes.length} blocks`);
  const judgements: Judgement[] = [];
  const blocks = await side(sizes, async size => {
    const kept = await runBlock(size.seed, size.failovers);
    const judgement = judged(kept);
    judgements.push(judgement);
    if (judgement.wrong.length > 0) {
      for (const sentence of judgement.wrong) say(`WRONG: ${sentence}`);
      say(`both logs are in ${kept.place}; again: ${replay(size.seed, size.failovers)}`);
    }
    const done = judgements.reduce((sum, one) => sum + one.failovers, 0);
    say(`soak: ${done} of ${failovers} failovers, ${judgements.flatMap(one => one.wrong).length} wrong`);
    return kept;
  });
  const again = await side(sizes.slice(0, repeat), size => runBlock(size.seed, size.failovers, '-again'));
  const likenesses: Likeness[] = again.map((kept, index) =>
    likeness(
      LOGS.flatMap(name => blocks[index]?.logs[name] ?? []),
      LOGS.flatMap(name => kept.logs[name]),
    ),
  );
  const all = await Promise.all(blocks.map(async kept => ({ ...kept, judgement: judged(kept) })));
  const summary = soakSummary(
    all.map(({ block, realMs, judgement }) => ({ block, realMs, judgement, phases: block.failovers.map(phasesOf) })),
    likenesses,
  );
  const report = {
    seed,
    ...summary,
    repeatWith: all
      .filter(one => one.judgement.wrong.length > 0)
      .map(one => replay(one.block.seed, sizes.find(size => size.seed === one.block.seed)?.failovers ?? block)),
  };
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(`${soakText(report)}\n`);
  return report.wrong.length === 0 && report.failovers >= failovers ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) {
    say(`soak: ${(error as Error).message}; see --help`);
    process.exitCode = 64;
  } else throw error;
}
