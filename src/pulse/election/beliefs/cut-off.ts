// Whether this router is cut off: it hears neither its peer nor anybody else, or neither its peer
// nor the witness. An owner must know that before its peer may take over. R4, R5
// (docs/invariants.md). Pure.
import type { Reason } from '../../../feed/role-reason.ts';
import { type At, after } from '../../../units/duration.ts';
import { letGoAfter, slowerInterval, unheardAfter, unknownLetsGoAfter } from '../../timing.ts';
import type { Machine } from '../machine.ts';
import { saidTimes } from './changing-times.ts';
import { peersDeadMs } from './deadlines.ts';
import { hearsNothing } from './lan-health.ts';
import { unheardPeerMayTake } from './witness-say.ts';

/** This router hears nothing at all: it is cut off, whatever the others do. */
export function isIsolated(machine: Machine, now: At): boolean {
  const silentAt = unheardAt(machine);
  return (silentAt === undefined || now >= silentAt) && hearsNothing(machine);
}

export function whyCutOff(machine: Machine, now: At): Reason | undefined {
  if (machine.settings.onIsolation === 'keep') return undefined;
  if (isIsolated(machine, now)) return 'isolated: neither the peer nor any target nor any other frame is heard';
  const at = cutOffAt(machine);
  // safeguard: cut-off-lets-go
  if (at !== undefined && now >= at) return 'cut off: neither the peer nor the witness is heard';
  return undefined;
}

/** Instants at which time alone makes an owner cut off. */
export function cutOffWishes(machine: Machine): At[] {
  return [cutOffAt(machine), unheardAt(machine)].filter(at => at !== undefined);
}

/** When the peer counts as unheard. Our own stalls do not count. Undefined: it never was heard. */
function unheardAt(machine: Machine): At | undefined {
  const { peer, settings, blindUntil } = machine;
  if (peer.heardAt === undefined) return undefined;
  const slowerMs = slowerInterval(settings.intervalMs, peer.last?.intervalMs);
  return after(Math.max(peer.heardAt, blindUntil) as At, unheardAfter(slowerMs, peersDeadMs(machine)));
}

/**
 * When an owner that hears nobody has to let go; undefined: never, since the witness has no say.
 * The peer may be granted the ownership once our lease there has ended and it has not heard us for
 * D, whichever is later.
 */
function cutOffAt(machine: Machine): At | undefined {
  const { settings, witness } = machine;
  if (!settings.witness || settings.onIsolation === 'keep' || !unheardPeerMayTake(machine)) return undefined;
  const lost =
    witness.heldAt === undefined
      ? heardInVainAt(machine)
      : after(witness.heldAt, letGoAfter(settings.witness.leaseMs, saidTimes(machine)));
  return Math.max(lost ?? 0, unheardAt(machine) ?? 0) as At;
}

/** The witness does not know us yet. */
function heardInVainAt({ peer, settings }: Machine): At | undefined {
  return peer.heardAt === undefined ? undefined : after(peer.heardAt, unknownLetsGoAfter(settings, peer.last?.deadMs));
}
