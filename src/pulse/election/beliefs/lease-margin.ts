// How near the lease has come to its end lately: the lowest share of it that was left when a
// renewal was acknowledged. A router that loses the addresses by its own stall has come near to
// that before. Pure.
import { type At, between, type Ms } from '../../../units/duration.ts';
import { MARGIN_WINDOW_MS } from '../../timing.ts';
import type { LeaseMargin } from '../known.ts';

/**
 * The renewal asked for at `ackedAt` was the newest until now, when the next one has been
 * acknowledged.
 */
export function noteMargin(
  known: LeaseMargin | undefined,
  { ackedAt, leaseMs, now }: { readonly ackedAt: At; readonly leaseMs: Ms; readonly now: At },
): LeaseMargin {
  const share = Math.max(0, 1 - between(ackedAt, now) / leaseMs);
  if (!known) return { since: now, lowest: share, before: 1 };
  if (between(known.since, now) >= MARGIN_WINDOW_MS) return { since: now, lowest: share, before: known.lowest };
  return { ...known, lowest: Math.min(known.lowest, share) };
}

export function lowestMargin({ lowest, before }: LeaseMargin): number {
  return Math.min(lowest, before);
}
