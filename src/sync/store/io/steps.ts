// Runs the steps of pure generators (saved-sessions.ts, restore.ts) between other work: a few
// milliseconds at a time, then whatever else waits. Not pure: reads the clock.

import { setImmediate as othersFirst } from 'node:timers/promises';
import { monotonicNow } from '../../../units/io/clocks.ts';

/** Longest time the event loop is kept, plus one step. */
const BUDGET_MS = 5;

/** The generator's result; rejects with what it throws. */
export async function runPaced<T>(steps: Generator<void, T>): Promise<T> {
  let since = monotonicNow();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (monotonicNow() - since < BUDGET_MS) continue;
    await othersFirst();
    since = monotonicNow();
  }
}
