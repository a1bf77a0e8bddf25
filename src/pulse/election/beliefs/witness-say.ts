// When the witness has a say, and when an owner is cut off from it and from its peer. Functions of
// the machine and the time. Pure.
import { type At, between } from '../../../units/duration.ts';
import { compareEpochs, newerEpoch } from '../../../units/epoch.ts';
import { grantLasts, oneFault, overdueAfter } from '../../timing.ts';
import type { WitnessView } from '../known.ts';
import type { Machine } from '../machine.ts';
import { isServing } from './peer.ts';
import { heardWithin, hearsUsNow } from './peer-heard.ts';

/**
 * Whether a takeover needs the witness' grant: it was good here or at the peer when the peer fell
 * silent, or is good now. A witness that both had lost before has no say: then the rules without
 * one apply.
 */
export function inForce({ settings, peer, witness }: Machine): boolean {
  if (!settings.witness) return false;
  const { goodAt } = witness;
  if (peer.last === undefined || peer.heardAt === undefined) return goodAt !== undefined;
  return (
    peer.last.witness || (goodAt !== undefined && between(goodAt, peer.heardAt) <= oneFault(settings.witness.leaseMs))
  );
}

/** The peer's last word was that it ends, or its will: its silence is no partition. */
function departed({ peer: { last, closed } }: Machine): boolean {
  if (!last) return false;
  return last.role === 'stopping' || (last.serving && closed.counter > 0 && compareEpochs(last.epoch, closed) <= 0);
}

/**
 * The witness has kept us the owner for so long after the peer fell silent that losing it now is
 * another fault.
 */
function settledAlone({ peer, witness, settings }: Machine): boolean {
  if (peer.heardAt === undefined) return true;
  return witness.heldAt !== undefined && between(peer.heardAt, witness.heldAt) > oneFault(settings.witness?.leaseMs);
}

/**
 * Somebody unheard might be granted the ownership: the lease must be armed although no peer is
 * heard.
 */
export function unheardPeerMayTake(machine: Machine): boolean {
  return inForce(machine) && !departed(machine) && !settledAlone(machine);
}

/** The grant to claim with now, if there is one that still counts. */
export function usableGrant(machine: Machine, now: At): WitnessView['grant'] {
  const { settings, witness, highest } = machine;
  const { grant } = witness;
  if (!settings.witness || !grant || between(grant.at, now) > grantLasts(settings.witness.leaseMs)) return undefined;
  return compareEpochs(grant.epoch, newerEpoch(highest, machine.peer.highest)) > 0 ? grant : undefined;
}

/** The witness has answered lately: what heartbeats say of it. */
export function witnessGood({ settings, witness }: Machine, now: At): boolean {
  const { goodAt } = witness;
  return settings.witness !== undefined && goodAt !== undefined && between(goodAt, now) <= settings.witness.leaseMs;
}

/** When the next question is due; undefined when none will be before an answer comes. */
export function witnessDueAt({ settings, witness }: Machine): At | undefined {
  return settings.witness && !witness.asked ? witness.dueAt : undefined;
}

/** A standby that has met silence once asks ahead, so that the grant is there when it may claim. */
export function wantsGrant(machine: Machine, now: At): boolean {
  const { state, peer, settings } = machine;
  if (state.role !== 'standby' || (state.probing?.silentRounds ?? 0) < 1) return false;
  const missing = overdueAfter(peer.last?.intervalMs ?? settings.intervalMs);
  const clear = isServing(peer) && heardWithin(machine, missing, now) && hearsUsNow(machine, now);
  return inForce(machine) && !clear;
}
