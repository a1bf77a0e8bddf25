// The election: one router of the pair is active, and everything that changes that. step() is a function from machine, event and
// time to machine and effects; main.ts and loop.ts run the effects. DESIGN.md "What must always hold". Pure.
import type { Role } from '../../feed/message.ts';
import { type At, after, between, formatDuration, ms } from '../../units/duration.ts';
import { compareEpochs, formatEpoch } from '../../units/epoch.ts';
import type { VipdMessage } from '../../vip/protocol.ts';
import type { Will } from '../heartbeat.ts';
import { claimFailsAfter, goneAfter, introducedAfter, offerInterval, REPORT_STALE_MS } from '../timing.ts';
import { isReady, whyNotClaim } from './beliefs/claim-bars.ts';
import { cutOffWishes } from './beliefs/cut-off.ts';
import {
  deadAt,
  deadMs,
  givenUpMs,
  listenMs,
  probeRoundMs,
  rivalDueAt,
  suspectAt,
  vipdDueAt,
} from './beliefs/deadlines.ts';
import { evidenceOf } from './beliefs/decision-evidence.ts';
import { bareLimitAt, hasWrongName } from './beliefs/own-addresses.ts';
import { isServing, receive, roundTripMs } from './beliefs/peer.ts';
import { heardWithin, hearsUs } from './beliefs/peer-heard.ts';
import { holdsBack } from './beliefs/peer-may-take.ts';
import { judgeStandby } from './beliefs/standby-judgement.ts';
import { nextEpoch, raisedEpoch, servingNow } from './beliefs/term.ts';
import { witnessDueAt } from './beliefs/witness-say.ts';
import type { Effect, Idle, Machine, PulseEvent, State } from './machine.ts';
import {
  advanceProbing,
  becomeStandby,
  claim,
  claimFailed,
  emit,
  endPause,
  giveUp,
  noteEpoch,
  renew,
  report,
  sendNow,
  setCondition,
  type Turn,
  update,
} from './moves.ts';
import { beginHandover, hearTaker, stop, tickGiving } from './roles/handing-over.ts';
import { notePeerLosses, tickActive } from './roles/voluntary-handover.ts';
import { hearBound, letGoWhenBare } from './voices/bare.ts';
import { tickProof } from './voices/calm-probe.ts';
import { hearGated, takeReload, tickReload } from './voices/config-change.ts';
import { tickCopy } from './voices/copy.ts';
import { tickHolding } from './voices/holding.ts';
import { letGoWhenCutOff, watchLans } from './voices/isolation.ts';
import { tickUnheard } from './voices/unheard.ts';
import { hearVipd, tickRival, tickVipd } from './voices/vipd-lease.ts';
import { hearWitness, hurryWitness, tickWitness, useGrant } from './voices/witness-answers.ts';

/** One event at one instant (monotonic). Never throws for what the world does. */
export function step(machine: Machine, event: PulseEvent, now: At): { machine: Machine; effects: Effect[] } {
  const turn: Turn = { machine, effects: [], now };
  switch (event.type) {
    case 'tick':
      tick(turn);
      break;
    case 'late':
      late(turn, event.byMs);
      break;
    case 'datagram':
      hear(turn, event);
      break;
    case 'vipd':
      hearVipd(turn, event.message);
      actOn(turn, event.message.type);
      // A new owner is to be known to the witness at once, not at its next heartbeat.
      if (event.message.type === 'held') tickWitness(turn);
      break;
    case 'witness':
      hearWitness(turn, event.answer);
      letGoWhenCutOff(turn);
      if (turn.machine.state.role === 'standby') tickStandby(turn, turn.machine.state);
      break;
    case 'vipd-gone':
      vipdGone(turn, event.how);
      break;
    case 'bound':
      hearBound(turn, event);
      break;
    case 'report':
      takeReport(turn, event);
      break;
    case 'reload':
      takeReload(turn, event.next);
      break;
    case 'gated':
      hearGated(turn, event.id);
      break;
    case 'handover':
    case 'hold':
    case 'release':
      obey(turn, event);
      break;
    case 'stop':
      update(turn, { stopRequested: true });
      break;
  }
  if (turn.machine.stopRequested) stop(turn);
  return { machine: turn.machine, effects: turn.effects };
}

