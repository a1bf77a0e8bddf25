// The queue of one hook: messages wait in the order of their events, one is under way, a try that
// failed is made again after a pause that doubles, and of too many the oldest goes. Pure: time is
// an argument, what is to be told is returned.
import type { HookConfig } from '../config/hook-schema.ts';
import { type At, after, type Ms, ms } from '../units/duration.ts';
import type { HookMessage } from './hook-message.ts';

/** However often it failed. */
const PAUSE_MS_MAX = 300_000;

export interface HookQueue {
  /** The oldest first; it is the one that is tried. */
  readonly waiting: readonly HookMessage[];
  /** Tries of the oldest that failed. */
  readonly failures: number;
  /** The oldest is being tried now. */
  readonly isTrying: boolean;
  /** No sooner is it tried again. */
  readonly notBefore: At;
  /** The last message was given up, and none has got through since. */
  readonly isFailing: boolean;
  /** Since the start. */
  readonly sent: number;
  readonly lost: number;
  readonly dropped: number;
}

export const EMPTY_QUEUE: HookQueue = {
  waiting: [],
  failures: 0,
  isTrying: false,
  notBefore: Number.NEGATIVE_INFINITY as At,
  isFailing: false,
  sent: 0,
  lost: 0,
  dropped: 0,
};

type Limits = Pick<HookConfig, 'queue' | 'retries' | 'retry_after'>;

/** `dropped`: what had to go for it. The message that is under way is not among those that wait. */
export function enqueueMessage(
  queue: HookQueue,
  message: HookMessage,
  { queue: most }: Pick<Limits, 'queue'>,
): { readonly next: HookQueue; readonly dropped: readonly HookMessage[] } {
  const underWay = queue.isTrying || queue.failures > 0 ? 1 : 0;
  const all = [...queue.waiting, message];
  const tooMany = Math.max(0, all.length - underWay - most);
  const dropped = all.slice(underWay, underWay + tooMany);
  const waiting = [...all.slice(0, underWay), ...all.slice(underWay + tooMany)];
  return { next: { ...queue, waiting, dropped: queue.dropped + tooMany }, dropped };
}

/** The message to be tried now; else when to look again; neither: nothing to do. */
export function dueOf(queue: HookQueue, now: At): { readonly message?: HookMessage; readonly at?: At } {
  const [message] = queue.waiting;
  if (message === undefined || queue.isTrying) return {};
  return queue.notBefore <= now ? { message } : { at: queue.notBefore };
}

export function beginTry(queue: HookQueue): HookQueue {
  return { ...queue, isTrying: true };
}

/** It got through. `recovered`: one before it had not. */
export function tryDelivered(queue: HookQueue): { readonly next: HookQueue; readonly recovered: boolean } {
  const next = { ...afterFirst(queue), sent: queue.sent + 1, isFailing: false };
  return { next, recovered: queue.isFailing };
}

/** A try failed: `pauseMs` until the next one; undefined: it was the last, the message is lost. */
export function tryFailed(
  queue: HookQueue,
  { retries, retry_after }: Pick<Limits, 'retries' | 'retry_after'>,
  now: At,
): { readonly next: HookQueue; readonly tries: number; readonly pauseMs: Ms | undefined } {
  const tries = queue.failures + 1;
  if (tries > retries) {
    const next = { ...afterFirst(queue), lost: queue.lost + 1, isFailing: true };
    return { next, tries, pauseMs: undefined };
  }
  const pauseMs = ms(Math.min(retry_after * 2 ** (tries - 1), PAUSE_MS_MAX));
  const next = { ...queue, isTrying: false, failures: tries, notBefore: after(now, pauseMs) };
  return { next, tries, pauseMs };
}

function afterFirst(queue: HookQueue): HookQueue {
  const { notBefore } = EMPTY_QUEUE;
  return { ...queue, waiting: queue.waiting.slice(1), isTrying: false, failures: 0, notBefore };
}
