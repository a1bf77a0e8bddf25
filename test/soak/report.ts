// The soak's report: as data for --json, as text for people. Pure.
import type { Life, LifeReport } from './lives.ts';
import { tellingReports } from './lives.ts';
import { type Fault, type FaultKind, faultInWords } from './schedule.ts';

/** Half a heartbeat interval. */
const STALL_MS = 50;

/** A fault that is over, with what it left. */
export interface Done {
  readonly index: number;
  readonly fault: Fault;
  readonly outcome: {
    readonly active: 'r1' | 'r2';
    readonly moves: number;
    readonly gapMs: number;
    readonly overlapMs: number;
    readonly kernelOverlapMs: number;
    readonly planned: boolean;
    readonly settledMs: number;
    readonly stalledMs: number;
    readonly highest: number;
    readonly problems: readonly string[];
  };
}

export interface Parts {
  readonly seed: number;
  readonly from: number;
  readonly asan: boolean;
  readonly gated: boolean;
  readonly seconds: number;
  readonly done: readonly Done[];
  readonly lives: readonly Life[];
  readonly transcript: readonly string[];
  readonly logs: Readonly<Record<'r1' | 'r2', readonly string[]>>;
}

export interface KindReport {
  readonly kind: FaultKind;
  readonly count: number;
  readonly moves: number;
  /** The client's longest wait in each, ms. */
  readonly gapMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly settledMsMax: number;
}

export interface Report {
  readonly seed: number;
  readonly from: number;
  readonly asan: boolean;
  /** The packet lease was in force. */
  readonly gated: boolean;
  readonly seconds: number;
  readonly faults: number;
  readonly failovers: number;
  readonly kinds: readonly KindReport[];
  /** Longest time in which both routers answered, or both kernels had the VIP: in planned handovers, and else. */
  readonly overlapMs: { readonly planned: number; readonly unplanned: number };
  readonly kernelOverlapMs: { readonly planned: number; readonly unplanned: number };
  /** The machine ran nobody for so long, ms; and in how many faults for half an interval or more. */
  readonly stalls: { readonly msMax: number; readonly faults: number };
  readonly growth: readonly LifeReport[];
  readonly processes: number;
  readonly problems: readonly string[];
  /** The last events before the end, when something was wrong. */
  readonly transcript: readonly string[];
  readonly logs: Readonly<Record<string, readonly string[]>>;
}

export function reportOf(parts: Parts): Report {
  const { done, lives, asan } = parts;
  const growth = tellingReports(lives, asan);
  const found = done.flatMap(({ index, fault, outcome }) =>
    outcome.problems.map(problem => `fault ${index} (${faultInWords(fault)}): ${problem}`),
  );
  const problems = [...found, ...growth.filter(({ verdict }) => verdict === 'leak').map(leakInWords)];
  const wrong = problems.length > 0;
  const { seed, from, gated, seconds } = parts;
  return {
    ...{ seed, from, asan, gated, seconds },
    faults: done.length,
    failovers: done.reduce((sum, { outcome }) => sum + outcome.moves, 0),
    kinds: kindsOf(done),
    overlapMs: worst(done, ({ overlapMs }) => overlapMs),
    kernelOverlapMs: worst(done, ({ kernelOverlapMs }) => kernelOverlapMs),
    stalls: {
      msMax: done.reduce((most, { outcome }) => Math.max(most, outcome.stalledMs), 0),
      faults: done.filter(({ outcome }) => outcome.stalledMs >= STALL_MS).length,
    },
    growth,
    processes: lives.length,
    problems,
    transcript: wrong ? parts.transcript : [],
    logs: wrong ? parts.logs : {},
  };
}

function leakInWords({ daemon, router, pid, metric, growth }: LifeReport): string {
  const { first, last, perHour, perChange, samples } = growth;
  return `${daemon} ${pid} of ${router} grows: ${metric} ${first} to ${last} in ${samples} looks, ${round(perHour)} an hour, ${round(perChange)} a failover`;
}

function worst(done: readonly Done[], of: (outcome: Done['outcome']) => number) {
  const most = (planned: boolean): number =>
    done
      .filter(({ outcome }) => outcome.planned === planned)
      .reduce((max, { outcome }) => Math.max(max, of(outcome)), 0);
  return { planned: most(true), unplanned: most(false) };
}

function kindsOf(done: readonly Done[]): KindReport[] {
  const kinds = [...new Set(done.map(({ fault }) => fault.kind))].sort();
  return kinds.map(kind => {
    const outcomes = done.filter(({ fault }) => fault.kind === kind).map(({ outcome }) => outcome);
    const gaps = outcomes.map(({ gapMs }) => round(gapMs));
    return {
      kind,
      count: outcomes.length,
      moves: outcomes.reduce((sum, { moves }) => sum + moves, 0),
      gapMs: { p50: quantile(gaps, 0.5), p99: quantile(gaps, 0.99), max: Math.max(...gaps) },
      settledMsMax: Math.max(...outcomes.map(({ settledMs }) => settledMs)),
    };
  });
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0;
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** The command that does the same faults again. */
export function replayCommand({ seed, from, asan, faults }: Pick<Report, 'seed' | 'from' | 'asan' | 'faults'>): string {
  const start = from === 0 ? '' : ` --from ${from}`;
  return `scripts/soak --seed ${seed}${start} --faults ${faults}${asan ? ' --asan' : ''}`;
}

export function reportText(report: Report): string {
  const { overlapMs, kernelOverlapMs } = report;
  const both = (name: string, { planned, unplanned }: Report['overlapMs']): string =>
    `${name}: ${round(planned)} ms at most in planned handovers, ${round(unplanned)} ms else`;
  return [
    `seed ${report.seed}, ${report.faults} faults in ${Math.round(report.seconds)} s, ${report.failovers} failovers, ${report.processes} daemons' lives${report.asan ? ', vipd under AddressSanitizer' : ''}, packet lease ${report.gated ? 'on' : 'off'}`,
    '',
    '| fault | count | failovers | longest wait of a client, ms: p50 | p99 | max | settled after, ms: max |',
    '|---|---|---|---|---|---|---|',
    ...report.kinds.map(
      ({ kind, count, moves, gapMs, settledMsMax }) =>
        `| ${kind} | ${count} | ${moves} | ${gapMs.p50} | ${gapMs.p99} | ${gapMs.max} | ${settledMsMax} |`,
    ),
    '',
    both('both routers answered', overlapMs),
    both('both kernels had the VIP', kernelOverlapMs),
    `the machine stood still for ${report.stalls.msMax} ms at most, for ${STALL_MS} ms or more in ${report.stalls.faults} faults`,
    '',
    '| of the longest life | looks | first | last | per hour | per failover | trend | verdict |',
    '|---|---|---|---|---|---|---|---|',
    ...report.growth.map(
      ({ daemon, router, metric, growth, verdict }) =>
        `| ${daemon} (${router}) ${metric} | ${growth.samples} | ${growth.first} | ${growth.last} | ${round(growth.perHour)} | ${round(growth.perChange)} | ${round(growth.trend)} | ${verdict} |`,
    ),
    '',
    ...(report.problems.length === 0
      ? ['nothing wrong']
      : [
          'what happened last:',
          ...report.transcript,
          '',
          `${report.problems.length} findings:`,
          ...report.problems,
          '',
          `again: ${replayCommand(report)}`,
        ]),
  ].join('\n');
}