/** Words of vipd that must not wait for the next tick: the end of a probe, and what tells that a LAN is dead. */
function actOn(turn: Turn, word: VipdMessage['type']): void {
  if (word === 'silent' && turn.machine.state.role === 'standby') tickStandby(turn, turn.machine.state);
  if (word !== 'link' && word !== 'target' && word !== 'traffic' && word !== 'fixed') return;
  watchLans(turn);
  letGoWhenCutOff(turn);
  letGoWhenBare(turn);
  const { state } = turn.machine;
  if (state.role === 'active') tickActive(turn, state);
}

/** When the next tick is due; never in the past, save for a heartbeat that is overdue. */
export function nextWake(machine: Machine, now: At): At {
  const { state, heartbeatDueAt } = machine;
  const wishes: At[] = [];
  if ('probing' in state && state.probing) wishes.push(after(state.probing.round.sentAt, probeRoundMs(machine)));
  if (state.role === 'standby') wishes.push(suspectAt(machine), deadAt(machine));
  if (state.role === 'handing-over') wishes.push(state.until);
  if (state.role === 'active') wishes.push(...cutOffWishes(machine));
  const bareLimit = bareLimitAt(machine);
  if (bareLimit !== undefined) wishes.push(bareLimit);
  if (machine.retry.pauseUntil !== undefined) wishes.push(machine.retry.pauseUntil);
  const witnessDue = witnessDueAt(machine);
  if (witnessDue !== undefined) wishes.push(witnessDue);
  for (const due of [vipdDueAt(machine), rivalDueAt(machine)]) if (due !== undefined) wishes.push(due);
  return Math.min(heartbeatDueAt, ...wishes.filter(wish => wish > now)) as At;
}

function tick(turn: Turn): void {
  update(turn, { unread: false });
  expireHold(turn);
  tickReload(turn);
  watchPeer(turn);
  tickVipd(turn);
  tickUnheard(turn);
  tickCopy(turn);
  watchLans(turn);
  letGoWhenCutOff(turn);
  letGoWhenBare(turn);
  tickHolding(turn);
  if (turn.now >= turn.machine.heartbeatDueAt) beat(turn);
  const { state } = turn.machine;
  if (state.role === 'starting') tickStarting(turn, state);
  else if (state.role === 'standby') tickStandby(turn, state);
  else if (state.role === 'claiming') tickClaiming(turn, state);
  else if (state.role === 'active') tickOwner(turn, state);
  else if (state.role === 'handing-over') tickGiving(turn, state);
  tickWitness(turn);
}

function tickOwner(turn: Turn, state: State & { role: 'active' }): void {
  tickRival(turn, state);
  if (turn.machine.state.role === 'active') tickActive(turn, turn.machine.state);
}

/** A heartbeat, and with it the lease of an owner. */
function beat(turn: Turn): void {
  const { state, settings } = turn.machine;
  const ready = isReady(turn.machine, turn.now);
  update(turn, { readySince: ready ? (turn.machine.readySince ?? turn.now) : undefined });
  const offering = state.role === 'handing-over' && state.phase !== 'flushing';
  const keeps = state.role === 'active' || (state.role === 'handing-over' && !offering);
  const epoch = keeps ? raisedEpoch(turn.machine, state.epoch) : undefined;
  if (keeps && epoch !== undefined && epoch !== state.epoch) {
    noteEpoch(turn, epoch);
    update(turn, { state: { ...state, epoch } });
  }
  // A new vipd hears the claim first, in answer to its hello; a renewal before that would be refused.
  const renews = turn.machine.vipdLostAt === undefined && !holdsBack(turn.machine, turn.now);
  if (epoch !== undefined && renews) renew(turn, epoch);
  else sendNow(turn);
  const pace = offering ? offerInterval(settings.intervalMs) : settings.intervalMs;
  const due = after(turn.machine.heartbeatDueAt, pace);
  update(turn, { heartbeatDueAt: due > turn.now ? due : after(turn.now, pace) });
}

function tickStarting(turn: Turn, state: State & { role: 'starting' }): void {
  const { machine, now } = turn;
  // Only vipd can tell what an earlier life has left in the kernel: until it has, nobody may be told that nobody serves here.
  if (machine.vipdLostAt !== undefined) return;
  const heard = heardWithin(machine, deadMs(machine), now);
  if (heard && isServing(machine.peer)) {
    if (state.resume) giveUp(turn, machine.highest, false);
    return becomeStandby(turn, 'the peer is active');
  }
  if (state.resume && hasWrongName(machine)) {
    giveUp(turn, machine.highest, false);
    return becomeStandby(turn, 'the VIPs were kept by a router of another name');
  }
  const introduced = between(state.startedAt, now) >= introducedAfter(machine.settings);
  if (state.resume && introduced) {
    const evidence = evidenceOf(machine, undefined, now);
    return claim(
      turn,
      nextEpoch(machine),
      'the VIPs were kept through a restart of pulse, nobody else serves',
      evidence,
    );
  }
  if (heard && introduced) return becomeStandby(turn, 'the peer is heard and does not serve');
  if (between(state.startedAt, now) >= listenMs(machine))
    becomeStandby(turn, `listened for ${Math.round(listenMs(machine))} ms, no peer heard`);
}

