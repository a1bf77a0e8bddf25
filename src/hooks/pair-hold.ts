// What both routers notice is told once. The owner sends at once and tells the peer what it has
// sent; the other router keeps the same message back, and sends it itself unless it hears in time
// that the peer has, or as soon as it is the owner. So a router that dies with a message, or whose
// receiver it cannot reach, loses nothing; where the two cannot talk, a message comes twice. Pure.
import { type At, after, between, type Ms, ms } from '../units/duration.ts';
import type { HookMessage } from './hook-message.ts';

/** Time for the peer to notice the same, to send it, and to say so. */
export const HOLD_MS = ms(30_000);
/** For so long a word on what this router has not noticed yet is kept. */
const HEARD_MS: Ms = ms(60_000);
const HEARD_MAX = 256;

export interface PairHold {
  /** The oldest first. */
  readonly held: readonly { readonly message: HookMessage; readonly at: At }[];
  /** What the peer has sent; each stands for one message. */
  readonly heard: readonly { readonly dedup: string; readonly at: At }[];
}

export const NOTHING_HELD: PairHold = { held: [], heard: [] };

/** `skip`: the peer has sent it. */
export function takeShared(
  hold: PairHold,
  message: HookMessage,
  { owns, now }: { readonly owns: boolean; readonly now: At },
): { readonly next: PairHold; readonly does: 'send' | 'hold' | 'skip' } {
  const heard = hold.heard.filter(({ at }) => between(at, now) < HEARD_MS);
  const word = heard.find(({ dedup }) => dedup === message.dedup);
  if (word !== undefined) return { next: { ...hold, heard: heard.filter(one => one !== word) }, does: 'skip' };
  if (owns) return { next: { ...hold, heard }, does: 'send' };
  return { next: { heard, held: [...hold.held, { message, at: now }] }, does: 'hold' };
}

/** The peer has sent one about this. */
export function hearSent(hold: PairHold, dedup: string, now: At): PairHold {
  const same = hold.held.find(({ message }) => message.dedup === dedup);
  if (same !== undefined) return { ...hold, held: hold.held.filter(one => one !== same) };
  return { ...hold, heard: [...hold.heard, { dedup, at: now }].slice(-HEARD_MAX) };
}

/** What is to be sent from here after all: `most` are kept back, and none longer than HOLD_MS. */
export function releaseHeld(
  hold: PairHold,
  { owns, now, most }: { readonly owns: boolean; readonly now: At; readonly most: number },
): { readonly next: PairHold; readonly messages: readonly HookMessage[] } {
  const tooMany = Math.max(0, hold.held.length - most);
  const isDue = (at: At, index: number) => owns || index < tooMany || after(at, HOLD_MS) <= now;
  const messages = hold.held.filter(({ at }, index) => isDue(at, index)).map(({ message }) => message);
  if (messages.length === 0) return { next: hold, messages };
  return { next: { ...hold, held: hold.held.filter(({ at }, index) => !isDue(at, index)) }, messages };
}
