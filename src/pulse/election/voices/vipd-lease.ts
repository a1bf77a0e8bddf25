// vipd's words on the lease: acknowledgements keep us serving, an expiry or refusal ends it, a
// silent vipd is replaced, a new one learns what we hold. R1 to R3 (docs/invariants.md). Pure.
import { type At, between } from '../../../units/duration.ts';
import { compareEpochs, type Epoch, formatEpoch } from '../../../units/epoch.ts';
import type { VipdMessage } from '../../../vip/protocol.ts';
import { vipdStuckAfter } from '../../timing.ts';
import { listenMs } from '../beliefs/deadlines.ts';
import { noteMargin } from '../beliefs/lease-margin.ts';
import { isServing } from '../beliefs/peer.ts';
import { holdsBack } from '../beliefs/peer-may-take.ts';
import { probeOverdueSince } from '../beliefs/probing.ts';
import { leaseIsOver, nextEpoch } from '../beliefs/term.ts';
import type { State } from '../machine.ts';
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
  sendNow,
  setProbing,
} from '../moves.ts';
import { leaseWith } from '../replica.ts';
import { emit, report, type Turn, update } from '../step-context.ts';
import { letGoMute } from './bare.ts';
import { askBeforeSpeaking } from './copy.ts';
import { canClaimLess, noteClaimed } from './holding.ts';
import { sample } from './lan-signs.ts';

/** A vipd that does not answer in time is stopped or stuck: a new one adopts the addresses. */
export function tickVipd(turn: Turn): void {
  const { lease, settings, vipdLostAt } = turn.machine;
  if (vipdLostAt !== undefined) return endWithoutVipd(turn, vipdLostAt);
  const oldest = lease.inFlight[0];
  if (oldest && between(oldest.waitingSince, turn.now) >= vipdStuckAfter(settings)) replaceVipd(turn, oldest.at);
  else {
    const overdue = probeOverdueSince(turn.machine, turn.now);
    if (overdue !== undefined) replaceVipd(turn, overdue);
  }
}

/**
 * Whatever the kernel was to keep has ended by itself by now. A term that it said it had would only
 * make the peer wait for that.
 */
function endWithoutVipd(turn: Turn, lostAt: At): void {
  if (between(lostAt, turn.now) <= listenMs(turn.machine)) return;
  if (turn.machine.heldAddresses) update(turn, { heldAddresses: false });
  if (turn.machine.state.role !== 'active') return;
  becomeStandby(turn, 'vipd could not be started for longer than the addresses live without it', true);
}

function replaceVipd(turn: Turn, since: At): void {
  const { lease } = turn.machine;
  report(turn, 'VIPD_STUCK', { unansweredMs: Math.round(between(since, turn.now)) });
  // What was asked of the old one is asked of the new one again.
  setProbing(turn, undefined);
  update(turn, { vipdLostAt: turn.now, willFor: '', lease: leaseWith(lease, { inFlight: [] }) });
  emit(turn, { type: 'respawn-vipd' });
}

/** A new vipd: it learns what we hold, or tells us what an earlier life left behind. */
export function hearHello(turn: Turn, message: VipdMessage & { type: 'hello' }): void {
  const { state } = turn.machine;
  update(turn, { vipdLostAt: undefined });
  sample(turn);
  askBeforeSpeaking(turn);
  noteEpoch(turn, { ...message.epoch, node: turn.machine.settings.nodeId });
  if (state.role === 'claiming' && isTooLate(turn, state)) {
    giveUp(turn, state.epoch, false);
    return becomeStandby(turn, 'vipd came too late for the claim: somebody else may serve by now');
  }
  if (state.role === 'active' && holdsBack(turn.machine, turn.now)) return letGoMute(turn, state.epoch);
  if ('epoch' in state)
    // safeguard: new-vipd-no-ended-lease
    return leaseIsOver(turn.machine, turn.now) ? letGo(turn, state.epoch) : adopt(turn, state.epoch);
  update(turn, { heldAddresses: message.held > 0 });
  if (message.held === 0) return;
  if (state.role === 'starting' && message.mode === 'alone') {
    // What serves must not be silent for an answer's sake.
    update(turn, { state: { ...state, resume: true }, heartbeatDueAt: turn.now });
  } else {
    // An armed lease of an earlier life: the peer may be taking over already.
    giveUp(turn, message.epoch, false);
  }
}

/** Others have not waited for it, or the peer has been heard to serve since, and offers nothing. */
function isTooLate({ machine: { settings, peer }, now }: Turn, { claimedAt }: State & { role: 'claiming' }): boolean {
  if (between(claimedAt, now) > settings.intervalMs) return true;
  // safeguard: claim-ends-with-the-silence
  return isServing(peer) && peer.last?.role === 'active' && peer.servingAt !== undefined && peer.servingAt > claimedAt;
}

function letGo(turn: Turn, epoch: Epoch): void {
  giveUp(turn, epoch, true);
  becomeStandby(turn, 'there was no vipd for longer than the lease: the peer may be taking over', true);
}

export function hearHeld(turn: Turn, { seq, announcedAfterUs }: VipdMessage & { type: 'held' }): void {
  const { lease, state } = turn.machine;
  const renewal = lease.inFlight.find(entry => entry.seq === seq);
  if (!renewal || !('epoch' in state)) return;
  const { ackedAt, ackedLeaseMs: leaseMs } = lease;
  const margin = ackedAt === undefined ? undefined : noteMargin(lease.margin, { ackedAt, leaseMs, now: turn.now });
  update(turn, {
    heldAddresses: true,
    lease: leaseWith(lease, {
      inFlight: lease.inFlight.filter(entry => entry.seq > seq),
      // safeguard: held-from-the-request
      ackedAt: renewal.at,
      ackedBeforeAt: ackedAt,
      ackedLeaseMs: renewal.leaseMs,
      ackedArmed: renewal.armed,
      margin,
    }),
  });
  if (renewal.claimed) noteClaimed(turn, renewal.claimed);
  if (state.role !== 'claiming') return;
  endPause(turn);
  if (announcedAfterUs !== undefined) report(turn, 'VIPS_ANNOUNCED', { afterMs: announcedAfterUs / 1_000 });
  become(turn, { role: 'active', epoch: state.epoch, activeAt: turn.now, wish: undefined }, state.why, state.evidence);
  sendNow(turn);
}

export function hearRefused(turn: Turn, seq: number, reason: string): void {
  const { lease, state } = turn.machine;
  const known = lease.inFlight.some(entry => entry.seq === seq);
  update(turn, { lease: leaseWith(lease, { inFlight: lease.inFlight.filter(entry => entry.seq !== seq) }) });
  if (!known || !('epoch' in state)) return;
  // vipd has said which of the addresses it is about; the rest at once.
  // safeguard: claims-the-rest
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

export function hearExpired(turn: Turn, message: VipdMessage & { type: 'expired' }): void {
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

export function vipdGone(turn: Turn, how: string): void {
  setProbing(turn, undefined);
  report(turn, 'VIPD_GONE', { how });
  // One that dies before its hello has changed nothing: there has been none since the one before.
  const vipdLostAt = turn.machine.vipdLostAt ?? turn.now;
  update(turn, { vipdLostAt, willFor: '', lease: leaseWith(turn.machine.lease, { inFlight: [] }) });
  emit(turn, { type: 'respawn-vipd' });
}
