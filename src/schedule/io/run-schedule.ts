// Runs what is scheduled, and notices when somebody sets the wall clock. Not pure: timers and
// clocks. node-cron only says whether a second matches: its own timers go by the wall clock, so
// that a step back silenced them and one forward made them walk every missed time in one loop.
import { createTask } from 'node-cron';
import type { Schedule } from '../../units/schedule.ts';
import { type Clocks, newSeconds, stepBetween } from '../clock.ts';

export interface ClockReader {
  /** Monotonic, in milliseconds. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

const LOOK_MS = 1_000;
/** Two reads of the clocks that lie further apart are no moment. */
const APART_MS_MAX = 100;

/** Calls `task` as the schedule says, until the returned function is called: then never again. */
export function startSchedule(schedule: Schedule, task: () => void, clock: ClockReader): () => void {
  switch (schedule.type) {
    case 'every': {
      const timer = setInterval(task, schedule.everyMs);
      return () => clearInterval(timer);
    }
    case 'cron': {
      const cron = createTask(schedule.expression, () => undefined);
      const stop = lookEverySecond(clock, (before, now) => {
        if (newSeconds(before, now).some(second => cron.match(new Date(second * 1_000)))) task();
      });
      return () => {
        stop();
        void cron.destroy();
      };
    }
  }
}

/** Tells of every step of the wall clock, in ms, until the returned function is called. */
export function watchClock(clock: ClockReader, onStep: (stepMs: number) => void): () => void {
  return lookEverySecond(clock, (before, now) => {
    const stepMs = stepBetween(before, now);
    if (stepMs !== 0) onStep(stepMs);
  });
}

function lookEverySecond(clock: ClockReader, onLook: (before: Clocks, now: Clocks) => void): () => void {
  let before = read(clock);
  const timer = setInterval(() => {
    const now = read(clock);
    if (now && before) onLook(before, now);
    before = now ?? before;
  }, LOOK_MS);
  return () => clearInterval(timer);
}

/** Both clocks, unless this process stood still between the two reads. */
function read({ now, wallMs }: ClockReader): Clocks | undefined {
  const monotonicMs = now();
  const wall = wallMs();
  return now() - monotonicMs > APART_MS_MAX ? undefined : { wallMs: wall, monotonicMs };
}