function tickStandby(turn: Turn, state: Idle): void {
  const { machine, now } = turn;
  // Only time in which we could have claimed counts: two routers whose rules come in together must not both have waited already.
  const may = whyNotClaim(machine, now) === undefined;
  const vacant = may && !isServing(machine.peer) && heardWithin(machine, deadMs(machine), now);
  const vacantSince = vacant ? (state.vacantSince ?? now) : undefined;
  // Without a vipd there is nothing to probe or to claim with.
  if (machine.vipdLostAt !== undefined) return;
  const first = judgeStandby(machine, { ...state, vacantSince }, now);
  if (first.verdict === 'calm') {
    update(turn, {
      state: { ...state, probing: undefined, vacantSince, yields: state.yields && !isServing(machine.peer) },
    });
    tickProof(turn);
    return setCondition(turn, 'links-broken', false, 'LINKS_RESTORED', {});
  }
  // While links are broken for long, probing goes on at the pace of the heartbeat.
  const slow = now > after(deadAt(machine), deadMs(machine)) && first.verdict === 'suspicious';
  const probing = advanceProbing(turn, state.probing, slow ? machine.settings.intervalMs : 0);
  update(turn, { state: { ...state, probing, vacantSince } });
  hurryWitness(turn);
  const judgement = judgeStandby(turn.machine, { ...state, probing, vacantSince }, now);
  if (judgement.verdict === 'take') {
    setCondition(turn, 'links-broken', false, 'LINKS_RESTORED', {});
    if (judgement.grant) useGrant(turn);
    return claim(turn, judgement.grant ?? nextEpoch(turn.machine), judgement.why, judgement.evidence);
  }
  if (judgement.verdict === 'suspicious' && judgement.linksBroken) {
    setCondition(turn, 'links-broken', true, 'LINKS_BROKEN', evidenceOf(turn.machine, probing, now));
  }
}

function tickClaiming(turn: Turn, state: State & { role: 'claiming' }): void {
  const limit = claimFailsAfter(turn.machine.settings.leaseMs);
  if (between(state.claimedAt, turn.now) < limit) return;
  claimFailed(turn, state.epoch, `vipd did not confirm the claim within ${limit} ms`);
}

function late(turn: Turn, byMs: number): void {
  // What was queued while we slept has not been read yet: D counts anew, and unread acknowledgements are not vipd's fault.
  const inFlight = turn.machine.lease.inFlight.map(renewal => ({ ...renewal, waitingSince: turn.now }));
  const { state } = turn.machine;
  // Silence told before the stall is old news, and so is for how long nobody served.
  if (state.role === 'standby') update(turn, { state: { ...state, probing: undefined, vacantSince: undefined } });
  else if ('probing' in state && state.probing) {
    const probing = { ...state.probing, round: { ...state.probing.round, sentAt: turn.now } };
    update(turn, { state: { ...state, probing } as State });
  }
  if (byMs >= givenUpMs(turn.machine)) sleptLong(turn);
  update(turn, { blindUntil: turn.now, lateAt: turn.now, unread: true, lease: { ...turn.machine.lease, inFlight } });
  report(turn, 'LOOP_LATE', { byMs: Math.round(byMs) });
}

/** As a start: what was listened for before counts no more. */
function sleptLong(turn: Turn): void {
  const { state } = turn.machine;
  update(turn, { wokenAt: turn.now });
  if (state.role === 'starting') update(turn, { state: { ...state, startedAt: turn.now } });
}

