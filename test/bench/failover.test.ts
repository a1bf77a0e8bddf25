// scripts/bench failover without its measuring: what a trace means, which runs are planned, what the report says. All on literal input.
import test from 'ava';
import { parseOptions, planOf, remainingMs } from './failover-plan.ts';
import { intoDocument, quantile, type Result, summaryOf } from './failover-summary.ts';
import { plotOf } from './failover-svg.ts';
import { tablesOf } from './failover-table.ts';
import { figuresOf, loadFiguresOf, parseTrace } from './failover-trace.ts';

/** One probe line for each millisecond; `served` says who answers by the kernel's way, to r1's MAC, to r2's MAC. */
function traceOf(milliseconds: number, served: (ms: number) => string, events: readonly string[] = []): string {
  const probes = Array.from({ length: milliseconds }, (_, ms) => `p ${ms * 1_000} ${served(ms)}`);
  return ['ready', ...probes, ...events, 'm 0 120', ''].join('\n');
}
const BY_R1 = '80:1 90:1 -';
const BY_R2 = '80:2 - 90:2';
const BOTH = '80:2 90:1 90:2';
const NOBODY = '- - -';

test('a power loss: the gap is the time between the last answer before it and the first after it', t => {
  const text = traceOf(600, ms => (ms < 100 ? BY_R1 : ms < 400 ? NOBODY : BY_R2), [
    'a 0 1 set',
    'a 399100 2 set',
    'g 399300 2 request',
    'g 399320 2 reply',
  ]);
  const figures = figuresOf(parseTrace(text), { atUs: 99_500, router: 'r1', dead: true });
  t.deepEqual(figures, {
    gapMs: 301,
    lost: 300,
    bothServedMs: 0,
    bothServedAtEnd: false,
    bothHeldMs: 0,
    heldMs: 299.6,
    announcedMs: 299.8,
    servedMs: 300.58,
    restored: true,
    lostBefore: 0,
    movedBefore: false,
    proberLateMs: 0.12,
  });
});

test('a planned handover without a lost probe has a gap of the probes’ own millisecond', t => {
  const text = traceOf(300, ms => (ms < 100 ? BY_R1 : ms < 102 ? BOTH : BY_R2), [
    'a 0 1 set',
    'a 99900 2 set',
    'a 101900 1 gone',
  ]);
  const figures = figuresOf(parseTrace(text), { atUs: 98_000, router: 'r1' });
  t.is(figures.gapMs, 1);
  t.is(figures.lost, 0);
  t.is(figures.bothServedMs, 2);
  t.is(figures.bothHeldMs, 2);
  t.false(figures.bothServedAtEnd);
});

test('a router that answers only by the other’s MAC does not count as serving', t => {
  const text = traceOf(100, () => '80:2 90:2 90:2');
  t.is(figuresOf(parseTrace(text), { atUs: 10_000, router: 'r1' }).bothServedMs, 0);
});

test('two owners for ever: said to be so at the end, in the packets and in the kernels', t => {
  const text = traceOf(205, ms => (ms < 50 ? BY_R1 : BOTH), ['a 0 1 set', 'a 49000 2 set']);
  const figures = figuresOf(parseTrace(text), { atUs: 40_000, router: 'r1' });
  t.is(figures.bothServedMs, 150);
  t.true(figures.bothServedAtEnd);
  t.is(figures.bothHeldMs, 150);
});

test('a service that does not come back: the gap lasts to the end and the run says so', t => {
  const text = traceOf(305, ms => (ms < 100 ? BY_R1 : NOBODY));
  const figures = figuresOf(parseTrace(text), { atUs: 100_000, router: 'r1' });
  t.false(figures.restored);
  t.is(figures.servedMs, null);
  t.is(Math.round(figures.gapMs), 200);
});

