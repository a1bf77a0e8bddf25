// What pulse has logged lately, beside a snapshot on the same line: hooks act on it. A reader that
// knows nothing of it leaves it out. Pure.
import { z } from 'zod';
import { snapshotSchema } from './message.ts';

const feedEventSchema = z.object({
  /** From 1, one more with each. */
  seq: z.int(),
  /** Wall time, ISO 8601. */
  at: z.string(),
  code: z.string(),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
export type FeedEvent = z.output<typeof feedEventSchema>;

const feedEventsSchema = z.object({
  /** Of the process: the numbers begin anew with each. */
  life: z.string(),
  /** Newest last. */
  list: z.array(feedEventSchema),
});
export type FeedEvents = z.output<typeof feedEventsSchema>;

/** A line of the feed. */
export const feedLineSchema = snapshotSchema.extend({ events: feedEventsSchema.optional() });

/** Up to which event of pulse this router's hooks have been told. */
export const feedMarkSchema = z.object({ life: z.string(), seq: z.int() });
export type FeedMark = z.output<typeof feedMarkSchema>;

/** What is new since `mark`, and how many between were not kept. */
export function newEvents(
  { life, list }: FeedEvents,
  mark: FeedMark | undefined,
): { readonly events: readonly FeedEvent[]; readonly missed: number; readonly mark: FeedMark } {
  const seen = mark?.life === life ? mark.seq : 0;
  const events = list.filter(({ seq }) => seq > seen);
  const first = events[0]?.seq ?? seen + 1;
  // Of a life that was never heard before nobody knows how long ago the first were.
  const missed = mark?.life === life ? first - seen - 1 : 0;
  return { events, missed, mark: { life, seq: events.at(-1)?.seq ?? seen } };
}
