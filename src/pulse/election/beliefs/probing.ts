// How far a round of probes has come. R4 (docs/invariants.md). Pure.
import { type At, between } from '../../../units/duration.ts';
import { probeOverdueAfter } from '../../timing.ts';
import type { Machine, ProbeRound } from '../machine.ts';

/** Whether vipd has told of every address, answered or silent. */
export function isRoundComplete(machine: Machine, round: ProbeRound): boolean {
  return machine.settings.addressLans.every((_, i) => round.answered.includes(i) || round.silent.includes(i));
}

/** Since when vipd owes its word of a round; undefined: it does not. */
export function probeOverdueSince(machine: Machine, now: At): At | undefined {
  const round = 'probing' in machine.state ? machine.state.probing?.round : undefined;
  if (!round || isRoundComplete(machine, round)) return undefined;
  return between(round.sentAt, now) > probeOverdueAfter(machine.settings.intervalMs) ? round.sentAt : undefined;
}
