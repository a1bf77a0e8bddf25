// Bounds, times and counters of the sync links, each with its reason; tests shorten the times.
// Pure.

import type { SYNC_LINK_COUNTERS } from '../../log/counters.ts';

export interface LinkLimits {
  /** From the first packet to an open TCP connection: a lost SYN is sent again after 1 s. */
  readonly connectMs: number;
  /** TLS takes two round trips; a peer that is busy for longer is tried again. */
  readonly handshakeMs: number;
  /** The pause before the next attempt doubles from the first to the last. */
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** Until an address that is not there yet is tried again. */
  readonly bindAgainMs: number;
  /**
   * The core sends something at least every second: a link that brings nothing for this long is
   * dead.
   */
  readonly silenceMs: number;
  /**
   * What may wait to be written. More means that the peer does not read, or that the link is too
   * slow for what it should carry.
   */
  readonly queuedBytesMax: number;
  /**
   * Unauthenticated connections on one link at once; the newest is kept, so that old ones cannot
   * keep the peer out.
   */
  readonly halfOpenMax: number;
}

export const LINK_LIMITS: LinkLimits = {
  connectMs: 2_000,
  handshakeMs: 2_000,
  backoffMsMin: 100,
  backoffMsMax: 2_000,
  bindAgainMs: 1_000,
  silenceMs: 3_000,
  queuedBytesMax: 8 * 1_024 * 1_024,
  halfOpenMax: 4,
};

/**
 * The pause before attempt `failures + 1`, half of it by chance, so that both links of a pair do
 * not march in step.
 */
export function backoffMs(failures: number, limits: LinkLimits, random: () => number): number {
  const full = Math.min(limits.backoffMsMax, limits.backoffMsMin * 2 ** Math.min(failures, 16));
  return full / 2 + (full / 2) * random();
}

export type LinkCounter = keyof typeof SYNC_LINK_COUNTERS;
export type CountLink = (counter: LinkCounter) => void;
