// What the director says of its hooks, and what it keeps of them across a restart. Pure.
import { z } from 'zod';
import { type FeedMark, feedMarkSchema } from '../feed/feed-events.ts';
import { SEVERITIES } from '../log/event.ts';
import type { HookMessage } from './hook-message.ts';

export interface HookReport {
  readonly name: string;
  /** What it does. */
  readonly does: string;
  /** The last message was given up, and none has got through since. */
  readonly failing: boolean;
  /** Messages that wait, the one that is under way included. */
  readonly waiting: number;
  /** Tries of that one that failed. */
  readonly tries: number;
  /** Kept back besides, since the owner of the VIPs sends the same. */
  readonly held: number;
  /** Since the director's start: that got through, were given up, and had to go for others. */
  readonly sent: number;
  readonly lost: number;
  readonly dropped: number;
  /** Wall time of the last try, ISO 8601; null: none yet. */
  readonly triedAt: string | null;
  /** How it ended; empty: none yet. */
  readonly outcome: string;
}

/** A sentence for each that loses messages. */
export function hookNotices(reports: readonly HookReport[], node: string): string[] {
  return reports
    .filter(({ failing }) => failing)
    .map(
      ({ name, outcome, lost }) =>
        `hook ${name} of ${node} loses messages (${lost}): ${outcome}; then: tandem hooks test ${name}`,
    );
}

export interface KeptHooks {
  readonly mark: FeedMark | undefined;
  /** By name: what had not got through. */
  readonly waiting: Readonly<Record<string, readonly HookMessage[]>>;
}

export const NOTHING_KEPT: KeptHooks = { mark: undefined, waiting: {} };

const messageSchema = z.object({
  schema: z.literal('tandem-event/1'),
  id: z.string(),
  time: z.string(),
  pair: z.string(),
  node: z.string(),
  process: z.string(),
  code: z.string(),
  severity: z.enum(SEVERITIES),
  dedup: z.string(),
  pairWide: z.boolean(),
  text: z.string(),
  message: z.string(),
  remedy: z.string().nullable(),
  ends: z.array(z.string()),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});

const keptSchema = z.object({
  version: z.literal(1),
  mark: feedMarkSchema.optional(),
  waiting: z.record(z.string(), z.array(messageSchema)),
});

export function formatKeptHooks({ mark, waiting }: KeptHooks): string {
  return `${JSON.stringify({ version: 1, mark, waiting })}\n`;
}

export function parseKeptHooks(text: string): KeptHooks | undefined {
  try {
    const { mark, waiting } = keptSchema.parse(JSON.parse(text));
    return { mark, waiting };
  } catch {
    return undefined;
  }
}
