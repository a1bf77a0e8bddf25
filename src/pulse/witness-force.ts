// When the witness has a say, and when an owner is cut off from it and from its peer. Functions of the machine and the time. Pure.
import { type At, after, between, type Ms, ms } from '../units/duration.ts';
import { compareEpochs, newerEpoch } from '../units/epoch.ts';
import type { Machine } from './machine.ts';
import type { WitnessView } from './witness-view.ts';

/**
 * Losses this close to each other are one fault: a router that loses peer and witness together is probably itself cut off. Further
 * apart they are two faults, and the later one moves nothing.
 */
const ONE_FAULT_MS = 30_000;
/** How long a grant may be used, as a share of the lease: a late claim would find somebody else there. */
const GRANT_SHARE = 0.5;
/** Heartbeats of the peer that may be missing before it counts as unheard, in its intervals. */
const MISSING_INTERVALS = 1.5;

/**
 * Whether a takeover needs the witness' grant: it was good here or at the peer when the peer fell silent, or is good now. A witness
 * that both had lost before has no say: then the rules without one apply.
 */
export function inForce({ settings, peer, witness }: Machine): boolean {
  if (!settings.witness) return false;
  const { goodAt } = witness;
  if (peer.last === undefined || peer.heardAt === undefined) return goodAt !== undefined;
  return peer.last.witness || (goodAt !== undefined && between(goodAt, peer.heardAt) <= ONE_FAULT_MS);
}

/** How long an owner that hears nobody may go without a renewal: its lease here must have ended before the one there does. */
export function cutOffMs({ settings }: Machine, witnessLeaseMs: Ms): Ms {
  return ms(witnessLeaseMs - settings.leaseMs - settings.intervalMs);
}

/** The peer's last word was that it ends: its silence is no partition. */
function departed({ peer }: Machine): boolean {
  return peer.last?.role === 'stopping';
}

/** The witness has kept us the owner for so long after the peer fell silent that losing it now is another fault. */
function settledAlone({ peer, witness }: Machine): boolean {
  if (peer.heardAt === undefined) return true;
  return witness.heldAt !== undefined && between(peer.heardAt, witness.heldAt) > ONE_FAULT_MS;
}

/** Somebody unheard might be granted the ownership: the lease must be armed although no peer is heard. */
export function unheardPeerMayTake(machine: Machine): boolean {
  return inForce(machine) && !departed(machine) && !settledAlone(machine);
}

/** When the peer counts as unheard; undefined: it never was heard. */
export function unheardAt({ peer, settings }: Machine): At | undefined {
  const intervalMs = peer.last?.intervalMs ?? settings.intervalMs;
  return peer.heardAt === undefined ? undefined : after(peer.heardAt, ms(MISSING_INTERVALS * intervalMs));
}

/**
 * When an owner that hears nobody has to let go; undefined: never, since the witness has no say. The peer may be granted the ownership
 * once our lease there has ended and it has not heard us for D, whichever is later.
 */
export function cutOffAt(machine: Machine): At | undefined {
  const { settings, witness } = machine;
  if (!settings.witness || settings.onIsolation === 'keep' || !unheardPeerMayTake(machine)) return undefined;
  const lost =
    witness.heldAt === undefined ? undefined : after(witness.heldAt, cutOffMs(machine, settings.witness.leaseMs));
  return Math.max(lost ?? 0, unheardAt(machine) ?? 0) as At;
}

/** The grant to claim with now, if there is one that still counts. */
export function usableGrant(machine: Machine, now: At): WitnessView['grant'] {
  const { settings, witness, highest } = machine;
  const { grant } = witness;
  if (!settings.witness || !grant || between(grant.at, now) > GRANT_SHARE * settings.witness.leaseMs) return undefined;
  return compareEpochs(grant.epoch, newerEpoch(highest, machine.peer.highest)) > 0 ? grant : undefined;
}

/** The witness has answered lately: what heartbeats say of it. */
export function witnessGood({ settings, witness }: Machine, now: At): boolean {
  const { goodAt } = witness;
  return settings.witness !== undefined && goodAt !== undefined && between(goodAt, now) <= settings.witness.leaseMs;
}
