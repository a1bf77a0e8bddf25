// The moves that roles and voices share: a heartbeat, claiming, renewing, letting go, changing
// role, probing. They know neither. R1, R2, R6 (docs/invariants.md). Pure.
import type { Reason } from '../../feed/role-reason.ts';
import type { Fields } from '../../log/event.ts';
import { after, ms } from '../../units/duration.ts';
import { EPOCH_BLOCK, type Epoch, formatEpoch, newerEpoch } from '../../units/epoch.ts';
import { introduction, offerInterval } from '../timing.ts';
import { isReady } from './beliefs/claim-bars.ts';
import { probeRoundMs } from './beliefs/deadlines.ts';
import { evidenceOf } from './beliefs/decision-evidence.ts';
import { addressesToClaim, addressesToHold } from './beliefs/holdable.ts';
import { isCopy } from './beliefs/own-addresses.ts';
import { peerMac } from './beliefs/peer-heard.ts';
import { holdsBack, peerMayTake } from './beliefs/peer-may-take.ts';
import { isRoundComplete } from './beliefs/probing.ts';
import { afterFailure, NO_FAILURES } from './beliefs/retry.ts';
import { raisedEpoch } from './beliefs/term.ts';
import type { ProbeRound, Probing, State } from './machine.ts';
import { leaseWith, witnessWith } from './replica.ts';
import { emit, report, type Turn, update, updateState } from './step-context.ts';

/** Reserve the next block when fewer than this are left. */
const EPOCH_RESERVE = 100;

/** Changes the role, with its reason and evidence for the log, the feed and `tandem why`. */
export function become(turn: Turn, state: State, reason: Reason, evidence?: Fields): void {
  const from = turn.machine.state.role;
  const probing = 'probing' in turn.machine.state ? turn.machine.state.probing : undefined;
  const facts = evidence ?? evidenceOf(turn.machine, probing, turn.now);
  update(turn, { state });
  const epoch = formatEpoch('epoch' in state ? state.epoch : turn.machine.highest);
  emit(turn, { type: 'decision', decision: { from, to: state.role, epoch, reason, evidence: facts } });
}

/** `yields`: see Idle. */
export function becomeStandby(turn: Turn, reason: Reason, yields = false): void {
  update(turn, {
    lastTerm: 'epoch' in turn.machine.state ? turn.machine.state.epoch : turn.machine.lastTerm,
    willFor: '',
    rivalSince: undefined,
    lease: leaseWith(turn.machine.lease, { inFlight: [], ackedAt: undefined, margin: undefined }),
    // What it knew of the peer before is from a time in which it was late.
    blindUntil: yields ? turn.now : turn.machine.blindUntil,
  });
  become(turn, { role: 'standby', probing: undefined, vacantSince: undefined, yields }, reason);
}

/** Notes an epoch, and reserves counters on disk before they run out. */
export function noteEpoch(turn: Turn, epoch: Epoch): void {
  update(turn, { highest: newerEpoch(turn.machine.highest, epoch) });
  if (turn.machine.highest.counter > turn.machine.ceiling - EPOCH_RESERVE) {
    update(turn, { ceiling: turn.machine.highest.counter + EPOCH_BLOCK });
    emit(turn, { type: 'persist' });
  }
}

/** Asks vipd for the addresses; `held` makes us active. */
export function claim(turn: Turn, epoch: Epoch, why: Reason, evidence: Fields): void {
  noteEpoch(turn, epoch);
  // The witness is to hear of it at once: until it has, losing the peer looks like being cut off
  // from both.
  update(turn, { witness: witnessWith(turn.machine.witness, { dueAt: turn.now }) });
  become(turn, { role: 'claiming', epoch, claimedAt: turn.now, why, evidence }, why, evidence);
  askClaim(turn, epoch);
}

/** Has a vipd that was started anew adopt what we hold; behind a heartbeat, as every renewal. */
export function adopt(turn: Turn, epoch: Epoch): void {
  sendNow(turn);
  askClaim(turn, epoch);
}

/** vipd could not do what it was asked to: back to standby, with a pause before the next try. */
export function claimFailed(turn: Turn, epoch: Epoch, reason: Reason): void {
  giveUp(turn, epoch, false);
  const retry = afterFailure(turn.machine.retry, turn.machine.settings, turn.now);
  update(turn, { retry });
  report(turn, 'CLAIM_FAILED', {
    reason,
    failures: retry.failures,
    pauseMs: Math.round((retry.pauseUntil ?? 0) - turn.now),
  });
  becomeStandby(turn, reason, true);
}

/** Something has changed that may let the next claim or handover succeed. */
export function endPause(turn: Turn): void {
  update(turn, { retry: NO_FAILURES, handoverRetry: NO_FAILURES });
}

/** The claim command itself. */
export function askClaim(turn: Turn, epoch: Epoch): void {
  writeWill(turn, epoch, true);
  emit(turn, { type: 'claim', lease: leaseCommand(turn, epoch, true) });
}

/**
 * Renews the lease, behind a heartbeat: the peer counts D from the newest that it has read, so a
 * router that stalls between the two must not have prolonged the lease already.
 */
export function renew(turn: Turn, epoch: Epoch): void {
  // safeguard: heartbeat-first
  sendNow(turn);
  emit(turn, { type: 'renew', lease: leaseCommand(turn, epoch, false) });
  // After the renewal: a raised epoch is held before there is a will for it.
  writeWill(turn, epoch, false);
}

