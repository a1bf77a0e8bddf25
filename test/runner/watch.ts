// Measures when a processor of this machine stands still for an ordinary process; main.ts runs one on each. It wants to run every 5 ms and
// writes down when it was late by 10 ms and more, a JSON line each, to the file of its argument. Io; ends with its parent.
import { appendFileSync } from 'node:fs';
import type { StandStill } from './disturbance.ts';
import { wallMs } from './step.ts';

const EVERY_MS = 5;
const LATE_MS = 10;

const file = process.argv[2];
if (file === undefined) {
  process.stderr.write('usage: watch.js FILE\n');
  process.exit(64);
}
const parent = process.ppid;
let last = wallMs();
setInterval(() => {
  const now = wallMs();
  if (now - last >= EVERY_MS + LATE_MS) {
    const one: StandStill = { from: last + EVERY_MS, to: now };
    appendFileSync(file, `${JSON.stringify(one)}\n`);
  }
  last = now;
  if (process.ppid !== parent) process.exit(0);
}, EVERY_MS);
