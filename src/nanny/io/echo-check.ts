// Runs one check by ICMP echo: iputils' ping, which may use raw sockets under the director's unit
// (CAP_NET_RAW). What it says is read in ../echo.ts. Not pure.
import { CommandError, type Run, run } from '../../command/io/run-command.ts';
import { between } from '../../units/duration.ts';
import { echoResult, pingArguments } from '../echo.ts';
import type { EchoPlan } from '../plain-plan.ts';
import type { CheckOptions, CheckOutcome } from './check-outcome.ts';

/** What starting and ending the program may take besides the check's own time. */
const PROGRAM_MS = 2_000;
const OUTPUT_BYTES_MAX = 16_384;

/** Never rejects. `ping` stands in for the program. */
export async function runEchoCheck(
  plan: EchoPlan,
  { now, signal }: CheckOptions,
  ping: Run = run,
): Promise<CheckOutcome> {
  if (signal?.aborted) return { type: 'aborted' };
  const startedAt = now();
  const bounds = { timeoutMs: plan.timeoutMs + PROGRAM_MS, outputBytesMax: OUTPUT_BYTES_MAX };
  try {
    const ended = await ping('ping', pingArguments(plan), { ...bounds, ...(signal && { signal }) });
    const result = echoResult(plan, { ...ended, ranMs: between(startedAt, now()) });
    return typeof result === 'string' ? { type: 'impossible', reason: result } : { type: 'result', result };
  } catch (error) {
    if (signal?.aborted) return { type: 'aborted' };
    return { type: 'impossible', reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof CommandError && error.failure === 'missing')
    return 'ping is not installed; install iputils-ping, or choose another check.type';
  return error instanceof Error ? error.message : String(error);
}
