// When something is done again and again, as the config says it: every so often, or at times of the
// day that a person chose. Pure.
import { type Ms, parseDuration } from './duration.ts';

export type Schedule =
  /** By the monotonic clock: no step of the wall clock is felt. */
  | { readonly type: 'every'; readonly everyMs: Ms }
  /** By the wall clock, as cron writes it; whether the expression is one is checked by rules.ts. */
  | { readonly type: 'cron'; readonly expression: string };

/** "30s" is a pause, anything else a cron expression. */
export function parseSchedule(text: string): Schedule {
  const everyMs = parseDuration(text);
  return everyMs === undefined ? { type: 'cron', expression: text } : { type: 'every', everyMs };
}
