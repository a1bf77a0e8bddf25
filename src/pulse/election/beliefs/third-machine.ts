// A third machine that claims a virtual address, or answers for one: is it there, and does the
// policy leave the addresses to it. Pure.
import { type At, between } from '../../../units/duration.ts';
import { ANSWERER_NEWS_MS, CLAIMS_WITHIN_MS, STAND_DOWN_MS, TOLD_MS } from '../../timing.ts';
import type { ForeignAnswer, ForeignClaim } from '../known.ts';
import type { Machine } from '../machine.ts';

/** So many claims within CLAIMS_WITHIN_MS, and a router stands down. */
const CLAIMS_MAX = 3;

export interface Claim {
  readonly address: number;
  readonly mac: string;
  readonly port: string;
}

/** The newest claimer, with the claims of the last seconds: rivals may claim in turn. */
export function afterClaim({ foreign }: Machine, claim: Claim, now: At): ForeignClaim {
  const known = foreign?.heardAt ?? [];
  const heardAt = [...known.filter(at => between(at, now) <= CLAIMS_WITHIN_MS), now].slice(-CLAIMS_MAX);
  return { ...claim, heardAt };
}

/** Whether the policy leaves the addresses to the third machine for now. */
export function standsDown({ settings, foreign }: Machine, now: At): boolean {
  if (settings.onConflict !== 'stand-down' || !foreign || foreign.heardAt.length < CLAIMS_MAX) return false;
  const newest = foreign.heardAt.at(-1) as At;
  return between(newest, now) < STAND_DOWN_MS;
}

/**
 * A third machine that answers for an address, without a claim; `news`: it has not been heard
 * lately.
 */
export function afterAnswer(
  { answerer }: Machine,
  answer: { readonly address: number; readonly mac: string },
  now: At,
): { readonly answerer: ForeignAnswer; readonly news: boolean } {
  const news = answerer?.mac !== answer.mac || between(answerer.toldAt, now) >= ANSWERER_NEWS_MS;
  const toldAt = news ? now : answerer.toldAt;
  return { answerer: { ...answer, heardAt: now, toldAt }, news };
}

/**
 * The third machine that people should know of now. A claim comes first: it is the worse of the
 * two.
 */
export function thirdMachine({ foreign, answerer }: Machine, now: At): ForeignClaim | ForeignAnswer | undefined {
  const claimedAt = foreign?.heardAt.at(-1);
  if (claimedAt !== undefined && between(claimedAt, now) < TOLD_MS) return foreign;
  return answerer !== undefined && between(answerer.heardAt, now) < TOLD_MS ? answerer : undefined;
}