test('probes lost before the fault are the measurement’s own and are told apart', t => {
  const text = traceOf(300, ms => (ms === 20 ? NOBODY : BY_R1));
  const figures = figuresOf(parseTrace(text), { atUs: 100_000, router: 'r1' });
  t.is(figures.lostBefore, 1);
  t.is(figures.lost, 0);
  t.is(figures.gapMs, 1);
});

test('a VIP that had moved by itself before the fault is told, and counts in no figure', t => {
  const text = traceOf(300, ms => (ms < 50 ? BY_R1 : BY_R2));
  const figures = figuresOf(parseTrace(text), { atUs: 100_000, router: 'r1' });
  t.true(figures.movedBefore);
  const rows = summaryOf([...RESULTS, result('tandem', 2, { kind: 'fault', figures: { ...figures, gapMs: 1 } })]).rows;
  t.is(rows[1]?.runs, 1);
  t.is(rows[1]?.gapMs.p50, 240);
  t.is(rows[1]?.movedBefore, 1);
});

test('a trace without its end, or with a foreign line, is refused', t => {
  t.throws(() => parseTrace('ready\np 0 80:1 90:1 -\n'), { message: /has no end/ });
  t.throws(() => parseTrace('ready\nSegmentation fault\n'), { message: /not a line of failover-probe/ });
});

test('load: a VIP that goes and comes back is a false failover, a renewal is none', t => {
  const quiet = traceOf(200, () => BY_R1, ['a 0 1 set', 'a 50000 1 set', 'a 90000 1 set']);
  t.is(loadFiguresOf(parseTrace(quiet)).falseFailovers, 0);
  const moved = traceOf(200, ms => (ms < 80 ? BY_R1 : BY_R2), ['a 0 1 set', 'a 79000 1 gone', 'a 80000 2 set']);
  t.is(loadFiguresOf(parseTrace(moved)).falseFailovers, 1);
  const lapsed = traceOf(200, () => BY_R1, ['a 0 1 set', 'a 79000 1 gone', 'a 80000 1 set']);
  t.is(loadFiguresOf(parseTrace(lapsed)).falseFailovers, 1);
});

test('the tools take turns, and a run’s name stays the same whatever else is measured', t => {
  const all = planOf(parseOptions(['--runs', '2', '--interval', '100,10', '--only', 'power,idle']));
  t.deepEqual(
    all.map(({ id }) => id),
    [
      'keepalived/idle/100/1',
      'tandem/idle/100/1',
      'keepalived/idle/10/1',
      'tandem/idle/10/1',
      'keepalived/power/100/1',
      'tandem/power/100/1',
      'keepalived/power/10/1',
      'tandem/power/10/1',
      'keepalived/power/100/2',
      'tandem/power/100/2',
      'keepalived/power/10/2',
      'tandem/power/10/2',
    ],
  );
  const one = planOf(parseOptions(['--tool', 'tandem', '--only', 'power', '--interval', '10', '--runs', '1']));
  t.deepEqual(
    one.map(({ id }) => id),
    ['tandem/power/10/1'],
  );
});

test('the full plan is what was asked for: 20 runs of 7 faults at 3 intervals for both tools, 10 minutes of load', t => {
  const plan = planOf(parseOptions([]));
  t.is(plan.filter(({ part }) => part !== 'idle' && part !== 'load').length, 20 * 7 * 3 * 2);
  t.deepEqual(
    plan.filter(({ part }) => part === 'load').map(({ id }) => id),
    ['keepalived/load-10min/10/1', 'tandem/load-10min/10/1'],
  );
});

for (const [title, args, message] of [
  ['an unknown part', ['--only', 'power,meteor'], /--only meteor: choose from power/],
  ['no runs', ['--runs', '0'], /--runs 0: write a whole number from 1 to 1000/],
  ['an interval keepalived has not', ['--interval', '15'], /multiples of 10/],
  ['an unknown option', ['--fast'], /Unknown option '--fast'/],
] as const) {
  test(`a wrong command line says what is wrong: ${title}`, t => {
    t.throws(() => parseOptions(args), { message });
  });
}