function hear(turn: Turn, event: PulseEvent & { type: 'datagram' }): void {
  const back = !heardWithin(turn.machine, deadMs(turn.machine), turn.now);
  const before = turn.machine.peer.last?.role;
  const wordBefore = turn.machine.peer.last;
  const { peer, reception } = receive(turn.machine.peer, event.link, event.message, turn.now, {
    // What comes once we have caught up has waited for nobody.
    lateAt: turn.machine.unread ? turn.machine.lateAt : undefined,
    givenUpMs: givenUpMs(turn.machine),
  });
  update(turn, { peer });
  noteEpoch(turn, peer.highest);
  if (reception === 'closed') return hearWill(turn, event.message as Will);
  if (reception !== 'news') return;
  if (turn.machine.rivalSince !== undefined && (!isServing(peer) || hearsUs(turn.machine, turn.now)))
    update(turn, { rivalSince: undefined });
  notePeerLosses(turn, wordBefore);
  if (back) endPause(turn);
  const { state } = turn.machine;
  // It may have served and announced meanwhile, and have let go at our first word: it says nothing of that.
  if (state.role === 'active' && back) emit(turn, { type: 'announce' });
  if (state.role === 'active') hearWhileActive(turn, state);
  else if (state.role === 'handing-over') hearTaker(turn, state);
  else if (state.role === 'standby') hearWhileStandby(turn, before);
  else if (
    state.role === 'claiming' &&
    isServing(peer) &&
    peer.last &&
    compareEpochs(peer.last.epoch, state.epoch) > 0
  ) {
    giveUp(turn, state.epoch, false);
    becomeStandby(turn, 'the peer serves under a higher epoch');
  }
}

function hearWill(turn: Turn, will: Will): void {
  report(turn, 'WILL_RECEIVED', { epoch: formatEpoch(will.epoch) });
  endPause(turn);
  if (!turn.machine.unread) update(turn, { willReadAt: turn.now });
  if (turn.machine.state.role === 'standby') tickStandby(turn, turn.machine.state);
}

/** Two actives: the higher epoch wins, the loser drops at once, the winner announces again. */
function hearWhileActive(turn: Turn, state: State & { role: 'active' }): void {
  const { peer, settings, conflictAnnouncedAt } = turn.machine;
  // Its word of itself may be what a handover waits for: not until our own next tick.
  if (!peer.last || !isServing(peer)) return tickActive(turn, state);
  const epochs = { own: formatEpoch(state.epoch), peer: formatEpoch(peer.last.epoch) };
  if (compareEpochs(peer.last.epoch, state.epoch) > 0) {
    // Awake again after its lease has ended, and vipd's word of that not read yet: there never were two.
    if (servingNow(turn.machine, turn.now)) report(turn, 'CONFLICT_LOST', epochs);
    else report(turn, 'LEASE_EXPIRED', { epoch: epochs.own });
    giveUp(turn, state.epoch, false);
    becomeStandby(turn, 'the peer serves under a higher epoch');
    return sendNow(turn);
  }
  if (peer.last.role !== 'active') return;
  // It cannot read our epoch; see tickRival().
  if (!hearsUs(turn.machine, turn.now)) update(turn, { rivalSince: turn.machine.rivalSince ?? turn.now });
  if (conflictAnnouncedAt !== undefined && between(conflictAnnouncedAt, turn.now) < settings.intervalMs) return;
  update(turn, { conflictAnnouncedAt: turn.now });
  report(turn, 'CONFLICT_WON', epochs);
  turn.effects.push({ type: 'announce' });
  sendNow(turn);
}

