// An operator's decree on one real server of one service, drained or enabled again, as one router
// tells it to the other and as it is on disk. Pure. It comes from the network, so every field has a
// bound; fields that a later version adds are left out, not refused.
import { z } from 'zod';
import { ms } from '../units/duration.ts';

/** How often a router says it all again. */
export const DRAINS_EVERY_MS = ms(5_000);
/** What has not been said again for so long is not known to be there any more. */
export const DRAINS_STALE_MS = ms(3 * DRAINS_EVERY_MS);
/** More than anybody decrees. */
export const COUNTER_MAX = 2 ** 48;
/** Longest time for a drain: a year. */
export const SPAN_MS_MAX = 366 * 86_400_000;
export const REASON_MAX = 200;
export const WHO_MAX = 64;
const NAME_MAX = 64;

const span = z.number().min(0).max(SPAN_MS_MAX);

export const drainWordSchema = z.object({
  service: z.string().min(1).max(NAME_MAX),
  server: z.string().min(1).max(NAME_MAX),
  /** Of two decrees on a server the one with the higher counter holds, then the router's name. */
  counter: z.int().min(1).max(COUNTER_MAX),
  /** Name of the router that took the command. */
  router: z.string().max(NAME_MAX),
  /** False: it takes clients again. */
  drained: z.boolean(),
  /**
   * Time for its sessions: in all, and what is left of it. Never an instant: the clocks of two
   * machines, or of one before and after a reboot, do not agree.
   */
  spanMs: span,
  leftMs: span,
  /** Wall time of the decree, ISO 8601, for people. */
  since: z.string().max(40),
  reason: z.string().max(REASON_MAX),
  /** Who gave the command, as far as that is known. */
  who: z.string().max(WHO_MAX),
});
export type DrainWord = z.output<typeof drainWordSchema>;
