// Runs the checks given as JSON in its argument, one after the other, and prints their outcomes as JSON. A process of its own, so
// that nanny-real.test.ts can put it into a network namespace.

import type { CheckPlan } from '../../../src/nanny/check-plan.ts';
import { runCheck } from '../../../src/nanny/io/ftp-check.ts';
import { systemClock } from '../../../src/nanny/io/nannies.ts';

const plans = JSON.parse(process.argv[2] ?? '[]') as CheckPlan[];
const outcomes: unknown[] = [];
for (const plan of plans) outcomes.push(await runCheck(plan, { now: systemClock.now }));
process.stdout.write(`${JSON.stringify(outcomes)}\n`);
