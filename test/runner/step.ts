// A test says which step it begins, for the judgement of a failure (disturbance.ts): a line in the file that TANDEM_STEPS names. Io.
import { appendFileSync } from 'node:fs';
import type { Step } from './disturbance.ts';

/** Wall time in ms with a fraction, as the watch and the runner have it. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Begins a step; `test`: the test's title, where several run at once. Outside scripts/test it does nothing. */
export function beginStep(what: string, test?: string): void {
  const file = process.env.TANDEM_STEPS;
  if (file === undefined || file === '') return;
  const step: Step = { at: wallMs(), what, ...(test !== undefined && { test }) };
  appendFileSync(file, `${JSON.stringify(step)}\n`);
}
