// Runs of scripts/bench failover become figures by tool, fault and interval. Pure.
import { FAULTS, type FaultName, type PlannedRun, TOOLS, type Tool } from './failover-plan.ts';
import type { Figures, LoadFigures } from './failover-trace.ts';

export interface Cost {
  readonly router: string;
  readonly process: string;
  /** Share of one processor, in percent. */
  readonly cpuPercent: number;
  readonly residentKib: number;
  /** Its own share of what processes have in common. */
  readonly proportionalKib: number;
}

export type Outcome =
  /** `decidedToAnnouncedMs`: from the claim's decision to its first announcement, where the manager tells it. */
  | { readonly kind: 'fault'; readonly figures: Figures; readonly decidedToAnnouncedMs?: number | null }
  | { readonly kind: 'load'; readonly figures: LoadFigures }
  | { readonly kind: 'idle'; readonly costs: readonly Cost[] };

export interface Result extends PlannedRun {
  /** Wall time, for people. */
  readonly at: string;
  readonly tookMs: number;
  readonly outcome: Outcome;
}

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** One fault at one interval for one tool. */
export interface Row {
  readonly tool: Tool;
  readonly fault: FaultName;
  readonly intervalMs: number;
  readonly runs: number;
  readonly gapMs: Spread;
  readonly lost: Spread;
  readonly bothServedMs: Spread;
  readonly bothHeldMs: Spread;
  /** Runs in which both still served when the observation ended. */
  readonly bothServedAtEnd: number;
  readonly notRestored: number;
  /** Runs in which the VIP had moved by itself before the fault; in none of the figures. */
  readonly movedBefore: number;
  /** Probes that were lost before the fault, in all these runs: the service of a pair in peace. */
  readonly lostBefore: number;
  /** null: not told. */
  readonly decidedToAnnouncedMs: Spread | null;
}

export interface CostRow {
  readonly tool: Tool;
  readonly intervalMs: number;
  readonly router: string;
  readonly process: string;
  readonly cpuPercent: number;
  readonly residentKib: number;
  readonly proportionalKib: number;
}

export interface Summary {
  readonly rows: readonly Row[];
  readonly costs: readonly CostRow[];
  readonly loads: readonly (LoadFigures & { readonly tool: Tool; readonly intervalMs: number })[];
}

/** Nearest rank: with fewer than 100 values p99 is the greatest. NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

function spread(values: readonly number[]): Spread {
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99), max: quantile(values, 1) };
}

export function summaryOf(results: readonly Result[]): Summary {
  const intervals = [...new Set(results.map(({ intervalMs }) => intervalMs))].sort((a, b) => b - a);
  const rows = FAULTS.flatMap(fault =>
    intervals.flatMap(intervalMs => TOOLS.flatMap(tool => rowOf(results, { tool, fault, intervalMs }))),
  );
  const costs = results.flatMap(({ tool, intervalMs, outcome }) =>
    outcome.kind === 'idle' ? outcome.costs.map(cost => ({ tool, intervalMs, ...cost })) : [],
  );
  const loads = results.flatMap(({ tool, intervalMs, outcome }) =>
    outcome.kind === 'load' ? [{ tool, intervalMs, ...outcome.figures }] : [],
  );
  return { rows, costs, loads };
}

function rowOf(results: readonly Result[], cell: Pick<Row, 'tool' | 'fault' | 'intervalMs'>): Row[] {
  const all = results.flatMap(({ tool, part, intervalMs, outcome }) =>
    tool === cell.tool && part === cell.fault && intervalMs === cell.intervalMs && outcome.kind === 'fault'
      ? [outcome]
      : [],
  );
  const counted = all.filter(outcome => !outcome.figures.movedBefore);
  const figures = counted.map(outcome => outcome.figures);
  if (figures.length === 0) return [];
  const announcing = counted.flatMap(({ decidedToAnnouncedMs }) => decidedToAnnouncedMs ?? []);
  return [
    {
      ...cell,
      runs: figures.length,
      gapMs: spread(figures.map(({ gapMs }) => gapMs)),
      lost: spread(figures.map(({ lost }) => lost)),
      bothServedMs: spread(figures.map(({ bothServedMs }) => bothServedMs)),
      bothHeldMs: spread(figures.map(({ bothHeldMs }) => bothHeldMs)),
      bothServedAtEnd: figures.filter(({ bothServedAtEnd }) => bothServedAtEnd).length,
      notRestored: figures.filter(({ restored }) => !restored).length,
      movedBefore: all.length - figures.length,
      lostBefore: figures.reduce((sum, { lostBefore }) => sum + lostBefore, 0),
      decidedToAnnouncedMs: announcing.length > 0 ? spread(announcing) : null,
    },
  ];
}

const BEGIN = '<!-- bench-failover: begin, written by scripts/bench failover --report -->';
const END = '<!-- bench-failover: end -->';

/** The document with the part between the two marks replaced; throws when they are not there. */
export function intoDocument(document: string, text: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the document lacks the lines "${BEGIN}" and "${END}"; put them back`);
  return `${document.slice(0, begin)}${BEGIN}\n${text.trim()}\n${document.slice(end)}`;
}
