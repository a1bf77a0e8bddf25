// How many checks may begin in one turn of the event loop, and in which order they wait. Pure.
// Thousands of servers are no burden while they answer at their own pace; too many checks that are
// all busy at once make each of them slow, and a healthy server would miss its deadlines by our own
// fault. A long turn is the sign of that.
import type { Ms } from '../units/duration.ts';

/** Checks that run at once. Each holds at most two sockets. */
export const CHECKS_AT_ONCE_MAX = 1_024;
/** Of them those by ICMP echo: each is a process of its own. */
export const PINGS_AT_ONCE_MAX = 64;
/** So that what runs goes on between two beginnings. */
const BEGIN_AT_ONCE_MAX = 16;
/**
 * While a turn takes longer, no check begins. One needs a dozen turns or more, so it takes half a
 * second or so of our own at most.
 */
const TURN_MS_MAX = 40;

/** `turnMs`: how long the last turn took, where checks were left for this one; else undefined. */
export function mayBegin(running: number, turnMs: Ms | undefined): number {
  if (turnMs !== undefined && turnMs > TURN_MS_MAX && running > 0) return 0;
  return Math.max(0, Math.min(BEGIN_AT_ONCE_MAX, CHECKS_AT_ONCE_MAX - running));
}

/** Puts `item` into `queue`, which is in the order of `dueAt`, behind those of its time. */
export function enqueue<T>(queue: T[], item: T, dueAt: (item: T) => number): void {
  const at = dueAt(item);
  let [low, high] = [0, queue.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (dueAt(queue[middle] as T) <= at) low = middle + 1;
    else high = middle;
  }
  queue.splice(low, 0, item);
}