function leaseCommand(turn: Turn, epoch: Epoch, claims: boolean) {
  const { lease, settings } = turn.machine;
  // safeguard: holds-what-becomes-possible
  const able = claims ? addressesToClaim(turn.machine, turn.now) : addressesToHold(turn.machine, turn.now);
  // Where nothing can be held the kernel has the last word.
  const addresses = able.length > 0 ? able : [...settings.addressLans.keys()];
  // safeguard: armed-while-peer-may-take
  const armed = peerMayTake(turn.machine, turn.now);
  const seq = lease.commandSeq + 1;
  const { leaseMs } = settings;
  const claimed = claims ? addresses : undefined;
  const request = { seq, at: turn.now, waitingSince: turn.now, armed, leaseMs, claimed };
  const inFlight = [...lease.inFlight, request];
  update(turn, { lease: leaseWith(lease, { commandSeq: seq, asked: addresses, armed, inFlight }) });
  return { seq, epoch, at: turn.now, leaseMs, mode: armed ? ('armed' as const) : ('alone' as const), addresses };
}

/** Keeps the will in vipd's hands true: it names our epoch and the peer's present life. */
function writeWill(turn: Turn, epoch: Epoch, always: boolean): void {
  const { bootId } = turn.machine.peer;
  const willFor = `${formatEpoch(epoch)} ${bootId}`;
  if (!always && willFor === turn.machine.willFor) return;
  update(turn, { willFor });
  emit(turn, { type: 'will', epoch, peerBootId: bootId });
}

/** Lets go of all addresses; with the will, the peer takes over without waiting. */
export function giveUp(turn: Turn, epoch: Epoch, will: boolean): void {
  const { lease } = turn.machine;
  update(turn, {
    lease: leaseWith(lease, {
      commandSeq: lease.commandSeq + 1,
      inFlight: [],
      ackedAt: undefined,
      margin: undefined,
    }),
  });
  emit(turn, { type: 'give-up', seq: lease.commandSeq + 1, epoch, will });
}

export function sendNow(turn: Turn): void {
  if (isCopy(turn.machine, turn.now)) return;
  update(turn, { sendSeq: turn.machine.sendSeq + 1 });
  emit(turn, { type: 'send' });
}

/** Starts a probe round of every address on the peer's MAC. */
export function probe(turn: Turn): ProbeRound {
  const id = turn.machine.probeId + 1;
  const targets = turn.machine.settings.addressLans.map((_, index) => ({ index, mac: peerMac(turn.machine, index) }));
  update(turn, { probeId: id });
  emit(turn, { type: 'probe', id, windowMs: probeRoundMs(turn.machine), targets });
  return { id, sentAt: turn.now, answered: [], silent: [] };
}

/**
 * Counts the round once vipd has told of every address, and starts the next, at the earliest
 * `paceMs` after the last. A silence counts only by vipd's word: it knows when the probes went out,
 * a starved process does not mistake its own delay for it.
 */
export function advanceProbing(turn: Turn, probing: Probing | undefined, paceMs: number): Probing {
  if (!probing) return { round: probe(turn), silentRounds: 0, answeredRounds: 0, resolvedAt: undefined };
  const { round, silentRounds, answeredRounds, resolvedAt } = probing;
  if (!isRoundComplete(turn.machine, round) || turn.now < after(round.sentAt, ms(paceMs))) return probing;
  const answered = round.answered.length > 0;
  return {
    round: probe(turn),
    silentRounds: answered ? 0 : silentRounds + 1,
    answeredRounds: answered ? answeredRounds + 1 : answeredRounds,
    resolvedAt,
  };
}

/** A heartbeat, and with it the lease of an owner. */
export function beat(turn: Turn): void {
  const { state, settings } = turn.machine;
  const ready = isReady(turn.machine, turn.now);
  update(turn, { readySince: ready ? (turn.machine.readySince ?? turn.now) : undefined });
  // safeguard: giver-stops-renewing
  const offering = state.role === 'handing-over' && state.phase !== 'flushing';
  const keeps = state.role === 'active' || (state.role === 'handing-over' && !offering);
  const epoch = keeps ? raisedEpoch(turn.machine, state.epoch) : undefined;
  if (keeps && epoch !== undefined && epoch !== state.epoch) {
    noteEpoch(turn, epoch);
    updateState(turn, state, { epoch });
  }
  // A new vipd hears the claim first, in answer to its hello; a renewal before that would be
  // refused.
  const renews = turn.machine.vipdLostAt === undefined && !holdsBack(turn.machine, turn.now);
  if (epoch !== undefined && renews) renew(turn, epoch);
  else sendNow(turn);
  const pace = offering ? offerInterval(settings.intervalMs) : settings.intervalMs;
  const due = after(turn.machine.heartbeatDueAt, pace);
  update(turn, { heartbeatDueAt: due > turn.now ? due : after(turn.now, pace) });
}

/** From now on the peer can be heard again; what was silent before says nothing of it. */
export function listenAnew(turn: Turn): void {
  const { state, settings } = turn.machine;
  if (state.role === 'active' || state.role === 'handing-over') return;
  update(turn, { blindUntil: after(turn.now, introduction(settings.intervalMs)) });
  if (state.role === 'standby') updateState(turn, state, { probing: undefined, vacantSince: undefined });
}

/** Of a router that probes; the others have nothing to set. */
export function setProbing(turn: Turn, probing: Probing | undefined): void {
  const { state } = turn.machine;
  if ('probing' in state) updateState(turn, state, { probing });
}
