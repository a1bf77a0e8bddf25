// What operators have decreed for real servers at runtime: drained, or enabled again. One register
// for each server of a service, in which the last writer wins by a Lamport clock (L. Lamport, Time,
// Clocks, 1978) and the router's name: so two routers that tell each other all they have, in any
// order and however often, come to the same. Pure.
import { type At, after, between, type Ms, ms } from '../units/duration.ts';
import { COUNTER_MAX, type DrainWord } from './drain-word.ts';

/** More than the servers of any config; what does not fit is not taken. */
export const DRAINS_MAX = 4_096;
/**
 * So far ahead of the own counter a word of the peer may be: more than anybody decrees while a
 * router is away. A counter that a fault has made huge must not become ours, or there would soon be
 * none that is higher.
 */
export const LEAP_MAX = 2 ** 24;

/** A decree with its end on this router's monotonic clock. */
export interface Decree extends Omit<DrainWord, 'leftMs'> {
  readonly deadlineAt: At;
}

export interface Drains {
  /** The highest counter that was ever seen. */
  readonly counter: number;
  /** By `drainKey`; an enabled server keeps its entry, or an older drain would come back. */
  readonly decrees: ReadonlyMap<string, Decree>;
}

export const NO_DRAINS: Drains = { counter: 0, decrees: new Map() };

/** A real server of a service, by their names in the config. */
export interface ServerName {
  readonly service: string;
  readonly server: string;
}

export function drainKey({ service, server }: ServerName): string {
  return `${service}/${server}`;
}

type Known = (name: ServerName) => boolean;

/** What an operator asks for. */
export interface Order {
  readonly drained: boolean;
  readonly spanMs: Ms;
  readonly router: string;
  readonly since: string;
  readonly reason: string;
  readonly who: string;
}

/** Why there is no room for a command on `servers`, with what to do; undefined: there is. */
export function noRoom(before: Drains, servers: readonly ServerName[]): string | undefined {
  if (before.counter >= COUNTER_MAX)
    return 'the counter of drains is at its end: stop tandem-director on both routers, remove director-drains.json from their state directories, start both, and drain again';
  const keys = new Set([...before.decrees.keys(), ...servers.map(drainKey)]);
  if (keys.size <= DRAINS_MAX) return undefined;
  return `no more than ${DRAINS_MAX} servers can be drained, or have been since they came into the config: take fewer at once`;
}

/** The register after a command on `servers`. Throws when there is no room for it. */
export function decree(before: Drains, servers: readonly ServerName[], order: Order, now: At): Drains {
  const problem = noRoom(before, servers);
  if (problem !== undefined) throw new RangeError(problem);
  const counter = before.counter + 1;
  const deadlineAt = order.drained ? after(now, order.spanMs) : (0 as At);
  const decrees = new Map(before.decrees);
  for (const { service, server } of servers) {
    decrees.set(drainKey({ service, server }), { ...order, service, server, counter, deadlineAt });
  }
  return { counter, decrees };
}

/** Whether a decree of the other router is too far ahead to be taken: see LEAP_MAX. */
export function isTooFar(before: Pick<Drains, 'counter'>, other: Pick<Decree, 'counter'>): boolean {
  return other.counter - before.counter > LEAP_MAX;
}

/**
 * Takes decrees of the other router; those on servers that are not known, and those that are too
 * far ahead, are left out.
 */
export function merge(before: Drains, others: readonly Decree[], known: Known): Drains {
  let { counter } = before;
  const decrees = new Map(before.decrees);
  for (const other of others) {
    if (isTooFar(before, other)) continue;
    // A counter that is known of is never used again, whatever becomes of its decree.
    counter = Math.max(counter, other.counter);
    const key = drainKey(other);
    const own = decrees.get(key);
    if (known(other) && (own !== undefined || decrees.size < DRAINS_MAX)) {
      decrees.set(key, own === undefined ? other : joined(own, other));
    }
  }
  return { counter, decrees };
}

/** Without decrees on unknown servers: one that leaves the config and comes back is new. */
export function withoutUnknown(drains: Drains, known: Known): Drains {
  return { ...drains, decrees: new Map([...drains.decrees].filter(([, one]) => known(one))) };
}

/**
 * The newer of two decrees on one server. Of the same one the earlier end holds: what comes over a
 * network is late, never early, and a router that was off does not count the time.
 */
function joined(a: Decree, b: Decree): Decree {
  const order = compare(a, b);
  if (order !== 0) return order > 0 ? a : b;
  return a.deadlineAt <= b.deadlineAt ? a : b;
}

/** A total order, so that it does not matter who merges first. */
function compare(a: Decree, b: Decree): number {
  return (
    a.counter - b.counter ||
    compareText(a.router, b.router) ||
    Number(a.drained) - Number(b.drained) ||
    compareText(about(a), about(b))
  );
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a > b ? 1 : -1;
}

function about({ spanMs, since, reason, who }: Decree): string {
  return JSON.stringify([spanMs, since, reason, who]);
}

type Name = Pick<Decree, 'counter' | 'router' | 'drained'>;

/** Whether both have the same decree, whatever is left of its time. */
export function isSameDecree(a: Name, b: Name): boolean {
  return a.counter === b.counter && a.router === b.router && a.drained === b.drained;
}

/** What is decreed otherwise than before. */
export function newsOf(before: Drains, after: Drains): readonly Decree[] {
  return [...after.decrees].flatMap(([key, one]) => {
    const was = before.decrees.get(key);
    return was !== undefined && isSameDecree(was, one) ? [] : [one];
  });
}

/** The decree on a server that is drained now; undefined: it takes clients. */
export function drainOf(drains: Drains, name: ServerName): Decree | undefined {
  const found = drains.decrees.get(drainKey(name));
  return found?.drained ? found : undefined;
}

/** All that are drained, in the order of their names. */
export function drained(drains: Drains): readonly Decree[] {
  const all = [...drains.decrees.values()].filter(one => one.drained);
  return all.sort((a, b) => compareText(drainKey(a), drainKey(b)));
}

export function leftMs({ deadlineAt }: Pick<Decree, 'deadlineAt'>, now: At): Ms {
  return ms(Math.max(0, Math.round(between(now, deadlineAt))));
}

export function toWords(drains: Drains, now: At): readonly DrainWord[] {
  return [...drains.decrees.values()].map(one => {
    const { deadlineAt: _deadlineAt, ...word } = one;
    return { ...word, leftMs: Math.min(leftMs(one, now), one.spanMs) };
  });
}

export function fromWords(words: readonly DrainWord[], now: At): readonly Decree[] {
  return words.map(({ leftMs: left, ...word }) => {
    return { ...word, deadlineAt: word.drained ? after(now, ms(Math.min(left, word.spanMs))) : (0 as At) };
  });
}