test('the time left is reckoned from runs of the same kind', t => {
  const plan = planOf(parseOptions(['--runs', '2', '--interval', '100', '--only', 'power', '--tool', 'tandem']));
  t.is(
    remainingMs(plan, [], () => 4_000),
    8_000,
  );
  t.is(
    remainingMs(plan, [{ part: 'power', tookMs: 1_000 }], () => 4_000),
    2_000,
  );
});

test('quantiles are values that were seen', t => {
  const values = [5, 1, 4, 2, 3];
  t.is(quantile(values, 0.5), 3);
  t.is(quantile(values, 0.99), 5);
  t.is(quantile([], 0.5), Number.NaN);
});

const FIGURES = figuresOf(
  parseTrace(traceOf(205, ms => (ms < 50 ? BY_R1 : BOTH), ['a 0 1 set', 'a 49000 2 set', 'g 49500 2 reply'])),
  { atUs: 40_000, router: 'r1' },
);
const RESULTS: readonly Result[] = [
  result('keepalived', 1, { kind: 'fault', figures: FIGURES }),
  result('keepalived', 2, { kind: 'fault', figures: { ...FIGURES, gapMs: 12, bothServedAtEnd: false } }),
  result('tandem', 1, { kind: 'fault', figures: { ...FIGURES, gapMs: 240, bothServedMs: 0, bothServedAtEnd: false } }),
];

function result(tool: Result['tool'], run: number, outcome: Result['outcome']): Result {
  return { id: `${tool}/${run}`, tool, part: 'kill-all', intervalMs: 100, run, at: '', tookMs: 3_000, outcome };
}

test('the table has a row for each tool, fault and interval, and says where double service went on', t => {
  const table = tablesOf(summaryOf(RESULTS)).split('\n');
  t.is(table.length, 4);
  t.is(
    table[2],
    '| all processes killed | 100 | keepalived | 2 | 1, 12, 12 | 0, 0 | 150, 150, **still at the end: 1 of 2** | 150, 150 |',
  );
  t.is(table[3], '| all processes killed | 100 | Tandem | 1 | 240, 240, 240 | 0, 0 | 0, 0 | 150, 150 |');
});

test('how fast a decision is announced is told where a manager tells it', t => {
  const told = [0.6, 0.9, 0.7].map((ms, index) =>
    result('tandem', index, { kind: 'fault', figures: FIGURES, decidedToAnnouncedMs: ms }),
  );
  t.regex(
    tablesOf(summaryOf(told)),
    /from decision to announcement.*\n.*\n\| all processes killed \| 100 \| 0.7, 0.9, 0.9 \|/,
  );
});

test('the plot is well-formed: a mark for each row, higher where the gap is longer', t => {
  const svg = plotOf(summaryOf(RESULTS));
  const heights = [...svg.matchAll(/<circle cx="[\d.]+" cy="([\d.]+)" r="4"/g)].map(match => Number(match[1]));
  t.is(heights.length, 2);
  t.true((heights[1] ?? 0) < (heights[0] ?? 0));
  t.notRegex(svg, /NaN|undefined|Infinity/);
  t.is([...svg.matchAll(/<g /g)].length, [...svg.matchAll(/<\/g>/g)].length);
});

test('a plot of nothing is still a picture', t => {
  t.notRegex(plotOf(summaryOf([])), /NaN|undefined|Infinity/);
});

test('the report replaces only what stands between its marks', t => {
  const begin = '<!-- bench-failover: begin, written by scripts/bench failover --report -->';
  const end = '<!-- bench-failover: end -->';
  t.is(intoDocument(`before\n${begin}\nold\n${end}\nafter\n`, 'new\n'), `before\n${begin}\nnew\n${end}\nafter\n`);
  t.throws(() => intoDocument('no marks', 'new'), { message: /lacks the lines/ });
});
