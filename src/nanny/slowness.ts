// Whether a check was slower than a limit, and where. Pure.
import { STAGES, type Stage, type TimeLimits } from '../config/check-stages.ts';
import type { Ms } from '../units/duration.ts';
import type { CheckResult, StageTimes } from './verdict.ts';

interface Slowness {
  /** The one that was too slow, or that took most of a check that was, as a whole. */
  readonly stage: Stage;
  readonly isWhole: boolean;
  /** How long it took, in whole ms, and what it may take. */
  readonly ms: number;
  readonly limitMs: Ms;
}

/**
 * The first limit that was not kept, those of stages before that of the whole. A script of the
 * operator has its own time-out and counts for none.
 */
export function slowIn(limits: TimeLimits, result: Pick<CheckResult, 'tookMs' | 'stagesMs'>): Slowness | undefined {
  const { tookMs, stagesMs = {} } = result;
  for (const stage of STAGES) {
    const [took, limitMs] = [stagesMs[stage] ?? 0, limits[stage]];
    if (limitMs !== undefined && took > limitMs) return { stage, isWhole: false, ms: took, limitMs };
  }
  const { script = 0, ...ownMs } = stagesMs;
  const whole = tookMs - script;
  const { whole: limitMs } = limits;
  if (limitMs === undefined || whole <= limitMs) return undefined;
  return { stage: slowest(ownMs), isWhole: true, ms: whole, limitMs };
}

function slowest(times: StageTimes): Stage {
  return STAGES.reduce((most, stage) => ((times[stage] ?? 0) > (times[most] ?? 0) ? stage : most));
}
