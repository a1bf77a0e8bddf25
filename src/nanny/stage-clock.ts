// Where a check stands in time: the stage it is in, how long those before it took, and by when it
// must be through. Pure; the dialogues of all checks go by it.
import type { Stage, TimeLimits } from '../config/check-stages.ts';
import { type At, after, between, formatDuration, type Ms, ms } from '../units/duration.ts';
import { slowIn } from './slowness.ts';
import type { StageTimes } from './verdict.ts';

export interface StageClock {
  readonly startedAt: At;
  readonly stage: Stage;
  readonly stageBeganAt: At;
  /** Of the stages before this one. */
  readonly stagesMs: StageTimes;
  readonly deadline: At;
}

interface Bounds {
  readonly timeoutMs: Ms;
  /** Bounds each stage as a whole. */
  readonly stageTimeoutMs: Ms;
}

/** A check that begins at `at` with `stage`. */
export function firstStage(stage: Stage, bounds: Bounds, at: At): StageClock {
  return { startedAt: at, stage, stageBeganAt: at, stagesMs: {}, deadline: dueAt(at, bounds, at) };
}

export function nextStage(clock: StageClock, stage: Stage, bounds: Bounds, at: At): StageClock {
  const { startedAt } = clock;
  const stagesMs = stageTimes(clock, at);
  return { startedAt, stage, stageBeganAt: at, stagesMs, deadline: dueAt(startedAt, bounds, at) };
}

function dueAt(startedAt: At, { timeoutMs, stageTimeoutMs }: Bounds, at: At): At {
  return Math.min(after(at, stageTimeoutMs), after(startedAt, timeoutMs)) as At;
}

/** A stage that comes twice (the data of an upload) has both times together. */
function stageTimes({ stage, stagesMs, stageBeganAt }: StageClock, at: At): StageTimes {
  return { ...stagesMs, [stage]: (stagesMs[stage] ?? 0) + Math.round(between(stageBeganAt, at)) };
}

/** What the check has taken until now. */
export function stageTimesOf(clock: StageClock, at: At) {
  return { tookMs: ms(Math.round(between(clock.startedAt, at))), stagesMs: stageTimes(clock, at) };
}

/** Why a check that passes is too slow, and the stage it failed by; undefined: it is not. */
export function slowProblem(
  limits: TimeLimits,
  times: { readonly tookMs: Ms; readonly stagesMs: StageTimes },
): { readonly stage: Stage; readonly problem: string } | undefined {
  const slow = slowIn(limits, times);
  if (slow === undefined) return undefined;
  const { stage, isWhole } = slow;
  const limit = `more than the ${formatDuration(slow.limitMs)} of check.slow_fail`;
  const problem = isWhole
    ? `the check passes, but takes ${slow.ms}ms, ${limit}; ${stage} takes most of it`
    : `the check passes, but its ${stage} takes ${slow.ms}ms, ${limit}`;
  return { stage, problem };
}
