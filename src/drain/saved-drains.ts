// How drains are on disk, and what is left of their time when they are read again: after a restart
// of the director the monotonic clock has gone on, after a reboot it has begun anew. The wall clock
// has no say. Pure.
import { z } from 'zod';
import { type Moment, passedSince } from '../units/moment.ts';
import { COUNTER_MAX, drainWordSchema } from './drain-word.ts';
import { DRAINS_MAX, type Drains, drainKey, fromWords, toWords } from './drains.ts';

/** In the state directory. */
export const DRAINS_FILE = 'director-drains.json';

const fileSchema = z.object({
  version: z.literal(1),
  /** The kernel's boot id when it was written. */
  boot: z.string().max(64),
  /** Then, on the monotonic clock. */
  atMs: z.number().min(0),
  counter: z.int().min(0).max(COUNTER_MAX),
  words: z.array(drainWordSchema).max(DRAINS_MAX),
});

export function formatDrains(drains: Drains, { boot, now }: Moment): string {
  const words = toWords(drains, now);
  return `${JSON.stringify({ version: 1, boot, atMs: Math.floor(now), counter: drains.counter, words })}\n`;
}

/**
 * Undefined when it is not a file of ours. After a reboot a drain has what was left when the file
 * was last written: the time in which the machine was off is nobody's.
 */
export function parseDrains(text: string, moment: Moment): Drains | undefined {
  const parsed = fileSchema.safeParse(jsonOf(text));
  if (!parsed.success) return undefined;
  const { counter, words } = parsed.data;
  const passed = passedSince(parsed.data, moment);
  const aged = words.map(word => ({ ...word, leftMs: Math.max(0, word.leftMs - passed) }));
  const decrees = new Map(fromWords(aged, moment.now).map(one => [drainKey(one), one]));
  const highest = Math.max(counter, ...words.map(word => word.counter));
  return { counter: highest, decrees };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
