// What the director answers to `tandem reload`: what a reload would change, and what became of one.
// JSON over director-control.sock. Pure.
import { z } from 'zod';

/** What pulse on the same router says of the file, or why it says nothing. */
const pulseWordSchema = z.object({
  state: z.enum(['read', 'refused', 'unreachable']),
  /** Of the file that it has read; null: of none. */
  digest: z.string().nullable(),
  /** Parts that wait for a restart of pulse, by name. */
  waiting: z.array(z.string()),
  /** A sentence with what to do; empty when there is none. */
  problem: z.string(),
});
export type PulseWord = z.output<typeof pulseWordSchema>;

export const kernelPlanSchema = z.object({
  changes: z.array(z.object({ target: z.string(), change: z.string(), disruptive: z.boolean() })),
  /** Lines that nftables' table of ours would gain (+) and lose (-). */
  rules: z.array(z.string()).default([]),
  /** A director of 0.3.0 says each with its code. */
  problems: z.array(z.union([z.string(), z.object({ text: z.string() }).transform(({ text }) => text)])),
});
export type KernelPlan = z.output<typeof kernelPlanSchema>;

/** GET /reload. Nothing is changed by it. */
export const reloadPlanSchema = z.object({
  node: z.string(),
  file: z.string(),
  /** See configDigest. `after` is null when the file has mistakes. */
  digest: z.object({ before: z.string(), after: z.string().nullable() }),
  /** Each as file:line:column: what is wrong; what to write. */
  mistakes: z.array(z.string()),
  warnings: z.array(z.string()),
  changes: z.array(z.object({ kind: z.enum(['added', 'removed', 'changed']), path: z.string(), words: z.string() })),
  kernel: kernelPlanSchema,
  pulse: pulseWordSchema,
});
export type ReloadPlan = z.output<typeof reloadPlanSchema>;

/** POST /reload. */
export const reloadOutcomeSchema = z.object({
  /** Whether the director uses the file now. */
  reloaded: z.boolean(),
  /** Of the config in use. */
  digest: z.string(),
  mistakes: z.array(z.string()),
  /** Why it was not taken, where the file is without mistakes; empty otherwise. */
  problem: z.string(),
  kernel: z.object({ rulesIn: z.boolean(), errors: z.array(z.string()) }),
  pulse: pulseWordSchema,
});
export type ReloadOutcome = z.output<typeof reloadOutcomeSchema>;

/** GET /reload?pair: both routers looked at, each at its own file. */
export const pairPlanSchema = z.object({
  own: reloadPlanSchema,
  /** What the other router says of its file; null: it could not be asked, or did not answer. */
  peer: z
    .object({
      file: z.string(),
      inUse: z.string(),
      digest: z.string().nullable(),
      waiting: z.array(z.string()),
      /** What is wrong there, each a sentence. */
      words: z.array(z.string()),
    })
    .nullable(),
  peerNode: z.string(),
  /** Why both cannot reload as one, with what to do; empty: they can. */
  refusal: z.string(),
});
export type PairPlan = z.output<typeof pairPlanSchema>;

/** POST /reload?pair: the other router first, then this one. */
export const pairOutcomeSchema = z.object({
  peerNode: z.string(),
  /** unknown: neither an answer nor a heartbeat has said. */
  peer: z.enum(['untouched', 'reloaded', 'unknown']),
  /** Digests of the configs in use there before and now, as far as known. */
  peerUses: z.object({ before: z.string().nullable(), now: z.string().nullable() }),
  /** What this router did; null: nothing. */
  own: reloadOutcomeSchema.nullable(),
  /** Why not both use it as they should, with what to do; empty: both do. */
  problem: z.string(),
});
export type PairOutcome = z.output<typeof pairOutcomeSchema>;

/** Nobody has asked it. */
export const PULSE_NOT_ASKED: PulseWord = { state: 'unreachable', digest: null, waiting: [], problem: '' };
