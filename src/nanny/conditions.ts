// Conditions of a server that are no verdict: they last, and are told once at their start and once
// at their end. Pure: what was and a check's result in, what is and what to tell out.
import type { TimeLimits } from '../config/check-stages.ts';
import type { Ms } from '../units/duration.ts';
import { slowIn } from './slowness.ts';
import type { CheckResult, Conditions } from './verdict.ts';

/** Conditions, and what they are counted by. */
export interface Watched extends Conditions {
  /** Checks in a row that contradict `slow`. */
  readonly contrary: number;
}

export const NOTHING_WATCHED_YET: Watched = { expiring: false, slow: false, contrary: 0 };

export interface ConditionRules {
  /** A certificate with less than this left is told. */
  readonly expiryWarnMs: Ms;
  /** A check that takes longer, as a whole or in a stage, is slow. */
  readonly slowWarn: TimeLimits;
  /** Slow checks in a row that begin the condition, and quick ones that end it. */
  readonly fall: number;
  readonly rise: number;
}

export type ConditionEffect = {
  readonly type: 'certificate-expires' | 'certificate-renewed' | 'slow' | 'quick';
};

const DAY_MS = 86_400_000;

export function conditionsAfter(
  before: Watched,
  rules: ConditionRules,
  result: CheckResult,
): { readonly next: Watched; readonly effects: readonly ConditionEffect[] } {
  const expiring = isExpiring(before, rules, result);
  const next: Watched = { expiring, ...slowness(before, rules, result) };
  const effects: ConditionEffect[] = [];
  if (expiring !== before.expiring) effects.push({ type: expiring ? 'certificate-expires' : 'certificate-renewed' });
  if (next.slow !== before.slow) effects.push({ type: next.slow ? 'slow' : 'quick' });
  return { next, effects };
}

/**
 * A check that failed may not have seen the certificate that ends, of one port among several; one
 * that passed has seen all there are.
 */
function isExpiring({ expiring }: Watched, { expiryWarnMs }: ConditionRules, result: CheckResult): boolean {
  const { certificate } = result;
  const isSeen = certificate !== undefined && certificate.daysLeft * DAY_MS < expiryWarnMs;
  return isSeen || (expiring && !result.ok);
}

/** A check that failed has not come as far as others, so that its time is not compared. */
function slowness(before: Watched, rules: ConditionRules, result: CheckResult): Pick<Watched, 'slow' | 'contrary'> {
  const { slow, contrary } = before;
  if (Object.keys(rules.slowWarn).length === 0) return { slow: false, contrary: 0 };
  if (!result.ok) return { slow, contrary };
  const isSlow = slowIn(rules.slowWarn, result) !== undefined;
  if (isSlow === slow) return { slow, contrary: 0 };
  const enough = slow ? rules.rise : rules.fall;
  return contrary + 1 >= enough ? { slow: isSlow, contrary: 0 } : { slow, contrary: contrary + 1 };
}
