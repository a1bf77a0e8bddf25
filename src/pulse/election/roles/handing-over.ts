// A planned handover from the giver's side: flush, offer, let go once the peer serves, or take
// back. Make-before-break: the giver keeps its addresses until it hears the taker serve; its lease,
// not renewed since the offer, bounds the overlap. Keeps R8 (docs/invariants.md). Pure.
import type { Reason } from '../../../feed/role-reason.ts';
import { after, between, ms } from '../../../units/duration.ts';
import { compareEpochs, type Epoch, formatEpoch } from '../../../units/epoch.ts';
import { offerLasts } from '../../timing.ts';
import { probeRoundMs } from '../beliefs/deadlines.ts';
import { evidenceOf } from '../beliefs/decision-evidence.ts';
import { isServing } from '../beliefs/peer.ts';
import { fitPeerHeard, whyPeerCannotTake, whyPeerIsCold } from '../beliefs/peer-heard.ts';
import { holdsBack } from '../beliefs/peer-may-take.ts';
import { afterFailure, NO_FAILURES } from '../beliefs/retry.ts';
import { nextEpoch } from '../beliefs/term.ts';
import type { Giving, PulseEvent } from '../machine.ts';
import { become, becomeStandby, giveUp, noteEpoch, probe, renew, sendNow } from '../moves.ts';
import { answer, emit, report, type Turn, update } from '../step-context.ts';

export interface HandoverTerms {
  /** Waits until the kernel's sync buffer has been sent. */
  readonly flush: boolean;
  /** Goes on even if the peer's tables are cold: sessions break, yet somebody serves. */
  readonly coldToo: boolean;
}

/** Begins a handover if the peer can take; answers why not otherwise. */
export function startHandover(turn: Turn, why: Reason, { flush, coldToo }: HandoverTerms): string | undefined {
  const { state, flushMs } = turn.machine;
  if (state.role !== 'active') return `this router is ${state.role}, not active`;
  const obstacle = whyNotGive(turn, coldToo);
  if (obstacle) return obstacle;
  // Nobody could take the addresses away here once the peer has them.
  if (turn.machine.vipdLostAt !== undefined) return 'vipd is being replaced; try again in a moment';
  const waitMs = flush ? flushMs : 0;
  const until = after(turn.now, ms(waitMs));
  const giving: Giving = {
    role: 'handing-over',
    epoch: state.epoch,
    offer: { ...nextEpoch(turn.machine), node: turn.machine.peer.peerNodeId },
    why,
    coldToo,
    phase: 'flushing',
    until,
    probing: undefined,
  };
  become(turn, giving, why, { ...evidenceOf(turn.machine, undefined, turn.now), flushMs: waitMs });
  report(turn, 'HANDOVER_STARTED', { reason: why, flushMs: waitMs });
  if (waitMs === 0 && leaseIsArmed(turn)) offer(turn, giving);
  return undefined;
}

/**
 * By vipd's own word the lease ends by itself unless it is renewed: only then does it bound the
 * overlap. One that was alone until this moment has yet to say so; it may be stopped just then, and
 * its kernel would go on serving.
 */
function leaseIsArmed({ machine: { lease } }: Turn): boolean {
  // safeguard: armed-before-the-offer
  return lease.ackedArmed && lease.inFlight.every(({ armed }) => armed);
}

function whyNotGive({ machine, now }: Turn, coldToo: boolean): string | undefined {
  return whyPeerCannotTake(machine, now) ?? (coldToo ? undefined : whyPeerIsCold(machine));
}

/** Time passes for the giver. */
export function tickGiving(turn: Turn, state: Giving): void {
  // Nobody hears an offer, and nothing may prolong the lease.
  if (turn.now < state.until || holdsBack(turn.machine, turn.now)) return;
  if (state.phase === 'flushing') {
    const obstacle = whyNotGive(turn, state.coldToo);
    if (obstacle) takeBack(turn, state, `the peer can no longer take over: ${obstacle}`);
    else if (leaseIsArmed(turn)) offer(turn, state);
    else if (between(state.until, turn.now) >= turn.machine.settings.leaseMs)
      takeBack(turn, state, 'vipd has not armed the lease in time');
  } else if (state.phase === 'offered') check(turn, state);
  else conclude(turn, state);
}

