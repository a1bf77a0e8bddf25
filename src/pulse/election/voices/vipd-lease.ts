// What the election makes of vipd's words: acknowledgements keep us serving, an expiry or refusal ends it, a silent vipd is
// replaced. DESIGN.md invariants 1 to 3. Pure.
import { type At, between } from '../../../units/duration.ts';
import { compareEpochs, type Epoch, formatEpoch } from '../../../units/epoch.ts';
import type { VipdMessage } from '../../../vip/protocol.ts';
import { sampling, vipdStuckAfter } from '../../timing.ts';
import { deadMs, rivalDueAt, suspectAt } from '../beliefs/deadlines.ts';
import { noteMargin } from '../beliefs/lease-margin.ts';
import { neverHeard } from '../beliefs/never-heard.ts';
import { isServing } from '../beliefs/peer.ts';
import { heardWithin, outranksPeer, peerMac } from '../beliefs/peer-heard.ts';
import { holdsBack } from '../beliefs/peer-may-take.ts';
import { probeOverdueSince } from '../beliefs/probing.ts';
import { leaseIsOver, nextEpoch } from '../beliefs/term.ts';
import { afterAnswer, afterClaim, standsDown } from '../beliefs/third-machine.ts';
import type { Probing, State } from '../machine.ts';
import {
  adopt,
  askClaim,
  become,
  becomeStandby,
  claimFailed,
  endPause,
  giveUp,
  noteEpoch,
  renew,
  report,
  sendNow,
  type Turn,
  update,
} from '../moves.ts';
import { hearFixed, letGoMute, letGoToRival } from './bare.ts';
import { noteEcho, noteProof } from './calm-probe.ts';
import { hearCopy, tickCopy } from './copy.ts';
import {
  canClaimLess,
  forgetRefusals,
  hearAdded,
  hearDenied,
  hearPlace,
  hearRepaired,
  noteClaimed,
} from './holding.ts';
import { hearPeerAddress, noteAnswer, noteClaim, noteRival } from './unheard.ts';

/** Replies to rounds this much older still count against the round under way. */
const LATE_ROUNDS = 8;

/** A vipd that does not answer in time is stopped or stuck: a new one adopts the addresses. */
export function tickVipd(turn: Turn): void {
  const { lease, settings, vipdLostAt } = turn.machine;
  if (vipdLostAt !== undefined) return;
  const oldest = lease.inFlight[0];
  if (oldest && between(oldest.waitingSince, turn.now) >= vipdStuckAfter(settings)) replaceVipd(turn, oldest.at);
  else {
    const overdue = probeOverdueSince(turn.machine, turn.now);
    if (overdue !== undefined) replaceVipd(turn, overdue);
  }
}

function replaceVipd(turn: Turn, since: At): void {
  const { state, lease } = turn.machine;
  report(turn, 'VIPD_STUCK', { unansweredMs: Math.round(between(since, turn.now)) });
  // What was asked of the old one is asked of the new one again.
  if ('probing' in state) update(turn, { state: { ...state, probing: undefined } as State });
  update(turn, { vipdLostAt: turn.now, willFor: '', lease: { ...lease, inFlight: [] } });
  turn.effects.push({ type: 'respawn-vipd' });
}

export function hearVipd(turn: Turn, message: VipdMessage): void {
  switch (message.type) {
    case 'hello':
      return hello(turn, message);
    case 'held':
      return held(turn, message);
    case 'released':
      return update(turn, { heldAddresses: false });
    case 'refused':
      return refused(turn, message.seq, message.reason);
    case 'expired':
      return expired(turn, message);
    case 'repaired':
      return hearRepaired(turn, message);
    case 'added':
      return hearAdded(turn, message);
    case 'denied':
      return hearDenied(turn, message);
    case 'place':
      return hearPlace(turn, message);
    case 'link':
      return link(turn, message);
    case 'reply':
      return reply(turn, message);
    case 'silent':
      return silent(turn, message);
    case 'conflict':
      return conflict(turn, message);
    case 'claimed':
      return noteClaim(turn, message);
    case 'peer':
      return hearPeerAddress(turn, message);
    case 'copy':
      return hearCopy(turn, message);
    case 'target':
      return target(turn, message);
    case 'traffic':
      return traffic(turn, message);
    case 'fixed':
      return fixed(turn, message);
    case 'gate': // io/gate.ts repairs it; the election has no part in that
      return;
    case 'error':
      return report(turn, 'VIPD_ERROR', { text: message.text });
  }
}

