// The director's word on rules, real servers, fitness checks and tables. Pure.
import type { PulseEvent } from '../machine.ts';
import { report, type Turn, update } from '../step-context.ts';

export function takeReport(turn: Turn, event: PulseEvent & { type: 'report' }): void {
  const before = turn.machine.rulesIn;
  const had = turn.machine.healthyServers !== 0;
  const has = event.healthyServers !== 0;
  const failedChecks = event.failedChecks ?? turn.machine.failedChecks;
  const isWorse = (had && !has) || failedChecks > turn.machine.failedChecks;
  const isFit = has && failedChecks === 0;
  update(turn, {
    unfitSince: isFit ? undefined : isWorse ? turn.now : turn.machine.unfitSince,
    rulesIn: event.rulesIn,
    healthyServers: event.healthyServers ?? undefined,
    failedChecks,
    flushMs: event.flushMs,
    warm: event.warm,
    configDigest: event.configDigest ?? turn.machine.configDigest,
    reportedAt: turn.now,
  });
  if (before !== event.rulesIn) report(turn, event.rulesIn ? 'RULES_IN' : 'RULES_OUT', {});
}
