// The director's word on rules, real servers and tables. Pure.
import type { PulseEvent } from '../machine.ts';
import { report, type Turn, update } from '../step-context.ts';

export function takeReport(turn: Turn, event: PulseEvent & { type: 'report' }): void {
  const before = turn.machine.rulesIn;
  const had = turn.machine.healthyServers !== 0;
  const has = event.healthyServers !== 0;
  update(turn, {
    serversLostAt: has ? undefined : had ? turn.now : turn.machine.serversLostAt,
    rulesIn: event.rulesIn,
    healthyServers: event.healthyServers ?? undefined,
    flushMs: event.flushMs,
    warm: event.warm,
    configDigest: event.configDigest ?? turn.machine.configDigest,
    reportedAt: turn.now,
  });
  if (before !== event.rulesIn) report(turn, event.rulesIn ? 'RULES_IN' : 'RULES_OUT', {});
}