function fixed(turn: Turn, message: VipdMessage & { type: 'fixed' }): void {
  hearFixed(turn, message);
  const lan = turn.machine.settings.fixed[message.index]?.lan;
  if (message.state === 'here') forgetRefusals(turn, index => turn.machine.settings.addressLans[index] === lan);
}

/** A new vipd: it learns what we hold, or tells us what an earlier life left behind. */
function hello(turn: Turn, message: VipdMessage & { type: 'hello' }): void {
  const { state } = turn.machine;
  update(turn, { vipdLostAt: undefined });
  sample(turn);
  // Before anything but the first heartbeat has been said.
  tickCopy(turn);
  noteEpoch(turn, { ...message.epoch, node: turn.machine.settings.nodeId });
  if (state.role === 'claiming' && between(state.claimedAt, turn.now) > turn.machine.settings.intervalMs) {
    giveUp(turn, state.epoch, false);
    return becomeStandby(turn, 'vipd came too late for the claim: somebody else may serve by now');
  }
  if (state.role === 'active' && holdsBack(turn.machine, turn.now)) return letGoMute(turn, state.epoch);
  if ('epoch' in state)
    return leaseIsOver(turn.machine, turn.now) ? letGo(turn, state.epoch) : adopt(turn, state.epoch);
  if (message.held === 0) return;
  if (state.role === 'starting' && message.mode === 'alone') {
    update(turn, { state: { ...state, resume: true }, heldAddresses: true });
  } else {
    // An armed lease of an earlier life: the peer may be taking over already.
    giveUp(turn, message.epoch, false);
  }
}

function letGo(turn: Turn, epoch: Epoch): void {
  giveUp(turn, epoch, true);
  becomeStandby(turn, 'there was no vipd for longer than the lease: the peer may be taking over', true);
}

export function sample(turn: Turn): void {
  const { intervalMs, lans } = turn.machine.settings;
  if (lans.length === 0) return;
  turn.effects.push({ type: 'sample', ...sampling(intervalMs) });
}

function target(turn: Turn, { index, up }: VipdMessage & { type: 'target' }): void {
  const { targetsUp, settings } = turn.machine;
  const before = targetsUp[index];
  if (index >= targetsUp.length || before === up) return;
  update(turn, { targetsUp: targetsUp.map((old, i) => (i === index ? up : old)) });
  const lan = settings.lans.find(({ targets }) => targets.includes(index))?.name ?? '';
  if (before !== undefined || !up) report(turn, up ? 'TARGET_ANSWERS' : 'TARGET_SILENT', { target: index, lan });
}

function traffic(turn: Turn, { iface, alive }: VipdMessage & { type: 'traffic' }): void {
  const { lanHealth, settings } = turn.machine;
  const told = lanHealth.map((health, lan) =>
    settings.lans[lan]?.interface === iface ? { ...health, traffic: alive } : health,
  );
  update(turn, { lanHealth: told });
}

/**
 * Somebody else claims an address that we hold. A third machine: by policy. The peer, unheard: its claim is all we have of it, so the
 * rank decides, unless it is heard meanwhile; heard: the heartbeats' epochs do.
 */
function conflict(turn: Turn, message: VipdMessage & { type: 'conflict' }): void {
  if (turn.machine.state.role !== 'active') noteClaim(turn, message);
  if (inHandover(turn, message)) return;
  const { index, mac, port } = message;
  report(turn, 'VIP_CLAIMED_BY_OTHER', { address: index, mac, port });
  const { state } = turn.machine;
  if (state.role !== 'active' || letGoToRival(turn, message)) return;
  if (mac !== peerMac(turn.machine, index)) return claimedByThird(turn, { address: index, mac, port });
  // Heard: the epochs decide, and whoever has let go at our first word has announced before that.
  if (heardWithin(turn.machine, deadMs(turn.machine), turn.now)) return void turn.effects.push({ type: 'announce' });
  if (outranksPeer(turn.machine)) return void turn.effects.push({ type: 'announce' });
  if (between(state.activeAt, turn.now) < deadMs(turn.machine)) return yieldToRival(turn, state, claimsUnheard(turn));
  if (turn.machine.rivalSince !== undefined) return;
  update(turn, { rivalSince: turn.now });
  sendNow(turn);
}

