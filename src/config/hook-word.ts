// What the directors of a pair say to each other of their hooks: that a message on something that
// both may notice has got through. Pure. It comes from the network, so every field has a bound;
// fields that a later version adds are left out, not refused.
import { z } from 'zod';

export const DEDUP_LENGTH_MAX = 300;

export const hookWordSchema = z.object({
  /** Name of the hook. */
  hook: z.string().min(1).max(64),
  /** What the message was about: the same on both routers. */
  dedup: z.string().min(1).max(DEDUP_LENGTH_MAX),
});
export type HookWord = z.output<typeof hookWordSchema>;
