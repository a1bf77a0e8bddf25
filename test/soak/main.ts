// scripts/soak: reads its arguments, runs the soak, prints the report. Io.
import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { buildSoak, type SoakOptions } from './io/run.ts';
import { type Report, replayCommand, reportText } from './report.ts';
import { type FaultKind, KINDS } from './schedule.ts';

const EXIT_WRONG = 1;
const EXIT_USAGE = 64;
const EXIT_SOFTWARE = 70;
const EXIT_INTERRUPTED = 130;
const MINUTES_MAX = 60 * 24 * 14;
const SEED_MAX = 4_294_967_295;

class UsageError extends Error {}

interface Arguments extends SoakOptions {
  readonly json: string | undefined;
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      faults: { type: 'string' },
      seed: { type: 'string' },
      from: { type: 'string', default: '0' },
      only: { type: 'string' },
      json: { type: 'string' },
      asan: { type: 'boolean', default: false },
      'keep-going': { type: 'boolean', default: false },
    },
  });
  if (values.minutes === undefined && values.faults === undefined)
    throw new UsageError('say how long: --minutes N or --faults N');
  return {
    prefix: `tp${process.pid}-soak-`,
    seed: values.seed === undefined ? randomInt(1, SEED_MAX) : number('--seed', values.seed, 0, SEED_MAX),
    from: number('--from', values.from, 0, 1e9),
    forMs: values.minutes === undefined ? Infinity : 60_000 * decimal('--minutes', values.minutes, 0.1, MINUTES_MAX),
    faultsMax: values.faults === undefined ? Infinity : number('--faults', values.faults, 1, 1e9),
    only: values.only === undefined ? KINDS : kinds(values.only),
    asan: values.asan,
    keepGoing: values['keep-going'],
    json: values.json,
    onProgress: text => void process.stderr.write(`${text}\n`),
  };
}

function decimal(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new UsageError(`${name} ${text}: write a number from ${least} to ${most}`);
  return value;
}

function number(name: string, text: string, least: number, most: number): number {
  const value = decimal(name, text, least, most);
  if (!Number.isInteger(value)) throw new UsageError(`${name} ${text}: write a whole number`);
  return value;
}

function kinds(text: string): readonly FaultKind[] {
  const names = text.split(',');
  const unknown = names.find(name => !KINDS.includes(name as FaultKind));
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: no such fault; there are ${KINDS.join(', ')}`);
  return names as FaultKind[];
}

async function main(): Promise<number> {
  const options = readArguments();
  const building = buildSoak(options);
  let interrupted = false;
  const interrupt = (): void => {
    if (interrupted) return;
    interrupted = true;
    process.stderr.write('soak: interrupted, cleaning up\n');
    void building.then(soak => soak.destroy()).finally(() => process.exit(EXIT_INTERRUPTED));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  process.stderr.write(`soak: seed ${options.seed}\n`);
  const soak = await building;
  try {
    const report = await soak.run();
    await tell(report, options);
    return report.problems.length === 0 ? 0 : EXIT_WRONG;
  } finally {
    if (!interrupted) await soak.destroy();
    // What fails because its namespaces are being removed is no failure of the soak.
    else await new Promise(() => undefined);
  }
}

async function tell(report: Report, { json, only }: Arguments): Promise<void> {
  const again = `${replayCommand(report)}${only === KINDS ? '' : ` --only ${only.join(',')}`}`;
  if (json !== undefined) await writeFile(json, `${JSON.stringify({ ...report, again }, null, 2)}\n`);
  process.stdout.write(`${reportText(report)}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`soak: ${(error as Error).message}\n${usage ? 'see scripts/soak --help\n' : ''}`);
  process.exitCode = usage ? EXIT_USAGE : EXIT_SOFTWARE;
}
