// What the runs of a fitness check's script say together: rise and fall, and what could not be
// made. Pure: time is an argument; io/fitness-checks.ts runs it.
import type { Config } from '../config/schema.ts';
import { isGood, type RunAnswer } from '../runner/runner-message.ts';

export type FitnessCheckConfig = Config['fitness']['checks'][string];

export interface FitnessCheck {
  /** unknown: not judged yet, or it cannot be made any more. That lowers nothing. */
  readonly state: 'unknown' | 'passing' | 'failing';
  /**
   * Good and failed runs in a row, and times in a row that it could not be made; two of them are 0.
   */
  readonly good: number;
  readonly bad: number;
  readonly unmade: number;
  /** It was told that it cannot be made. */
  readonly isUnknownTold: boolean;
  readonly last: RunAnswer | undefined;
  /** Wall time of the last run, ISO 8601. */
  readonly checkedAt: string | undefined;
}

export const NEW_FITNESS_CHECK: FitnessCheck = {
  state: 'unknown',
  good: 0,
  bad: 0,
  unmade: 0,
  isUnknownTold: false,
  last: undefined,
  checkedAt: undefined,
};

export type FitnessEffect = 'failed' | 'passed' | 'unknown' | 'judged';

/** Counts the answer of one run; `wall` is its time for people. */
export function fitnessAfter(
  before: FitnessCheck,
  { rise, fall }: Pick<FitnessCheckConfig, 'rise' | 'fall'>,
  answer: RunAnswer,
  wall: string,
): { readonly next: FitnessCheck; readonly effects: readonly FitnessEffect[] } {
  const last = { last: answer, checkedAt: wall };
  if (answer.type === 'refused') {
    const unmade = before.unmade + 1;
    const isTold = before.isUnknownTold || unmade >= fall;
    const state = unmade >= fall ? 'unknown' : before.state;
    const next: FitnessCheck = { ...before, ...last, state, good: 0, bad: 0, unmade, isUnknownTold: isTold };
    return { next, effects: isTold && !before.isUnknownTold ? ['unknown'] : [] };
  }
  const isPassed = isGood(answer);
  const good = isPassed ? before.good + 1 : 0;
  const bad = isPassed ? 0 : before.bad + 1;
  const state = good >= rise ? 'passing' : bad >= fall ? 'failing' : before.state;
  const next: FitnessCheck = { ...before, ...last, state, good, bad, unmade: 0, isUnknownTold: false };
  const effects: FitnessEffect[] = before.isUnknownTold ? ['judged'] : [];
  if (state !== before.state) effects.push(state === 'failing' ? 'failed' : 'passed');
  return { next, effects };
}

/** A fitness check as people see it. */
export interface FitnessReport {
  readonly name: string;
  readonly state: FitnessCheck['state'];
  /** How the last run ended, or why it was not made. */
  readonly reason: string;
  /** The last run could not be made. */
  readonly isUnmade: boolean;
  readonly output: string;
  readonly checkedAt: string | null;
  readonly checkMs: number | null;
}

export function fitnessReport(name: string, { state, last, isUnknownTold, checkedAt }: FitnessCheck): FitnessReport {
  const isEnded = last?.type === 'ended';
  return {
    name,
    state,
    reason: last?.reason ?? '',
    isUnmade: isUnknownTold,
    output: isEnded ? last.output : '',
    checkedAt: checkedAt ?? null,
    checkMs: isEnded ? last.tookMs : null,
  };
}

/**
 * How many fail; null while one is not judged yet, so that a restart of the director does not make
 * a router look fitter than it is.
 */
export function failingChecks(reports: readonly FitnessReport[]): number | null {
  if (reports.some(({ state, isUnmade }) => state === 'unknown' && !isUnmade)) return null;
  return reports.filter(({ state }) => state === 'failing').length;
}

/** Each a sentence, for the status. */
export function fitnessProblems(reports: readonly FitnessReport[], node: string): string[] {
  return reports.flatMap(({ name, state, reason, isUnmade }) => {
    if (state === 'failing') return [`fitness check ${name} fails, which makes ${node} less fit: ${reason}`];
    return isUnmade ? [`fitness check ${name} is not judged: ${reason}`] : [];
  });
}
