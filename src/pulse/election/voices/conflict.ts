// A virtual address that somebody else claims too: a third machine is defended against or stood
// down for, by policy; with the peer, whose heartbeats are lost while its claims are heard, the
// lower ranked lets go. Keeps R4, R6 (docs/invariants.md). Pure.
import type { Reason } from '../../../feed/role-reason.ts';
import { between } from '../../../units/duration.ts';
import type { VipdMessage } from '../../../vip/protocol.ts';
import { deadMs, rivalDueAt, suspectAt } from '../beliefs/deadlines.ts';
import { neverHeard } from '../beliefs/never-heard.ts';
import { isServing } from '../beliefs/peer.ts';
import { heardWithin, outranksPeer, peerMac } from '../beliefs/peer-heard.ts';
import { afterAnswer, afterClaim, standsDown } from '../beliefs/third-machine.ts';
import type { State } from '../machine.ts';
import { becomeStandby, giveUp, sendNow } from '../moves.ts';
import { emit, report, type Turn, update } from '../step-context.ts';
import { letGoToRival } from './bare.ts';
import { noteClaim, noteRival } from './unheard.ts';

/**
 * Somebody else claims an address that we hold. A third machine: by policy. The peer, unheard: its
 * claim is all we have of it, so the rank decides, unless it is heard meanwhile; heard: the
 * heartbeats' epochs do.
 */
export function hearConflict(turn: Turn, message: VipdMessage & { type: 'conflict' }): void {
  if (turn.machine.state.role !== 'active') noteClaim(turn, message);
  if (inHandover(turn, message)) return;
  const { index, mac, port } = message;
  report(turn, 'VIP_CLAIMED_BY_OTHER', { address: index, mac, port });
  const { state } = turn.machine;
  if (state.role !== 'active' || letGoToRival(turn, message)) return;
  if (mac !== peerMac(turn.machine, index)) return claimedByThird(turn, { address: index, mac, port });
  // Heard: the epochs decide, and whoever has let go at our first word has announced before that.
  if (heardWithin(turn.machine, deadMs(turn.machine), turn.now)) return emit(turn, { type: 'announce' });
  if (outranksPeer(turn.machine)) return emit(turn, { type: 'announce' });
  if (between(state.activeAt, turn.now) < deadMs(turn.machine)) return yieldToRival(turn, state, claimsUnheard(turn));
  if (turn.machine.rivalSince !== undefined) return;
  update(turn, { rivalSince: turn.now });
  sendNow(turn);
}

/**
 * In a handover both hold the addresses for a moment, and each hears the other announce them:
 * planned, no conflict. vipd's word of that can come after the peer's heartbeat has moved us on:
 * whoever no longer serves, or not yet, has no conflict with the peer. Without the peer's
 * heartbeats there is no handover: two that claim at the same moment must not take each other's
 * announcements for one.
 */
function inHandover(turn: Turn, { index, mac }: { readonly index: number; readonly mac: string }): boolean {
  const { state, settings } = turn.machine;
  if (mac !== peerMac(turn.machine, index)) return false;
  if (state.role !== 'active') return true;
  const heard = heardWithin(turn.machine, deadMs(turn.machine), turn.now);
  return heard && between(state.activeAt, turn.now) < settings.leaseMs;
}

export function claimedByThird(turn: Turn, claim: { address: number; mac: string; port: string }): void {
  const { state } = turn.machine;
  update(turn, { foreign: afterClaim(turn.machine, claim, turn.now) });
  if (state.role !== 'active') return;
  if (!standsDown(turn.machine, turn.now)) return emit(turn, { type: 'announce' });
  report(turn, 'STANDS_DOWN', { address: claim.address, mac: claim.mac, port: claim.port });
  // Without a will: the peer is to read first that it should not claim either.
  giveUp(turn, state.epoch, false);
  becomeStandby(turn, `another machine (${claim.mac}) claims a virtual address, and on_conflict says stand-down`);
  sendNow(turn);
}

/**
 * Switches, proxies and strangers answer for the dead: worth telling, in calm weather too, but
 * neither a sign of life nor a claim.
 */
export function answeredByThird(turn: Turn, { index, mac }: { readonly index: number; readonly mac: string }): void {
  const { answerer, news } = afterAnswer(turn.machine, { address: index, mac }, turn.now);
  update(turn, { answerer });
  if (news) report(turn, 'VIP_CLAIMED_BY_OTHER', { address: index, mac, port: '' });
}

/**
 * Two owners of some age that do not hear each other: the lower rank does not let go at the first
 * claim. Where LANs come back, a claim arrives before the first heartbeat does; the peer may read
 * our higher epoch in that moment and let go, too, and nobody would serve. And if we hear a peer
 * that does not hear us, we alone can end it, whatever the epochs.
 */
export function tickRival(turn: Turn, state: State & { role: 'active' }): void {
  const due = rivalDueAt(turn.machine);
  if (due === undefined || turn.now < due) return;
  const deaf = isServing(turn.machine.peer) && turn.now < suspectAt(turn.machine);
  if (deaf) return yieldToRival(turn, state, 'the peer serves, too, and does not hear us');
  if (heardWithin(turn.machine, deadMs(turn.machine), turn.now)) return;
  // One that was deaf and is silent now may be dead: who ranks higher has nothing to yield to.
  if (outranksPeer(turn.machine)) return update(turn, { rivalSince: undefined });
  yieldToRival(turn, state, claimsUnheard(turn));
}

/** Lets go to the peer that holds the addresses, too, and cannot be told of our epoch. */
function yieldToRival(turn: Turn, { epoch }: State & { role: 'active' }, why: Reason): void {
  giveUp(turn, epoch, true);
  becomeStandby(turn, why, true);
  noteRival(turn);
}

function claimsUnheard({ machine }: Turn): Reason {
  const rank = neverHeard(machine) ? 'its name comes first' : 'ranks higher';
  return `the peer, whose heartbeats do not arrive, claims the addresses too, and ${rank}`;
}
