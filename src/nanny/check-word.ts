// What one router's nannies say of a real server to the other router: state and reason, in few
// bytes. Pure. It comes from the network, so every field has a bound; fields that a later version
// adds are left out, not refused.
import { z } from 'zod';
import { STAGES } from '../config/check-stages.ts';
import { ms } from '../units/duration.ts';
import type { Verdict } from './verdict.ts';

/** How often a router says it all again. */
export const CHECKS_EVERY_MS = ms(5_000);
/** What has not been said again for so long holds no more. */
export const CHECKS_STALE_MS = ms(3 * CHECKS_EVERY_MS);
const NAME_MAX = 64;
const PROBLEM_MAX = 200;

export const checkWordSchema = z.object({
  service: z.string().max(NAME_MAX),
  server: z.string().max(NAME_MAX),
  state: z.enum(['unknown', 'up', 'misconfigured', 'down']),
  /** Of the last check if that failed. */
  stage: z.enum(STAGES).nullable(),
  problem: z.string().max(PROBLEM_MAX),
});
export type CheckWord = z.output<typeof checkWordSchema>;

export function checkWord({ service, server, state, last }: Verdict): CheckWord {
  const failed = last && !last.ok ? last : undefined;
  return { service, server, state, stage: failed?.stage ?? null, problem: failed?.problem.slice(0, PROBLEM_MAX) ?? '' };
}
