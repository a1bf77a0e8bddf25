// What is said on the runner's socket, each a line of JSON: one request a connection, how far it
// has come, and one answer. A request has names and no command, so whoever got at the socket could
// only have run what root has written into the config; a hook is given its message besides. Pure.
import { z } from 'zod';

/** Longest request and answer, in bytes. */
export const REQUEST_BYTES_MAX = 65_536;
export const ANSWER_BYTES_MAX = 32_768;
/** So much of a script's output is kept, the last of it, in characters. */
export const OUTPUT_KEPT_MAX = 4_096;
/** Longest reason, in characters. */
export const REASON_LENGTH_MAX = 200;

/** As much as such a file may hold. */
const secretText = z.string().max(4_096);

export const requestSchema = z.strictObject({
  run: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('fitness'), check: z.string().max(64) }),
    z.strictObject({ type: z.literal('server'), service: z.string().max(64), server: z.string().max(64) }),
    z.strictObject({ type: z.literal('hook'), hook: z.string().max(64) }),
  ]),
  /** scriptDigest(), hookDigest() of what the asking side means by that name. */
  digest: z.string().regex(/^[0-9a-f]{16}$/),
  /** Of a hook: what it is told, a JSON object (src/hooks/hook-message.ts). */
  message: z.string().max(REQUEST_BYTES_MAX).optional(),
  /** Of a webhook: what is in files that only root can read. */
  secret: z.strictObject({ url: secretText.optional(), headers: secretText.optional() }).optional(),
});
export type RunRequest = z.output<typeof requestSchema>;

/**
 * Before the answer: it waits for a place; it runs, so that its time counts from now on. Neither
 * comes where it is refused.
 */
const progressSchema = z.object({ type: z.enum(['waits', 'began']) });
export type Progress = z.output<typeof progressSchema>;

const answerSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('ended'),
    /** timeout, output: it was killed for that. */
    how: z.enum(['exit', 'signal', 'timeout', 'output']),
    /** Exit status; null: it did not end by itself. */
    status: z.int().nullable(),
    tookMs: z.number(),
    /** How it ended, with the first line of its output, if it said any. */
    reason: z.string().max(REASON_LENGTH_MAX * 2),
    /** The last of its output. */
    output: z.string().max(OUTPUT_KEPT_MAX),
  }),
  /** It was not run, and that says nothing about what it checks. */
  z.object({ type: z.literal('refused'), reason: z.string().max(REASON_LENGTH_MAX * 4) }),
]);
export type RunAnswer = z.output<typeof answerSchema>;
export const wordSchema = z.union([progressSchema, answerSchema]);
export type Ended = RunAnswer & { readonly type: 'ended' };

/** Exit status 0 is the only good end. */
export function isGood({ how, status }: Pick<Ended, 'how' | 'status'>): boolean {
  return how === 'exit' && status === 0;
}