/** Lets go to the peer that holds the addresses, too, and cannot be told of our epoch. */
function yieldToRival(turn: Turn, { epoch }: State & { role: 'active' }, why: string): void {
  giveUp(turn, epoch, true);
  becomeStandby(turn, why, true);
  noteRival(turn);
}

function claimsUnheard({ machine }: Turn): string {
  const rank = neverHeard(machine) ? 'its name comes first' : 'ranks higher';
  return `the peer, whose heartbeats do not arrive, claims the addresses too, and ${rank}`;
}

/**
 * Two owners of some age that do not hear each other: the lower rank does not let go at the first claim. Where LANs come back, a claim
 * arrives before the first heartbeat does; the peer may read our higher epoch in that moment and let go, too, and nobody would serve. And
 * if we hear a peer that does not hear us, we alone can end it, whatever the epochs.
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

function claimedByThird(turn: Turn, claim: { address: number; mac: string; port: string }): void {
  const { state } = turn.machine;
  update(turn, { foreign: afterClaim(turn.machine, claim, turn.now) });
  if (state.role !== 'active') return;
  if (!standsDown(turn.machine, turn.now)) return void turn.effects.push({ type: 'announce' });
  report(turn, 'STANDS_DOWN', { address: claim.address, mac: claim.mac, port: claim.port });
  // Without a will: the peer is to read first that it should not claim either.
  giveUp(turn, state.epoch, false);
  becomeStandby(turn, `another machine (${claim.mac}) claims a virtual address, and on_conflict says stand-down`);
  sendNow(turn);
}

function held(turn: Turn, { seq, announcedAfterUs }: VipdMessage & { type: 'held' }): void {
  const { lease, state } = turn.machine;
  const renewal = lease.inFlight.find(entry => entry.seq === seq);
  if (!renewal || !('epoch' in state)) return;
  const { ackedAt, ackedLeaseMs: leaseMs } = lease;
  const margin = ackedAt === undefined ? undefined : noteMargin(lease.margin, { ackedAt, leaseMs, now: turn.now });
  update(turn, {
    heldAddresses: true,
    lease: {
      ...lease,
      inFlight: lease.inFlight.filter(entry => entry.seq > seq),
      ackedAt: renewal.at,
      ackedLeaseMs: renewal.leaseMs,
      ackedArmed: renewal.armed,
      margin,
    },
  });
  if (renewal.claimed) noteClaimed(turn, renewal.claimed);
  if (state.role !== 'claiming') return;
  endPause(turn);
  if (announcedAfterUs !== undefined) report(turn, 'VIPS_ANNOUNCED', { afterMs: announcedAfterUs / 1_000 });
  become(turn, { role: 'active', epoch: state.epoch, activeAt: turn.now, wish: undefined }, state.why, state.evidence);
  sendNow(turn);
}

function refused(turn: Turn, seq: number, reason: string): void {
  const { lease, state } = turn.machine;
  const known = lease.inFlight.some(entry => entry.seq === seq);
  update(turn, { lease: { ...lease, inFlight: lease.inFlight.filter(entry => entry.seq !== seq) } });
  if (!known || !('epoch' in state)) return;
  // vipd has said which of the addresses it is about; the rest at once.
  if (state.role === 'claiming' && reason === 'kernel' && canClaimLess(turn)) return askClaim(turn, state.epoch);
  report(turn, 'VIPD_REFUSED', { reason, epoch: formatEpoch(state.epoch) });
  if (reason === 'late') return;
  if (reason === 'stale-epoch' && state.role === 'active') {
    const epoch = nextEpoch(turn.machine);
    noteEpoch(turn, epoch);
    update(turn, { state: { ...state, epoch } });
    return renew(turn, epoch);
  }
  if (state.role === 'claiming') return claimFailed(turn, state.epoch, `vipd refused: ${reason}`);
  giveUp(turn, state.epoch, false);
  becomeStandby(turn, `vipd refused: ${reason}`, true);
}

function expired(turn: Turn, message: VipdMessage & { type: 'expired' }): void {
  const { state } = turn.machine;
  update(turn, { heldAddresses: false });
  if (!('epoch' in state) || compareEpochs(message.epoch, state.epoch) < 0) return;
  report(turn, 'LEASE_EXPIRED', { epoch: formatEpoch(message.epoch) });
  becomeStandby(
    turn,
    'the lease ran out before it was renewed: this process was late; vipd removed the addresses',
    true,
  );
}

function link(turn: Turn, message: VipdMessage & { type: 'link' }): void {
  const { addressLinks } = turn.machine;
  const before = addressLinks[message.index];
  if (!before) return;
  const { up, mac } = message;
  update(turn, { addressLinks: addressLinks.map((old, i) => (i === message.index ? { up, mac } : old)) });
  if (before.up === up) return;
  endPause(turn);
  forgetRefusals(turn, index => index === message.index);
  report(turn, up ? 'CARRIER_BACK' : 'CARRIER_LOST', { address: message.index });
}

/** An answer counts when it comes from the peer; before the peer's MAC is known, from anybody. A third MAC is a conflict. */
function reply(turn: Turn, message: VipdMessage & { type: 'reply' }): void {
  const byPeer = message.mac === peerMac(turn.machine, message.index);
  if (byPeer && message.via !== 'arp') {
    noteProof(turn, message.id, message.index, true);
    noteAnswer(turn);
  }
  if (byPeer && message.via === 'echo') noteEcho(turn, message.index);
  const expected = peerMac(turn.machine, message.index);
  const third = expected !== undefined && expected !== message.mac;
  if (third && message.via === 'arp') return answeredByThird(turn, message);
  const { state } = turn.machine;
  if (!('probing' in state) || !state.probing) return;
  if (message.via === 'arp') {
    if (expected !== undefined && state.probing.resolvedAt === undefined)
      update(turn, { state: { ...state, probing: { ...state.probing, resolvedAt: turn.now } } as State });
    return;
  }
  if (third) {
    report(turn, 'VIP_CLAIMED_BY_OTHER', { address: message.index, mac: message.mac, port: '' });
    return claimedByThird(turn, { address: message.index, mac: message.mac, port: '' });
  }
  const { round } = state.probing;
  if (message.id > round.id || message.id < round.id - LATE_ROUNDS) return;
  if (round.answered.includes(message.index)) return;
  const probing: Probing = { ...state.probing, round: { ...round, answered: [...round.answered, message.index] } };
  update(turn, { state: { ...state, probing } as State });
}

