// Claims that fail (an interface that is missing, an address that the kernel refuses), and
// handovers that nobody takes, are tried again after a pause that doubles, so that they neither
// spin nor fill the history. What may have changed the cause ends the pause at once. Pure.
import { type At, after } from '../../../units/duration.ts';
import { retryPause } from '../../timing.ts';
import type { Retry } from '../known.ts';
import type { Settings } from '../machine.ts';

export const NO_FAILURES: Retry = { failures: 0, pauseUntil: undefined };

/** After one more failure. */
export function afterFailure(before: Retry, { deadMs }: Settings, now: At): Retry {
  const failures = before.failures + 1;
  return { failures, pauseUntil: after(now, retryPause(deadMs, failures)) };
}

/** The last try has just failed, and the next has its time. */
export function pauses({ pauseUntil }: Retry, now: At): boolean {
  return pauseUntil !== undefined && now < pauseUntil;
}
