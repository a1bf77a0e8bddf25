// Claims that fail (an interface that is missing, an address that the kernel refuses), and handovers that nobody takes, are tried again
// after a pause that doubles, so that they neither spin nor fill the history. What may have changed the cause ends the pause at once. Pure.
import { type At, after, ms } from '../units/duration.ts';
import type { Settings } from './machine.ts';

/** Longest pause between two tries. */
const PAUSE_MS_MAX = 10_000;

export interface Retry {
  /** Failures in a row. */
  readonly failures: number;
  /** No further try before this. */
  readonly pauseUntil: At | undefined;
}

export const NO_FAILURES: Retry = { failures: 0, pauseUntil: undefined };

/** The pause after one more failure: D, doubled each time. */
export function afterFailure(before: Retry, { deadMs }: Settings, now: At): Retry {
  const failures = before.failures + 1;
  return { failures, pauseUntil: after(now, ms(Math.min(PAUSE_MS_MAX, deadMs * 2 ** (failures - 1)))) };
}

/** The last try has just failed, and the next has its time. */
export function pauses({ pauseUntil }: Retry, now: At): boolean {
  return pauseUntil !== undefined && now < pauseUntil;
}
