// Runs one check of a server that is not FTP, in the way that its plan says. Not pure.
import type { PlainPlan } from '../plain-plan.ts';
import type { CheckOptions, CheckOutcome } from './check-outcome.ts';
import { runDatagramCheck } from './datagram-check.ts';
import { runEchoCheck } from './echo-check.ts';
import { runPortCheck } from './port-check.ts';

/** Never rejects. */
export function runPlainCheck(plan: PlainPlan, options: CheckOptions): Promise<CheckOutcome> {
  switch (plan.type) {
    case 'port':
      return runPortCheck(plan, options);
    case 'datagram':
      return runDatagramCheck(plan, options);
    case 'echo':
      return runEchoCheck(plan, options);
  }
}
