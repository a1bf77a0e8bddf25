// What the directors of a pair say to each other for `tandem reload --pair`: one asks the other to
// look at its own file, then to take it. Pure. It comes from the network, so every field has a
// bound; fields that a later version adds are left out, not refused.
import { z } from 'zod';

/** For the word of one control message: the rest is for what is around it (frame.ts). */
const WORD_BYTES_MAX = 3_900;
const WORDS_MAX = 8;
const WORDS_LENGTH_MAX = 300;

const digest = z.string().regex(/^[0-9a-f]{16}$/);
const step = z.enum(['check', 'apply']);

const askSchema = z.object({
  says: z.literal('ask'),
  /** Random, new for each `tandem reload --pair`: who hears it twice does it once. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  step,
  /** The config that is meant; null: whatever the file says (check). */
  digest: digest.nullable(),
  /** How long the asker waits: later it is not done any more. */
  withinMs: z.int().min(1).max(120_000),
});
export type ReloadAsk = z.output<typeof askSchema>;

const answerSchema = z.object({
  says: z.literal('answer'),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  step,
  /** check: it can be taken as a whole; apply: it is in use, in the kernel and by pulse, too. */
  ok: z.boolean(),
  /** Path of the file there. */
  file: z.string().max(WORDS_LENGTH_MAX),
  /** Of the config in use there, now; and before what was asked; null: it does not say. */
  inUse: digest,
  inUseBefore: digest.nullable().default(null),
  /** Of its file; null: it has mistakes, or was not read. */
  digest: digest.nullable(),
  /** Of the parts of its file (partDigests). */
  parts: z.record(z.string().max(80), z.string().regex(/^[0-9a-f]{8}$/)),
  /** Parts that wait for a restart of pulse there. */
  waiting: z.array(z.string().max(WORDS_LENGTH_MAX)).max(WORDS_MAX),
  /** What is wrong, each a sentence. */
  words: z.array(z.string().max(WORDS_LENGTH_MAX)).max(WORDS_MAX),
});
export type ReloadAnswer = z.output<typeof answerSchema>;

export const reloadWordSchema = z.discriminatedUnion('says', [askSchema, answerSchema]);
export type ReloadWord = z.output<typeof reloadWordSchema>;

/** The answer cut to what one message takes: the parts go first, then the last words. */
export function fittingAnswer(answer: ReloadAnswer): ReloadAnswer {
  const short = (text: string) => text.slice(0, WORDS_LENGTH_MAX);
  let fitting = {
    ...answer,
    file: short(answer.file),
    waiting: answer.waiting.slice(0, WORDS_MAX).map(short),
    words: answer.words.slice(0, WORDS_MAX).map(short),
  };
  if (isTooLong(fitting)) fitting = { ...fitting, parts: {} };
  while (isTooLong(fitting) && fitting.words.length > 0) fitting = { ...fitting, words: fitting.words.slice(0, -1) };
  return isTooLong(fitting) ? { ...fitting, waiting: [], file: '' } : fitting;
}

const isTooLong = (answer: ReloadAnswer) => Buffer.byteLength(JSON.stringify(answer)) > WORD_BYTES_MAX;
