// Whether a failure fell into a stand-still of the machine. Pure. A watch measures stand-stills all the time (watch.ts), tests say
// which step they are in (step.ts): a failure is called disturbed only when the watch saw one within the step that failed,
// never because it failed.

/** A time during which the watch, ready to run every few milliseconds, did not run. Wall time in ms. */
export interface StandStill {
  readonly from: number;
  readonly to: number;
}

/** A step that a test began. */
export interface Step {
  readonly at: number;
  /** The test's title, where several run at once. */
  readonly test?: string;
  readonly what: string;
}

/**
 * Shorter ones are the daily business of a machine with more processes than processors (seen with one core busy: 4 to 12 ms); the
 * tightest margin of a test with the default times is D − L = 80 ms, less H of doubt about the last heartbeat.
 */
export const STAND_STILL_MS = 30;

/** The last step that began before `failedAt`: of that test, or, where steps name no test, of any. */
export function failingStep(steps: readonly Step[], title: string, failedAt: number): Step | undefined {
  return steps.findLast(step => step.at <= failedAt && (step.test === undefined || step.test === title));
}

/** The longest stand-still, in ms, that reached into the time from `from` to `to`; 0 when there was none. */
export function longestWithin(seen: readonly StandStill[], from: number, to: number): number {
  const inside = seen.filter(one => one.to >= from && one.from <= to).map(one => one.to - one.from);
  return Math.max(0, ...inside);
}

export interface Disturbed {
  readonly step: Step;
  readonly standStillMs: number;
}

/** What disturbed a failed test; undefined when nothing did. */
export function disturbance(
  failure: { readonly title: string; readonly failedAt: number },
  steps: readonly Step[],
  seen: readonly StandStill[],
): Disturbed | undefined {
  const step = failingStep(steps, failure.title, failure.failedAt);
  if (!step) return undefined;
  const standStillMs = longestWithin(seen, step.at, failure.failedAt);
  return standStillMs >= STAND_STILL_MS ? { step, standStillMs } : undefined;
}
