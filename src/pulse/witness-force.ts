// When the witness has a say, and when an owner is cut off from it and from its peer. Functions of the machine and the time. Pure.
import { type At, after, between, type Ms, ms } from '../units/duration.ts';
import { compareEpochs, newerEpoch } from '../units/epoch.ts';
import type { Machine, Settings } from './machine.ts';
import { peersDeadMs, saidTimes } from './times.ts';
import type { WitnessView } from './witness-view.ts';

/**
 * Losses this close to each other, in leases of the witness, are one fault: a router that loses peer and witness together is probably
 * itself cut off. Further apart they are two faults, and the later one moves nothing.
 */
const ONE_FAULT_LEASES = 3;
const ONE_FAULT_MS_MIN = 3_000;
/** How long a grant may be used, as a share of the lease: a late claim would find somebody else there. */
const GRANT_SHARE = 0.5;
/** Intervals that must at least have passed without a heartbeat before the peer counts as unheard. */
const MISSING_INTERVALS = 1.5;
/** How much earlier than the peer may take over an owner must know, in intervals: the two do not hear each other's last at once. */
const AHEAD_INTERVALS = 1.2;

/**
 * Whether a takeover needs the witness' grant: it was good here or at the peer when the peer fell silent, or is good now. A witness
 * that both had lost before has no say: then the rules without one apply.
 */
export function inForce({ settings, peer, witness }: Machine): boolean {
  if (!settings.witness) return false;
  const { goodAt } = witness;
  if (peer.last === undefined || peer.heardAt === undefined) return goodAt !== undefined;
  return peer.last.witness || (goodAt !== undefined && between(goodAt, peer.heardAt) <= oneFaultMs(settings));
}

function oneFaultMs({ witness }: Settings): number {
  return Math.max(ONE_FAULT_MS_MIN, ONE_FAULT_LEASES * (witness?.leaseMs ?? 0));
}

/** How long an owner that hears nobody may go without a renewal: its lease here must have ended before the one there does. */
export function cutOffMs(machine: Machine, witnessLeaseMs: Ms): Ms {
  const { leaseMs, intervalMs } = saidTimes(machine);
  return ms(witnessLeaseMs - leaseMs - intervalMs);
}

/** The peer's last word was that it ends, or its will: its silence is no partition. */
function departed({ peer: { last, closed } }: Machine): boolean {
  if (!last) return false;
  return last.role === 'stopping' || (last.serving && closed.counter > 0 && compareEpochs(last.epoch, closed) <= 0);
}

/** The witness has kept us the owner for so long after the peer fell silent that losing it now is another fault. */
function settledAlone({ peer, witness, settings }: Machine): boolean {
  if (peer.heardAt === undefined) return true;
  return witness.heldAt !== undefined && between(peer.heardAt, witness.heldAt) > oneFaultMs(settings);
}

/** Somebody unheard might be granted the ownership: the lease must be armed although no peer is heard. */
export function unheardPeerMayTake(machine: Machine): boolean {
  return inForce(machine) && !departed(machine) && !settledAlone(machine);
}

/**
 * When the peer counts as unheard: as late as can be, so that a few lost heartbeats move nothing, and yet before it may take over,
 * should it not hear us either. Our own stalls do not count. Undefined: it never was heard.
 */
export function unheardAt(machine: Machine): At | undefined {
  const { peer, settings, blindUntil } = machine;
  if (peer.heardAt === undefined) return undefined;
  const { intervalMs } = settings;
  const slower = Math.max(intervalMs, peer.last?.intervalMs ?? intervalMs);
  const patienceMs = Math.max(MISSING_INTERVALS * slower, peersDeadMs(machine) - AHEAD_INTERVALS * slower);
  return after(Math.max(peer.heardAt, blindUntil) as At, ms(patienceMs));
}

/**
 * When an owner that hears nobody has to let go; undefined: never, since the witness has no say. The peer may be granted the ownership
 * once our lease there has ended and it has not heard us for D, whichever is later.
 */
export function cutOffAt(machine: Machine): At | undefined {
  const { settings, witness } = machine;
  if (!settings.witness || settings.onIsolation === 'keep' || !unheardPeerMayTake(machine)) return undefined;
  const lost =
    witness.heldAt === undefined
      ? heardInVainAt(machine)
      : after(witness.heldAt, cutOffMs(machine, settings.witness.leaseMs));
  return Math.max(lost ?? 0, unheardAt(machine) ?? 0) as At;
}

/** A new owner has this long to be known there: the peer, which may be granted it, has heard us until now and waits for its D. */
function heardInVainAt({ peer, settings }: Machine): At | undefined {
  const deadMs = Math.min(settings.deadMs, peer.last?.deadMs ?? settings.deadMs);
  return peer.heardAt === undefined ? undefined : after(peer.heardAt, ms(deadMs - settings.intervalMs));
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