/**
 * Switches, proxies and strangers answer for the dead: worth telling, in calm weather too, but
 * neither a sign of life nor a claim.
 */
function answeredByThird(turn: Turn, { index, mac }: { readonly index: number; readonly mac: string }): void {
  const { answerer, news } = afterAnswer(turn.machine, { address: index, mac }, turn.now);
  update(turn, { answerer });
  if (news) report(turn, 'VIP_CLAIMED_BY_OTHER', { address: index, mac, port: '' });
}

/** vipd's word that nothing answered a probe in its window. */
function silent(turn: Turn, message: VipdMessage & { type: 'silent' }): void {
  noteProof(turn, message.id, message.index, false);
  const { state } = turn.machine;
  if (!('probing' in state) || !state.probing || message.id !== state.probing.round.id) return;
  const { round } = state.probing;
  if (round.silent.includes(message.index) || round.answered.includes(message.index)) return;
  const probing: Probing = { ...state.probing, round: { ...round, silent: [...round.silent, message.index] } };
  update(turn, { state: { ...state, probing } as State });
}

/**
 * In a handover both hold the addresses for a moment, and each hears the other announce them: planned, no conflict. vipd's word of that
 * can come after the peer's heartbeat has moved us on: whoever no longer serves, or not yet, has no conflict with the peer. Without the
 * peer's heartbeats there is no handover: two that claim at the same moment must not take each other's announcements for one.
 */
function inHandover(turn: Turn, { index, mac }: { readonly index: number; readonly mac: string }): boolean {
  const { state, settings } = turn.machine;
  if (mac !== peerMac(turn.machine, index)) return false;
  if (state.role !== 'active') return true;
  const heard = heardWithin(turn.machine, deadMs(turn.machine), turn.now);
  return heard && between(state.activeAt, turn.now) < settings.leaseMs;
}
