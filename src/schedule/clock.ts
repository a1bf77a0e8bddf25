// Compares the wall clock with the monotonic one: was it set, and which of its seconds are new?
// Pure. Whatever the wall clock does, at most SECONDS_MAX seconds are looked at: a jump of a week
// is no week of missed times.

/** Both clocks at one moment. */
export interface Clocks {
  /** Milliseconds since 1970. */
  readonly wallMs: number;
  /** CLOCK_MONOTONIC, in milliseconds. */
  readonly monotonicMs: number;
}

/** Less is the slewing of a time service, or two reads that were not quite at one moment. */
const STEP_MS_MIN = 1_000;
/** A process that stood still longer than this has missed what was before. */
export const SECONDS_MAX = 60;

/** By how much the wall clock was set between two looks, in ms; 0: it was not. */
export function stepBetween(before: Clocks, now: Clocks): number {
  const step = now.wallMs - before.wallMs - (now.monotonicMs - before.monotonicMs);
  return Math.abs(step) >= STEP_MS_MIN ? Math.round(step) : 0;
}

/**
 * The whole seconds (since 1970) that have begun since the last look, oldest first. After a step
 * only the present one: what was jumped over is missed, what comes again is done again.
 */
export function newSeconds(before: Clocks, now: Clocks): readonly number[] {
  const last = Math.floor(now.wallMs / 1_000);
  const known = Math.floor(before.wallMs / 1_000);
  const first = stepBetween(before, now) === 0 ? Math.max(known + 1, last - SECONDS_MAX + 1) : last;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
