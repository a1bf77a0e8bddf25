// What one link at a time would lose: `one-link-report.js [--seeds N]`. A table on stdout. Io.
import { parseArgs } from 'node:util';
import { Random } from '../sim/random.ts';
import { quantile } from './failover-summary.ts';
import { measureCalm, measureCut, measureFlapping, measureJoin, measureTakeover, TRANSPORTS } from './one-link.ts';

/** Some histories are long: of those, one for so many seeds. */
const SEEDS_PER_FLAPPING = 10;
const SEEDS_PER_JOIN = 50;

let seedCount: number;
try {
  const { values } = parseArgs({ options: { seeds: { type: 'string', default: '200' } } });
  seedCount = Number(values.seeds);
  if (!Number.isInteger(seedCount) || seedCount < 1 || seedCount > 5_000) {
    throw new RangeError('--seeds needs a number from 1 to 5000');
  }
} catch (error) {
  process.stderr.write(`bench sync --one-link: ${(error as Error).message}; see --help\n`);
  process.exit(64);
}

const seeds = Array.from({ length: seedCount }, (_, i) => i + 1);
const some = (every: number) => seeds.slice(0, Math.ceil(seedCount / every));
const middle = (values: readonly number[]) => quantile(values, 0.5);
const most = (values: readonly number[]) => Math.max(...values);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const seconds = (values: readonly number[]) =>
  `${(middle(values) / 1_000).toFixed(2)} / ${(most(values) / 1_000).toFixed(2)}`;
const lost = (values: readonly number[]) => `${mean(values).toFixed(1)} / ${most(values)}`;

const rows: string[][] = [
  [
    'transport',
    'lag after a cut, s',
    'lost at a takeover: connections',
    'templates',
    'cuts for half a minute: lag, s',
    'not warm, s',
    'resyncs',
    'join with a cut, s',
  ],
];
let violations = 0;
const cutsOf = TRANSPORTS.map(transport => seeds.map(seed => measureCut(seed, transport)));
for (const [i, transport] of TRANSPORTS.entries()) {
  const cuts = cutsOf[i] ?? [];
  // The takeovers fall into this transport's change-over; with the one that has none, into the longest.
  const changeOvers = (transport.oneLink ? cuts : cutsOf[1]) ?? [];
  const takeovers = changeOvers.map(({ changeOverMs }, n) => {
    const seed = n + 1;
    return measureTakeover(seed, transport, new Random(seed + 1_000_000).between(0, changeOverMs));
  });
  const flapping = some(SEEDS_PER_FLAPPING).map(seed => measureFlapping(seed, transport));
  const joins = some(SEEDS_PER_JOIN).map(seed => measureJoin(seed, transport));
  violations += sum([...cuts, ...flapping].map(history => history.violations.length));
  rows.push([
    transport.name,
    seconds(cuts.map(cut => cut.lagMs)),
    `${lost(takeovers.map(one => one.lostConnections))} of ${mean(takeovers.map(one => one.connections)).toFixed(0)}`,
    `${lost(takeovers.map(one => one.lostTemplates))} of ${mean(takeovers.map(one => one.templates)).toFixed(0)}`,
    seconds(flapping.map(one => one.lagMs)),
    seconds(flapping.map(one => one.coldMs)),
    `${sum(flapping.map(one => one.resyncs - 1))}`,
    seconds(joins),
  ]);
}
const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
process.stdout.write(line(rows[0] ?? []) + line((rows[0] ?? []).map(() => '---')) + rows.slice(1).map(line).join(''));
const calm = seconds(seeds.map(seed => measureCalm(seed).lagMs));
process.stdout.write(
  `\n${seedCount} seeds, lag without a cut ${calm} s; times are the median and the longest, losses the mean and the most\n`,
);
if (violations > 0)
  process.stderr.write(`bench sync --one-link: the simulator's invariants were breached ${violations} times\n`);
process.exitCode = violations > 0 ? 1 : 0;
