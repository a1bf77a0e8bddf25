// The command behind scripts/simulate: many schedules on all processors, or one with its transcript.
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describe as describeFault } from './fault.ts';
import { type Result, runPlan, runSeed } from './run.ts';
import { planOf } from './schedule.ts';
import { Tally } from './tally.ts';

const USAGE = `usage: scripts/simulate [--seeds N] [--from SEED] [--workers N] [--failures N] [--json] [--quiet]
       scripts/simulate --seed SEED [--json]

Runs the shipped election of two routers through schedules of faults on a virtual clock and checks what must always hold
(docs/internals/simulation.md). A schedule is made from its seed alone.

  --seeds N      how many schedules (default 100000)
  --from SEED    the first seed (default 1)
  --workers N    processes that share the work (default: one for each processor)
  --failures N   stop after so many failing seeds (default 10)
  --seed SEED    run this one alone and print its transcript
  --json         the summary, or the transcript, as JSON on stdout
  --quiet        no progress on stderr

Exit status: 0 when everything held, 1 when a schedule failed, 64 for wrong usage.
`;

/** Seeds handed to a worker at once. */
const BATCH = 500;
const SEED_MAX = Number.MAX_SAFE_INTEGER;
const PROGRESS_MS = 2_000;

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly workers: number;
  readonly failures: number;
  readonly json: boolean;
  readonly quiet: boolean;
}

class UsageError extends Error {}

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`--${name} wants a whole number from ${min} to ${max}, not "${text}"`);
}

function read(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        seeds: text,
        from: text,
        workers: text,
        failures: text,
        seed: text,
        json: flag,
        quiet: flag,
        help: flag,
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

async function main(args: readonly string[]): Promise<number> {
  const given = read(args);
  if (given.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const json = given.json === true;
  if (given.seed !== undefined) return replay(integer('seed', given.seed, 0, SEED_MAX), json);
  return simulate({
    seeds: integer('seeds', given.seeds ?? '100000', 1, 1_000_000_000),
    from: integer('from', given.from ?? '1', 0, SEED_MAX - 1_000_000_000),
    workers: integer('workers', given.workers ?? String(availableParallelism()), 1, 64),
    failures: integer('failures', given.failures ?? '10', 1, 1_000),
    json,
    quiet: given.quiet === true,
  });
}

/** One schedule, with everything that happened. */
function replay(seed: number, json: boolean): number {
  const lines: { atMs: number; who: string; text: string }[] = [];
  const plan = planOf(seed, { say: (atMs, who, text) => lines.push({ atMs, who, text }) });
  const result = runPlan(plan);
  const { routers, linkLans, witness, older, wire } = plan.world;
  const times = routers.map(({ settings }) => `${settings.intervalMs}/${settings.leaseMs}/${settings.deadMs}`);
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...result, faults: plan.faults, transcript: lines })}\n`);
    return result.breach ? 1 : 0;
  }
  const out = [
    `seed ${seed}: ${plan.kind}`,
    `H/L/D ${times.join(' and ')} ms, priorities ${routers.map(r => r.settings.priority).join(' and ')}, packet lease ${routers[0].gated ? 'on' : 'off'}`,
    `heartbeats on lan ${linkLans.join(', ')}; witness ${witness ? `${witness.leaseMs} ms` : 'none'}; ${older === undefined ? 'same versions' : `r${older + 1} is of an older version in every other life`}; ${wire ? 'encoded' : 'as objects'}`,
    ...plan.faults.map(fault => `planned at +${fault.atMs.toFixed(1)} ms: ${describeFault(fault)}`),
    '',
    ...lines.map(({ atMs, who, text }) => `${atMs.toFixed(2).padStart(10)}  ${who.padEnd(7)} ${text}`),
    '',
    result.breach ? `FAILED: ${result.breach.invariant}: ${result.breach.text}` : 'everything held',
  ];
  process.stdout.write(`${out.join('\n')}\n`);
  return result.breach ? 1 : 0;
}

async function simulate(options: Options): Promise<number> {
  const begunAt = Date.now();
  const tally = new Tally();
  let given = 0;
  const next = (): { from: number; count: number } | undefined => {
    if (given >= options.seeds || tally.failed.length >= options.failures) return undefined;
    const count = Math.min(BATCH, options.seeds - given);
    const from = options.from + given;
    given += count;
    return { from, count };
  };
  const progress = options.quiet
    ? undefined
    : setInterval(() => showProgress(tally, options.seeds, begunAt), PROGRESS_MS);
  try {
    await Promise.all(Array.from({ length: options.workers }, () => work(next, tally)));
  } finally {
    clearInterval(progress);
  }
  const summary = tally.summary((Date.now() - begunAt) / 1_000);
  process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : tally.text((Date.now() - begunAt) / 1_000));
  return tally.failed.length === 0 ? 0 : 1;
}

/** One worker process: it asks for a batch, runs it, sends its results in short. */
function work(next: () => { from: number; count: number } | undefined, tally: Tally): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['--worker'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    let done = false;
    const give = () => {
      const batch = next();
      if (batch) child.send(batch);
      else {
        done = true;
        child.disconnect();
      }
    };
    child.on('message', message => {
      const known = tally.failed.length;
      tally.add(message as ReturnType<Tally['plain']>);
      // At once: whoever looks on need not wait for the summary.
      for (const { seed, invariant, text } of tally.failed.slice(known)) {
        process.stderr.write(`seed ${seed} failed: ${invariant}: ${text}\n`);
      }
      give();
    });
    child.on('error', reject);
    child.on('exit', code => (done ? resolve() : reject(new Error(`a worker ended with status ${code}`))));
    give();
  });
}

function showProgress(tally: Tally, seeds: number, begunAt: number): void {
  const minutes = (Date.now() - begunAt) / 60_000;
  const share = ((100 * tally.schedules) / seeds).toFixed(1);
  const pace = Math.round(tally.schedules / minutes);
  process.stderr.write(`${share} % · ${tally.schedules} schedules, ${pace} a minute · ${tally.failed.length} failed\n`);
}

function serveBatches(): void {
  process.on('message', message => {
    const { from, count } = message as { from: number; count: number };
    const tally = new Tally();
    for (let seed = from; seed < from + count; seed += 1) tally.take(runSeed(seed) satisfies Result);
    process.send?.(tally.plain());
  });
}

if (process.argv[2] === '--worker') serveBatches();
else {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`simulate: ${error.message}; see scripts/simulate --help\n`);
    process.exitCode = 64;
  }
}
