// What scripts/bench failover measures and in which order: from its command line to a list of runs with names. Pure.
import { parseArgs } from 'node:util';

export const FAULTS = ['power', 'kill-main', 'kill-all', 'stop-all', 'graceful', 'carrier', 'handover'] as const;
export type FaultName = (typeof FAULTS)[number];
/** Beside the faults: what a quiet pair costs, and what load alone does to it. */
export const PARTS = [...FAULTS, 'idle', 'load'] as const;
export type Part = (typeof PARTS)[number];
export const TOOLS = ['keepalived', 'tandem'] as const;
export type Tool = (typeof TOOLS)[number];

export interface PlannedRun {
  /** Stable: a result with this name in the state file is not measured again. */
  readonly id: string;
  readonly part: Part;
  readonly tool: Tool;
  readonly intervalMs: number;
  readonly run: number;
}

export interface Options {
  readonly runs: number;
  readonly intervals: readonly number[];
  readonly parts: readonly Part[];
  readonly tools: readonly Tool[];
  readonly loadMinutes: number;
  readonly quick: boolean;
  readonly out: string | undefined;
  readonly json: string | undefined;
  readonly report: boolean;
  readonly keepTraces: boolean;
  /** Real-time priority of both managers. */
  readonly priority: number;
}

const FULL = { runs: 20, intervals: [100, 20, 10], loadMinutes: 10 };
const QUICK = { runs: 5, intervals: [100, 10], loadMinutes: 1 };
const RUNS_MAX = 1_000;
const LOAD_MINUTES_MAX = 100;
/** keepalived counts in hundredths of a second. */
const INTERVAL_STEP_MS = 10;
const INTERVAL_MAX_MS = 1_000;
/** As both ship it; the prober has 70. */
const PRIORITY = 50;
const PRIORITY_MAX = 69;

/** Throws an Error that says which option is wrong and what it takes. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      runs: { type: 'string' },
      interval: { type: 'string' },
      only: { type: 'string' },
      tool: { type: 'string' },
      'load-minutes': { type: 'string' },
      out: { type: 'string' },
      json: { type: 'string' },
      report: { type: 'boolean', default: false },
      priority: { type: 'string' },
      'keep-traces': { type: 'boolean', default: false },
    },
  });
  const defaults = values.quick ? QUICK : FULL;
  const intervals = values.interval
    ?.split(',')
    .map(text => inRange('--interval', text, INTERVAL_STEP_MS, INTERVAL_MAX_MS));
  const uneven = intervals?.find(ms => ms % INTERVAL_STEP_MS !== 0);
  if (uneven !== undefined) throw new Error(`--interval ${uneven}: write multiples of 10, keepalived counts in 10 ms`);
  return {
    runs: values.runs === undefined ? defaults.runs : inRange('--runs', values.runs, 1, RUNS_MAX),
    intervals: intervals ?? defaults.intervals,
    parts: oneOf('--only', values.only, PARTS),
    tools: oneOf('--tool', values.tool, TOOLS),
    loadMinutes:
      values['load-minutes'] === undefined
        ? defaults.loadMinutes
        : inRange('--load-minutes', values['load-minutes'], 1, LOAD_MINUTES_MAX),
    quick: values.quick,
    out: values.out,
    json: values.json,
    report: values.report,
    keepTraces: values['keep-traces'],
    priority: values.priority === undefined ? PRIORITY : inRange('--priority', values.priority, 1, PRIORITY_MAX),
  };
}

function inRange(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new Error(`${option} ${text}: write a whole number from ${min} to ${max}`);
  return value;
}

function oneOf<Name extends string>(option: string, text: string | undefined, names: readonly Name[]): readonly Name[] {
  if (text === undefined) return names;
  const wanted = text.split(',');
  const unknown = wanted.find(word => !(names as readonly string[]).includes(word));
  if (unknown !== undefined) throw new Error(`${option} ${unknown}: choose from ${names.join(', ')}`);
  return names.filter(name => wanted.includes(name));
}

/** The runs in their order: the tools take turns, so that a machine that changes its mood changes it for both. */
export function planOf({ runs, intervals, parts, tools, loadMinutes }: Options): PlannedRun[] {
  const faults = FAULTS.filter(fault => parts.includes(fault));
  const one = (part: Part, intervalMs: number, run: number, suffix = ''): PlannedRun[] =>
    tools.map(tool => ({ id: `${tool}/${part}${suffix}/${intervalMs}/${run}`, part, tool, intervalMs, run }));
  const numbers = Array.from({ length: runs }, (_, index) => index + 1);
  return [
    ...intervals.flatMap(interval => (parts.includes('idle') ? one('idle', interval, 1) : [])),
    ...numbers.flatMap(run => intervals.flatMap(interval => faults.flatMap(fault => one(fault, interval, run)))),
    ...(parts.includes('load') ? one('load', Math.min(...intervals), 1, `-${loadMinutes}min`) : []),
  ];
}

/** What the runs not yet done will take, in ms, by the mean of those of the same kind that were done; `typicalMs` where none was. */
export function remainingMs(
  left: readonly PlannedRun[],
  done: readonly { readonly part: Part; readonly tookMs: number }[],
  typicalMs: (part: Part) => number,
): number {
  const mean = (part: Part): number => {
    const same = done.filter(run => run.part === part);
    return same.length === 0 ? typicalMs(part) : same.reduce((sum, { tookMs }) => sum + tookMs, 0) / same.length;
  };
  return left.reduce((sum, { part }) => sum + mean(part), 0);
}