function hearWhileStandby(turn: Turn, before: Role | undefined): void {
  const { peer, settings, highest } = turn.machine;
  const idle = turn.machine.state;
  // It can claim from now on, or does: what we have waited and probed was before that.
  if (peer.last?.role !== before && idle.role === 'standby' && idle.vacantSince !== undefined)
    // Its claim came to nothing: it had its turn.
    update(turn, {
      state: { ...idle, probing: undefined, vacantSince: turn.now, yields: idle.yields && before !== 'claiming' },
    });
  const offer = peer.last?.offer;
  if (
    offer &&
    peer.last !== undefined &&
    // Its time runs while it is on its way: in a full queue that may be all of it.
    peer.last.echoSentAtUs > 0 &&
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

/** Links that fall silent or come back, a peer that does, configs that differ: each said once. */
function watchPeer(turn: Turn): void {
  const { machine, now } = turn;
  const limit = goneAfter(deadMs(machine));
  const heard = heardWithin(machine, limit, now);
  if (machine.peer.heardAt !== undefined) {
    setCondition(turn, 'peer-silent', !heard, heard ? 'PEER_HEARD' : 'PEER_SILENT', {
      silentMs: Math.round(between(machine.peer.heardAt, now)),
    });
  }
  for (const [index, link] of machine.peer.links.entries()) {
    if (link.heardAt === undefined) continue;
    const silent = between(link.heardAt, now) > limit;
    setCondition(turn, `link-${index}`, silent, silent ? 'LINK_SILENT' : 'LINK_HEARD', { link: index });
  }
  const { last } = machine.peer;
  const differs = heard && last !== undefined && last.configDigest !== machine.configDigest;
  setCondition(turn, 'config-differs', differs, differs ? 'CONFIG_DIFFERS' : 'CONFIG_AGREES', {
    peer: last?.configDigest ?? '',
    own: machine.configDigest,
  });
  // It tells of a standby: an owner whose director is gone is not cold. What a silent peer last said is no news.
  if (heard && last !== undefined && (last.warm || !isServing(machine.peer)))
    setCondition(turn, 'peer-cold', !last.warm, last.warm ? 'PEER_WARM' : 'PEER_COLD', {});
  if (machine.reportedAt !== undefined) {
    const gone = between(machine.reportedAt, now) > REPORT_STALE_MS;
    setCondition(turn, 'director-gone', gone, gone ? 'DIRECTOR_GONE' : 'DIRECTOR_BACK', {});
  }
}

function vipdGone(turn: Turn, how: string): void {
  const { state } = turn.machine;
  if ('probing' in state) update(turn, { state: { ...state, probing: undefined } as State });
  report(turn, 'VIPD_GONE', { how });
  update(turn, { vipdLostAt: turn.now, willFor: '', lease: { ...turn.machine.lease, inFlight: [] } });
  turn.effects.push({ type: 'respawn-vipd' });
}

function takeReport(turn: Turn, event: PulseEvent & { type: 'report' }): void {
  const before = turn.machine.rulesIn;
  const had = turn.machine.healthyServers !== 0;
  const has = event.healthyServers !== 0;
  update(turn, {
    serversLostAt: has ? undefined : had ? turn.now : turn.machine.serversLostAt,
    rulesIn: event.rulesIn,
    healthyServers: event.healthyServers ?? undefined,
    flushMs: event.flushMs,
    warm: event.warm,
    configDigest: event.configDigest ?? turn.machine.configDigest,
    reportedAt: turn.now,
  });
  if (before !== event.rulesIn) report(turn, event.rulesIn ? 'RULES_IN' : 'RULES_OUT', {});
}

function expireHold(turn: Turn): void {
  const { hold } = turn.machine;
  if (!hold.on || hold.until === undefined || turn.now < hold.until) return;
  update(turn, { hold: { on: false, until: undefined } });
  report(turn, 'HOLD_RELEASED', { how: 'expired' });
  turn.effects.push({ type: 'persist' });
}

function obey(turn: Turn, event: PulseEvent & { type: 'handover' | 'hold' | 'release' }): void {
  const answer = (ok: boolean, message: string) => turn.effects.push({ type: 'answer', ok, message });
  const { role } = turn.machine.state;
  if (event.type === 'handover') {
    const why = event.cold ? 'planned handover by command, cold or not' : 'planned handover by command';
    const obstacle = beginHandover(turn, why, { flush: true, coldToo: event.cold });
    const { flushMs } = turn.machine;
    const wait = flushMs > 0 ? `; waiting ${flushMs} ms for the kernel's sync buffer first` : '';
    answer(obstacle === undefined, obstacle === undefined ? `handover started${wait}` : `no handover: ${obstacle}`);
  } else if (event.type === 'hold') {
    if (role !== 'standby' && role !== 'starting')
      return void answer(false, `no hold: this router is ${role}; run \`tandem handover\` first`);
    update(turn, {
      hold: { on: true, until: event.forMs === undefined ? undefined : after(turn.now, ms(event.forMs)) },
    });
    report(turn, 'HOLD_SET', { forMs: event.forMs ?? null });
    turn.effects.push({ type: 'persist' });
    const end =
      event.forMs === undefined
        ? 'until `tandem release`'
        : `for ${formatDuration(ms(Math.round(event.forMs)))}, or until \`tandem release\``;
    answer(true, `on hold: this router will not become active ${end}`);
  } else {
    const was = turn.machine.hold.on;
    update(turn, { hold: { on: false, until: undefined } });
    if (was) report(turn, 'HOLD_RELEASED', { how: 'by command' });
    turn.effects.push({ type: 'persist' });
    answer(true, was ? 'released: this router may become active again' : 'there was no hold');
  }
}
