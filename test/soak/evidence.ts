// What the soak saw from outside, made into times and judgements: who answered for the VIP and when, how long nobody or both did, which
// kernel had the address, which epochs and events the logs tell. Pure. All times wall ms.
import type { Router } from '../lab/pair/topology.ts';

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** One answer that a client got for the VIP. */
export interface Answer {
  readonly at: number;
  /** `path`: as any client asks; `one`, `two`: asked of that router's MAC directly; `arp`: who has it. */
  readonly kind: 'path' | 'one' | 'two' | 'arp';
  readonly mac: string;
}

/** A line of vip-watch; undefined when it is none. */
export function parseAnswer(line: string): Answer | undefined {
  const match = /^(\d{13,17}) (path|one|two|arp) ([0-9a-f]{2}(?::[0-9a-f]{2}){5})$/.exec(line);
  return match
    ? { at: Number(match[1]) / 1_000, kind: match[2] as Answer['kind'], mac: match[3] as string }
    : undefined;
}

/** A time in which the machine ran nobody, not even its real-time processes. */
export interface Stall {
  readonly at: number;
  readonly ms: number;
}

/** A line of vip-watch about itself. */
export function parseStall(line: string): Stall | undefined {
  const match = /^(\d{13,17}) stall (\d{1,9})$/.exec(line);
  return match ? { at: Number(match[1]) / 1_000, ms: Number(match[2]) } : undefined;
}

/** Times joined to spans wherever the next follows within `withinMs`. */
export function spansOf(times: readonly number[], withinMs: number): Span[] {
  const spans: { from: number; to: number }[] = [];
  for (const at of times) {
    const last = spans.at(-1);
    if (last && at - last.to <= withinMs) last.to = at;
    else spans.push({ from: at, to: at });
  }
  return spans;
}

/** Where spans of both lists lie over each other; a common moment counts with length 0. */
export function overlapsOf(ones: readonly Span[], twos: readonly Span[]): Span[] {
  return ones.flatMap(one =>
    twos
      .map(two => ({ from: Math.max(one.from, two.from), to: Math.min(one.to, two.to) }))
      .filter(({ from, to }) => to >= from),
  );
}

export function longest(spans: readonly Span[]): number {
  return spans.reduce((most, { from, to }) => Math.max(most, to - from), 0);
}

/** The longest time within `window` without one of these (sorted) times. */
export function longestGap(times: readonly number[], window: Span): number {
  const inside = times.filter(at => at >= window.from && at <= window.to);
  const edges = [window.from, ...inside, window.to];
  return edges.slice(1).reduce((most, at, index) => Math.max(most, at - (edges[index] as number)), 0);
}

/** A change of the VIP in a router's kernel. */
export interface Held {
  readonly router: Router;
  readonly at: number;
  readonly held: boolean;
}

/** When a router's kernel had the address; what it had before the first event, it is told. */
export function heldSpans(events: readonly Held[], router: Router, before: boolean, window: Span): Span[] {
  const spans: Span[] = [];
  let since = before ? window.from : undefined;
  for (const event of events) {
    if (event.router !== router) continue;
    if (event.held) since ??= event.at;
    else if (since !== undefined) {
      spans.push({ from: since, to: event.at });
      since = undefined;
    }
  }
  return since === undefined ? spans : [...spans, { from: since, to: window.to }];
}

/** A line of a daemon's log, with what the soak looks at. */
export interface LogLine {
  readonly router: Router;
  readonly at: number;
  readonly code: string;
  readonly severity: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A change of role as a snapshot of pulse remembers it. */
export interface RoleDecision {
  readonly router: Router;
  readonly at: number;
  readonly to: string;
  readonly epoch: string;
}

/** A router became active. */
export interface Term {
  readonly router: Router;
  readonly at: number;
  /** `counter.node`. */
  readonly epoch: string;
  /** Its place among all epochs: by counter, then by node. */
  readonly order: number;
}

/** The log leaves repetitions out, the decisions of a snapshot end with its process: terms from both, each once. */
export function termsOf(lines: readonly LogLine[], decisions: readonly RoleDecision[]): Term[] {
  const told = lines
    .filter(({ code }) => code === 'ROLE_CHANGED')
    .map(({ router, at, fields }) => ({ router, at, to: String(fields.to), epoch: String(fields.epoch) }));
  const terms = new Map<string, Term>();
  for (const { router, at, to, epoch } of [...told, ...decisions]) {
    if (to === 'active') terms.set(`${router} ${epoch}`, { router, at, epoch, order: orderOf(epoch) });
  }
  return [...terms.values()].sort((a, b) => a.at - b.at || a.order - b.order);
}

function orderOf(epoch: string): number {
  const [counter, node] = epoch.split('.').map(Number);
  return (counter ?? 0) * 4 + (node ?? 0);
}

/** Terms whose epoch is not above every one before; `highest` is the highest order of earlier faults. */
export function epochProblems(terms: readonly Term[], highest: number): string[] {
  const problems: string[] = [];
  let above = highest;
  for (const { router, epoch, order } of terms) {
    if (order <= above) problems.push(`${router} became active under epoch ${epoch}, which is not above all before it`);
    above = Math.max(above, order);
  }
  return problems;
}

/**
 * How often the VIP went to the other router's kernel, beginning with `active`. A kernel also tells of an address whose lifetime is
 * renewed, so the giver may tell of its own once more in the middle of a handover.
 */
export function movesOf(events: readonly Held[], active: Router): number {
  const holding = new Set<Router>([active]);
  let holder = active;
  let moves = 0;
  for (const { router, held } of events) {
    const fresh = held && !holding.has(router);
    if (held) holding.add(router);
    else holding.delete(router);
    const left = holding.has(holder) ? holder : ([...holding][0] ?? holder);
    const next = fresh ? router : left;
    if (next !== holder) moves += 1;
    holder = next;
  }
  return moves;
}

const CALM_SEVERITIES = ['notice', 'info', 'debug'];

/** Events that nobody expects of this fault, each once with its number. */
export function eventProblems(lines: readonly LogLine[], expected: ReadonlySet<string>): string[] {
  const counts = new Map<string, number>();
  for (const { router, code, severity, fields } of lines) {
    if (CALM_SEVERITIES.includes(severity) || expected.has(code)) continue;
    const words = `${router} told ${code} ${JSON.stringify(fields).slice(0, 400)}`;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return [...counts].map(([words, count]) => (count === 1 ? words : `${words} (${count} times)`));
}
