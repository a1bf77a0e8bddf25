// The times of src/pulse/timing.ts as they apply to this router and its peer now, and the instants
// at which they end. R1, R3 (docs/invariants.md). Pure.
import { type At, after, type Ms } from '../../../units/duration.ts';
import {
  givenUpAfter,
  leaseWithMargin,
  listenFor,
  overdueAfter,
  probeRound,
  rivalYieldsAfter,
  slowerInterval,
  takeoverAfter,
  vipdStuckAfter,
} from '../../timing.ts';
import type { Machine } from '../machine.ts';

/**
 * D as it applies to this peer: never shorter than its lease and a margin, even if the two configs
 * differ.
 */
export function deadMs(machine: Machine): Ms {
  // safeguard: peer-lease-outlasted
  return takeoverAfter(machine.settings.deadMs, machine.peer.lease?.ms);
}

/** The peer's D as it applies to this router. */
export function peersDeadMs({ settings, peer }: Machine): Ms {
  return takeoverAfter(peer.last?.deadMs ?? settings.deadMs, leaseWithMargin(settings));
}

/** How long a probe round waits for answers. */
export function probeRoundMs(machine: Machine): Ms {
  return probeRound(machine.settings.intervalMs);
}

/**
 * A router that was silent for so long may have been given up: the peer keeps its addresses as one
 * that is alone does.
 */
export function givenUpMs(machine: Machine): Ms {
  return givenUpAfter(machine.settings.intervalMs, peersDeadMs(machine));
}

/** How long a start listens: longer than any VIP can live without its pulse. */
export function listenMs(machine: Machine): Ms {
  return listenFor(machine.settings, deadMs(machine));
}

/** When a heartbeat is overdue and probing begins. */
export function suspectAt(machine: Machine): At {
  const heard = Math.max(machine.peer.servingAt ?? machine.blindUntil, machine.blindUntil) as At;
  const interval = machine.peer.last?.intervalMs ?? machine.settings.intervalMs;
  return after(heard, overdueAfter(interval));
}

/** When the silence of a serving peer becomes its death. */
export function deadAt(machine: Machine): At {
  const heard = machine.peer.servingAt ?? machine.blindUntil;
  return after(Math.max(heard, machine.blindUntil) as At, deadMs(machine));
}

export function rivalDueAt({ rivalSince, settings, peer }: Machine): At | undefined {
  if (rivalSince === undefined) return undefined;
  return after(rivalSince, rivalYieldsAfter(slowerInterval(settings.intervalMs, peer.last?.intervalMs)));
}

/** When the lease view itself needs a tick: the oldest renewal turns overdue. */
export function vipdDueAt(machine: Machine): At | undefined {
  const oldest = machine.lease.inFlight[0];
  return oldest && after(oldest.waitingSince, vipdStuckAfter(machine.settings));
}
