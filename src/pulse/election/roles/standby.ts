// A router that stands by: it watches the owner, probes once a heartbeat is missing, and takes over
// once it may (beliefs/standby-judgement.ts). R3, R4 (docs/invariants.md). Pure.
import { after } from '../../../units/duration.ts';
import { compareEpochs, formatEpoch } from '../../../units/epoch.ts';
import { whyNotClaim } from '../beliefs/claim-bars.ts';
import { deadAt, deadMs } from '../beliefs/deadlines.ts';
import { evidenceOf } from '../beliefs/decision-evidence.ts';
import { isServing, roundTripMs } from '../beliefs/peer.ts';
import { heardWithin } from '../beliefs/peer-heard.ts';
import { judgeStandby } from '../beliefs/standby-judgement.ts';
import { nextEpoch } from '../beliefs/term.ts';
import type { Idle } from '../machine.ts';
import { advanceProbing, claim } from '../moves.ts';
import { setCondition, type Turn, updateState } from '../step-context.ts';
import { tickProof } from '../voices/calm-probe.ts';
import type { News } from '../voices/heartbeats.ts';
import { hurryWitness, useGrant } from '../voices/witness-answers.ts';

export function tickStandby(turn: Turn, state: Idle): void {
  const { machine, now } = turn;
  // Only time in which we could have claimed counts: two routers whose rules come in together must
  // not both have waited already.
  const may = whyNotClaim(machine, now) === undefined;
  const vacant = may && !isServing(machine.peer) && heardWithin(machine, deadMs(machine), now);
  const vacantSince = vacant ? (state.vacantSince ?? now) : undefined;
  // Without a vipd there is nothing to probe or to claim with.
  if (machine.vipdLostAt !== undefined) return;
  const first = judgeStandby(
    machine,
    { role: 'standby', probing: state.probing, vacantSince, yields: state.yields },
    now,
  );
  if (first.verdict === 'calm') {
    const yields = state.yields && !isServing(machine.peer);
    updateState(turn, state, { probing: undefined, vacantSince, yields });
    tickProof(turn);
    return setCondition(turn, 'links-broken', false, 'LINKS_RESTORED', {});
  }
  // While links are broken for long, probing goes on at the pace of the heartbeat.
  const slow = now > after(deadAt(machine), deadMs(machine)) && first.verdict === 'suspicious';
  const probing = advanceProbing(turn, state.probing, slow ? machine.settings.intervalMs : 0);
  updateState(turn, state, { probing, vacantSince });
  hurryWitness(turn);
  const judgement = judgeStandby(turn.machine, { role: 'standby', probing, vacantSince, yields: state.yields }, now);
  if (judgement.verdict === 'take') {
    setCondition(turn, 'links-broken', false, 'LINKS_RESTORED', {});
    if (judgement.grant) useGrant(turn);
    return claim(turn, judgement.grant ?? nextEpoch(turn.machine), judgement.why, judgement.evidence);
  }
  if (judgement.verdict === 'suspicious' && judgement.linksBroken) {
    setCondition(turn, 'links-broken', true, 'LINKS_BROKEN', evidenceOf(turn.machine, probing, now));
  }
}

export function hearWhileStandby(turn: Turn, { roleBefore: before }: News): void {
  const { peer, settings, highest } = turn.machine;
  const idle = turn.machine.state;
  // It can claim from now on, or does: what we have waited and probed was before that.
  if (peer.last?.role !== before && idle.role === 'standby' && idle.vacantSince !== undefined)
    // Its claim came to nothing: it had its turn.
    updateState(turn, idle, {
      probing: undefined,
      vacantSince: turn.now,
      yields: idle.yields && before !== 'claiming',
    });
  const offer = peer.last?.offer;
  if (
    offer &&
    peer.last !== undefined &&
    // Its time runs while it is on its way: in a full queue that may be all of it.
    peer.last.echoSentAtUs > 0 &&
    // safeguard: offer-in-time
    offer.remainingMs > roundTripMs(peer.last, turn.now) &&
    offer.epoch.node === settings.nodeId &&
    compareEpochs(offer.epoch, highest) >= 0
  ) {
    // An offer that waited for us to wake up says nothing of how much of its time is left.
    if (!turn.machine.unread && whyNotClaim(turn.machine, turn.now) === undefined && isServing(peer)) {
      return claim(turn, offer.epoch, 'the peer hands over', {
        offeredEpoch: formatEpoch(offer.epoch),
        remainingMs: offer.remainingMs,
      });
    }
  }
  const { state } = turn.machine;
  if (state.role === 'standby') tickStandby(turn, state);
}
