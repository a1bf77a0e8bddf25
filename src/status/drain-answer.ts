// What the director answers to an order to drain or to enable servers. Pure.
import { z } from 'zod';

export const drainAnswerSchema = z.object({
  /** Those that the order has changed; none: nothing was to be done. */
  servers: z.array(z.object({ service: z.string(), server: z.string() })),
  /** Why it is not on disk; empty: it is. */
  unsaved: z.string(),
});
export type DrainAnswer = z.output<typeof drainAnswerSchema>;
