// A check by ICMP echo (RFC 792, RFC 4443 section 4): what iputils' ping is asked, and what its
// words mean. Pure; io/echo-check.ts runs it. Node has no such sockets.
import { familyOf } from '../units/address.ts';
import { formatDuration, ms } from '../units/duration.ts';
import type { EchoPlan } from './plain-plan.ts';
import { printableLine, quoted } from './reply.ts';
import { slowProblem } from './stage-clock.ts';
import type { CheckResult } from './verdict.ts';

/** One request, no name look-ups. */
export function pingArguments({ address, origin, timeoutMs }: EchoPlan): string[] {
  const source = origin === undefined ? [] : ['-I', origin.source];
  const family = `-${familyOf(address)}`;
  return [family, '-n', '-c', '1', '-W', (timeoutMs / 1_000).toFixed(3), ...source, address];
}

interface PingEnd {
  /** 0: answered; 1: not; 2: it could not ask. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** How long ping ran, in ms. */
  readonly ranMs: number;
}

/** What it says when the routing table, not this router's own trouble, is why nothing is sent. */
const UNREACHABLE = /unreachable|no route to host/i;

/** The result; or why this router could not ask. */
export function echoResult(plan: EchoPlan, { status, stdout, stderr, ranMs }: PingEnd): CheckResult | string {
  const time = /\btime[=<](\d+(?:\.\d+)?) ?ms/.exec(stdout)?.[1];
  if (status === 0 && time !== undefined) return answered(plan, Number(time));
  const words = lastLine(stderr);
  if (status > 1 && !UNREACHABLE.test(words)) return words === '' ? `ping ends with status ${status}` : words;
  const heard = /^From .*$/m.exec(stdout)?.[0] ?? words;
  const problem = `no answer to an ICMP echo within ${formatDuration(plan.timeoutMs)}`;
  const tookMs = ms(Math.round(ranMs));
  const told = { stage: 'echo', life: 'none', problem, words: quoted(printableLine(heard)) } as const;
  return { ok: false, tookMs, stagesMs: { echo: tookMs }, ...told };
}

/** The time between question and answer counts, not how long it took to start ping. */
function answered({ slowFail }: EchoPlan, timeMs: number): CheckResult {
  const tookMs = ms(Math.round(timeMs));
  const times = { tookMs, stagesMs: { echo: tookMs } };
  const slow = slowProblem(slowFail, times);
  if (slow === undefined) return { ok: true, ...times, bytes: 0 };
  return { ok: false, ...times, stage: slow.stage, life: 'speaks', problem: slow.problem, words: '' };
}

function lastLine(text: string): string {
  return quoted(printableLine(text.trim().split('\n').at(-1) ?? ''));
}
