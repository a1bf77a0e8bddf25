// Decides when a real server is checked and when enough checks agree that it is up or down (rise
// and fall counts), and whether one that is down is dead or only busy. Pure: time and chance are
// arguments; io/nannies.ts runs it.
import type { Stage } from '../config/check-stages.ts';
import { type At, after, between, type Ms, ms } from '../units/duration.ts';
import {
  type ConditionEffect,
  type ConditionRules,
  conditionsAfter,
  NOTHING_WATCHED_YET,
  type Watched,
} from './conditions.ts';
import { type CheckResult, type Failure, isCondemned, type Verdict } from './verdict.ts';

/**
 * A server without a verdict is checked again this soon after a check, so that a starting router
 * knows its servers early.
 */
export const FIRST_CHECKS_PAUSE_MS = 1_000;
/** Least pause after a check that took longer than the interval. */
export const PAUSE_MIN_MS = 100;

/** How often a server is checked and how many checks in a row decide; from the config. */
export interface Pace {
  readonly intervalMs: Ms;
  /** Of a server that is not up; absent: intervalMs. */
  readonly intervalDownMs?: Ms | undefined;
  /** While rise or fall are being counted; absent: as without them. */
  readonly intervalChangingMs?: Ms | undefined;
  readonly rise: number;
  readonly fall: number;
  /** What makes a condition, apart from rise and fall. */
  readonly conditions: Omit<ConditionRules, 'rise' | 'fall'>;
}

export interface Nanny {
  readonly state: Verdict['state'];
  /** Good and failed checks in a row; one of them is 0. */
  readonly good: number;
  readonly bad: number;
  /** Failed checks in a row that were misconfigured as the last one was, or were not. */
  readonly alike: number;
  /**
   * Checks in a row that found no sign of life; fall of them make a server that is down a dead one.
   */
  readonly lifeless: number;
  /** False: fall checks in a row found no sign of life. */
  readonly alive: boolean;
  /** When the first of the failed checks in a row ended; undefined when the last one passed. */
  readonly failingSince: At | undefined;
  /** Finished checks. */
  readonly checks: number;
  readonly last: CheckResult | undefined;
  readonly conditions: Watched;
  /** Wall time of the last check, ISO 8601. */
  readonly checkedAt: string | undefined;
  /** When the running check began; undefined when none runs. */
  readonly runningSince: At | undefined;
  readonly nextAt: At;
  /** Its place among the nannies of a round, 0 to below 1. */
  readonly share: number;
}

/** What a result means, for log and director. Counts and results are in the nanny. */
export type NannyEffect =
  | { readonly type: 'became'; readonly from: Verdict['state']; readonly to: Exclude<Verdict['state'], 'unknown'> }
  /** A check failed, but not often enough in a row to change the state. */
  | { readonly type: 'check-failed' }
  /** The first good check after failed ones. */
  | { readonly type: 'check-recovered' }
  /**
   * A server that is down or misconfigured, but answered, shows no life any more, or does again.
   */
  | { readonly type: 'died' | 'lives' }
  /** The server was down already and now fails for another reason. */
  | { readonly type: 'fails-differently'; readonly before: Stage }
  | ConditionEffect;

/**
 * A nanny for a server not checked before. `share` (0 to below 1) places the first check within the
 * interval, but no later than FIRST_CHECKS_PAUSE_MS, so that the nannies of many servers do not
 * start at once; after the first verdict it places the checks over the whole interval.
 */
export function newNanny(pace: Pace, at: At, share: number): Nanny {
  const spread = Math.min(pace.intervalMs, FIRST_CHECKS_PAUSE_MS);
  return {
    state: 'unknown',
    good: 0,
    bad: 0,
    alike: 0,
    lifeless: 0,
    alive: true,
    failingSince: undefined,
    checks: 0,
    last: undefined,
    conditions: NOTHING_WATCHED_YET,
    checkedAt: undefined,
    runningSince: undefined,
    nextAt: after(at, ms(spread * share)),
    share,
  };
}

/** Whether a check should begin now; never while one runs. */
export function isDue(nanny: Nanny, at: At): boolean {
  return nanny.runningSince === undefined && nanny.nextAt <= at;
}

/**
 * Whether the next check waits for a late greeting: only once nothing new depends on its quick end.
 */
export function isPatient(nanny: Nanny): boolean {
  return nanny.state === 'down';
}

export function checkBegins(nanny: Nanny, at: At): Nanny {
  return { ...nanny, runningSince: at };
}

/**
 * The running check was given up without a result (new settings, or this router could not check):
 * counts stay.
 */
export function checkAbandoned(nanny: Nanny, pace: Pace, at: At): Nanny {
  return { ...nanny, runningSince: undefined, nextAt: nextCheckAt(nanny, pace, at, nanny.state) };
}

/**
 * Counts the result of the running check, which ended at `at`; `wall` is the same instant for
 * people (ISO 8601).
 */
