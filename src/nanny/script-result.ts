// What the script of a check says of a server whose check by Tandem itself has passed. Pure.
import { isGood, type RunAnswer } from '../runner/runner-message.ts';
import type { CheckOutcome } from './io/check-outcome.ts';
import type { CheckResult } from './verdict.ts';

/**
 * The server has answered, whatever its script says: it counts as alive. A script that was not run
 * says nothing of the server.
 */
export function withScript(passed: CheckResult, answer: RunAnswer): CheckOutcome {
  if (answer.type === 'refused') return { type: 'impossible', reason: `check.script was not run: ${answer.reason}` };
  const tookMs = passed.tookMs + answer.tookMs;
  const found = { ...passed, tookMs, stagesMs: { ...passed.stagesMs, script: answer.tookMs } };
  if (isGood(answer)) return { type: 'result', result: found };
  const { certificate, stagesMs } = found;
  const failed = { tookMs, stagesMs, certificate, stage: 'script', life: 'speaks', words: '' } as const;
  return { type: 'result', result: { ok: false, ...failed, problem: answer.reason } };
}