/** From here on no renewals: the lease ends by itself if we cannot go on. */
function offer(turn: Turn, state: Giving): void {
  const { leaseMs } = turn.machine.settings;
  const epoch: Epoch = { ...nextEpoch(turn.machine), node: turn.machine.peer.peerNodeId };
  noteEpoch(turn, epoch);
  update(turn, {
    state: { ...state, phase: 'offered', offer: epoch, until: after(turn.now, offerLasts(leaseMs)) },
  });
  renew(turn, state.epoch);
}

/** The deadline has passed without a word from the taker: does it hold the addresses? */
function check(turn: Turn, state: Giving): void {
  const round = probe(turn);
  const until = after(turn.now, probeRoundMs(turn.machine));
  update(turn, {
    state: {
      ...state,
      phase: 'checking',
      until,
      probing: { round, silentRounds: 0, answeredRounds: 0, resolvedAt: undefined },
    },
  });
}

function conclude(turn: Turn, state: Giving): void {
  const answered = (state.probing?.round.answered.length ?? 0) > 0;
  if (answered) {
    letGo(turn, state, 'the peer answers for the addresses');
  } else if (turn.machine.stopRequested) {
    const reason = 'the peer did not claim in time; stopping all the same';
    report(turn, 'HANDOVER_FAILED', { reason });
    giveUp(turn, state.epoch, true);
    exit(turn, reason);
  } else {
    takeBack(turn, state, 'the peer did not claim in time');
  }
}

function takeBack(turn: Turn, state: Giving, reason: string): void {
  const epoch = state.phase === 'flushing' ? state.epoch : nextEpoch(turn.machine);
  noteEpoch(turn, epoch);
  update(turn, { handoverRetry: afterFailure(turn.machine.handoverRetry, turn.machine.settings, turn.now) });
  report(turn, 'HANDOVER_FAILED', { reason });
  become(turn, { role: 'active', epoch, activeAt: turn.now, wish: undefined }, `handover failed: ${reason}`);
  renew(turn, epoch);
}

/** The giver hears the taker: once that one serves under the offered epoch, let go. */
export function hearTaker(turn: Turn, state: Giving): void {
  const { peer } = turn.machine;
  const taken = peer.last !== undefined && isServing(peer) && compareEpochs(peer.last.epoch, state.epoch) > 0;
  if (taken && peer.last) letGo(turn, state, `the peer serves under epoch ${formatEpoch(peer.last.epoch)}`);
}

function letGo(turn: Turn, state: Giving, reason: string): void {
  giveUp(turn, state.epoch, false);
  update(turn, { handoverRetry: NO_FAILURES });
  report(turn, 'HANDOVER_DONE', { reason });
  if (turn.machine.stopRequested) exit(turn, `handed over: ${reason}`);
  else becomeStandby(turn, `handed over: ${reason}`);
  sendNow(turn);
}

/**
 * What SIGTERM asks for, tried after every event until it is done: hand over first if someone can
 * take; alone, leave the addresses to their kernel lifetime. A handover that fails, or a lease that
 * ends meanwhile, leads back here and to the exit.
 */
export function stop(turn: Turn): void {
  const { state } = turn.machine;
  if (state.role === 'handing-over' || state.role === 'stopping') return;
  if (state.role === 'active') {
    const obstacle = startHandover(turn, 'pulse is told to stop', { flush: true, coldToo: true });
    if (obstacle === undefined) return;
    if (fitPeerHeard(turn.machine, turn.now)) giveUp(turn, state.epoch, true);
    else renew(turn, state.epoch);
    exit(turn, `told to stop; no planned handover: ${obstacle}`);
    return;
  }
  if (state.role === 'claiming') giveUp(turn, state.epoch, true);
  exit(turn, 'told to stop');
}

function exit(turn: Turn, reason: Reason): void {
  become(turn, { role: 'stopping' }, reason);
  emit(turn, { type: 'exit' });
}

/** A person's command. */
export function obeyHandover(turn: Turn, { cold }: PulseEvent & { type: 'handover' }): void {
  const why = cold ? 'planned handover by command, cold or not' : 'planned handover by command';
  const obstacle = startHandover(turn, why, { flush: true, coldToo: cold });
  const { flushMs } = turn.machine;
  const wait = flushMs > 0 ? `; waiting ${flushMs} ms for the kernel's sync buffer first` : '';
  answer(turn, obstacle === undefined, obstacle === undefined ? `handover started${wait}` : `no handover: ${obstacle}`);
}