export function checkEnds(
  nanny: Nanny,
  pace: Pace,
  result: CheckResult,
  at: At,
  wall: string,
): { readonly next: Nanny; readonly effects: readonly NannyEffect[] } {
  const good = result.ok ? nanny.good + 1 : 0;
  const bad = result.ok ? 0 : nanny.bad + 1;
  const alike = alikeAfter(nanny, result);
  const state = stateAfter(nanny, pace, result, { good, bad, alike });
  const lifeless = lifelessAfter(nanny, pace, result);
  const conditions = conditionsAfter(nanny.conditions, { ...pace, ...pace.conditions }, result);
  const counted: Nanny = {
    ...nanny,
    ...{ state, good, bad, alike, lifeless, alive: lifeless < pace.fall },
    failingSince: result.ok ? undefined : (nanny.failingSince ?? at),
    checks: nanny.checks + 1,
    ...{ last: result, conditions: conditions.next, checkedAt: wall, runningSince: undefined },
  };
  return {
    next: { ...counted, nextAt: nextCheckAt({ ...counted, runningSince: nanny.runningSince }, pace, at, nanny.state) },
    effects: [...effectsOf(nanny, counted), ...conditions.effects],
  };
}

function alikeAfter({ last, alike }: Nanny, result: CheckResult): number {
  if (result.ok) return 0;
  return last?.ok === false && isMisconfigured(last) === isMisconfigured(result) ? alike + 1 : 1;
}

function isMisconfigured({ misconfigured = false }: Failure): boolean {
  return misconfigured;
}

/**
 * Failures that are not all of one kind are down; between down and misconfigured a server changes
 * only after `fall` checks that say so.
 */
function stateAfter(
  before: Nanny,
  { rise, fall }: Pace,
  result: CheckResult,
  { good, bad, alike }: Pick<Nanny, 'good' | 'bad' | 'alike'>,
): Verdict['state'] {
  if (result.ok) return good >= rise ? 'up' : before.state;
  if (bad < fall) return before.state;
  if (alike >= fall) return isMisconfigured(result) ? 'misconfigured' : 'down';
  return isCondemned(before) ? before.state : 'down';
}

/**
 * A short silence says nothing: a slow resolver makes the same. A long one, which a patient check
 * has waited for, counts as much as fall refusals.
 */
function lifelessAfter(before: Nanny, pace: Pace, result: CheckResult): number {
  if (result.ok) return 0;
  switch (result.life) {
    case 'speaks':
      return 0;
    case 'silent':
      return isPatient(before) ? Math.max(before.lifeless + 1, pace.fall) : before.lifeless;
    case 'none':
      return before.lifeless + 1;
  }
}

/**
 * Checks begin an interval apart; one that took longer is followed soon, never overlapped. Before
 * the first verdict they are closer, and those of all servers lie within that time: with it
 * (`before` is unknown) each goes to its own place in the interval.
 */
function nextCheckAt(nanny: Nanny, pace: Pace, at: At, before: Verdict['state']): At {
  const interval = intervalNow(nanny, pace);
  const isJudgedNow = before === 'unknown' && nanny.state !== 'unknown';
  const first = Math.min(interval, FIRST_CHECKS_PAUSE_MS);
  const pause = isJudgedNow ? first + nanny.share * (interval - first) : interval;
  return Math.max(after(nanny.runningSince ?? at, ms(pause)), after(at, ms(PAUSE_MIN_MS))) as At;
}

/** With an interval that may be shorter than before: the checks stay spread over it. */
export function sooner(nanny: Nanny, pace: Pace, at: At): Nanny {
  const interval = intervalNow(nanny, pace);
  if (nanny.nextAt <= after(at, ms(interval))) return nanny;
  return { ...nanny, nextAt: after(at, ms(interval * nanny.share)) };
}

function intervalNow({ state, good, bad }: Nanny, pace: Pace): number {
  const { intervalMs, intervalDownMs = intervalMs } = pace;
  switch (state) {
    case 'unknown':
      return Math.min(intervalMs, FIRST_CHECKS_PAUSE_MS);
    case 'up':
      return bad > 0 ? (pace.intervalChangingMs ?? intervalMs) : intervalMs;
    case 'down':
    case 'misconfigured':
      return good > 0 ? (pace.intervalChangingMs ?? intervalDownMs) : intervalDownMs;
  }
}

function effectsOf(before: Nanny, now: Nanny): NannyEffect[] {
  const effects: NannyEffect[] = [];
  if (now.last?.ok && before.bad > 0) effects.push({ type: 'check-recovered' });
  if (now.state !== before.state && now.state !== 'unknown') {
    effects.push({ type: 'became', from: before.state, to: now.state });
    return effects;
  }
  if (now.last === undefined || now.last.ok) return effects;
  if (isCondemned(now) && now.alive !== before.alive) return [{ type: now.alive ? 'lives' : 'died' }];
  if (!isCondemned(now) || before.good > 0) effects.push({ type: 'check-failed' });
  else if (before.last && !before.last.ok && !isSameFailure(before.last, now.last)) {
    effects.push({ type: 'fails-differently', before: before.last.stage });
  }
  return effects;
}

/** Numbers (bytes, ports, milliseconds) vary between failures that are one and the same. */
function isSameFailure(one: Failure, other: Failure): boolean {
  const shape = (failure: Failure) => failure.problem.replace(/\d+/g, '#');
  return one.stage === other.stage && shape(one) === shape(other);
}

/** How late a check begins, in milliseconds; 0 when it is on time. */
export function lateness(nanny: Nanny, at: At): Ms {
  return ms(Math.max(0, between(nanny.nextAt, at)));
}

/** `kept`: see together.ts. */
export function verdictOf(service: string, server: string, nanny: Nanny, kept: boolean): Verdict {
  const { state, alive, last, checkedAt } = nanny;
  const { expiring, slow } = nanny.conditions;
  return { service, server, state, alive, kept, last, conditions: { expiring, slow }, checkedAt };
}
