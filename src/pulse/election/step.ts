// The election: one router of the pair is active, and everything that changes that. step() is a
// function from machine, event and time to machine and effects; main.ts and loop.ts run the
// effects. Rules: docs/invariants.md. Pure.
import { type At, after } from '../../units/duration.ts';
import type { VipdMessage } from '../../vip/protocol.ts';
import { cutOffWishes } from './beliefs/cut-off.ts';
import { deadAt, probeRoundMs, rivalDueAt, suspectAt, vipdDueAt } from './beliefs/deadlines.ts';
import { bareLimitAt } from './beliefs/own-addresses.ts';
import { witnessDueAt } from './beliefs/witness-say.ts';
import type { Effect, Machine, PulseEvent } from './machine.ts';
import { beat } from './moves.ts';
import { hearWhileActive, tickActive } from './roles/active.ts';
import { hearWhileClaiming, tickClaiming } from './roles/claiming.ts';
import { hearTaker, obeyHandover, stop, tickGiving } from './roles/handing-over.ts';
import { hearWhileStandby, tickStandby } from './roles/standby.ts';
import { tickStarting } from './roles/starting.ts';
import { considerHandover } from './roles/voluntary-handover.ts';
import { type Turn, update } from './step-context.ts';
import { hearBound, letGoWhenBare } from './voices/bare.ts';
import { hearGated, takeReload, tickReload } from './voices/config-change.ts';
import { tickCopy } from './voices/copy.ts';
import { takeReport } from './voices/director-report.ts';
import { hearDatagram, type News } from './voices/heartbeats.ts';
import { expireHold, releaseHold, setHold } from './voices/hold.ts';
import { tickHolding } from './voices/holding.ts';
import { letGoWhenCutOff, watchLans } from './voices/isolation.ts';
import { noteLateness } from './voices/lateness.ts';
import { watchPeer } from './voices/peer-watch.ts';
import { tickUnheard } from './voices/unheard.ts';
import { tickVipd, vipdGone } from './voices/vipd-lease.ts';
import { hearVipd } from './voices/vipd-words.ts';
import { hearWitness, tickWitness } from './voices/witness-answers.ts';

/** One event at one instant (monotonic). Never throws for what the world does. */
export function step(machine: Machine, event: PulseEvent, now: At): { machine: Machine; effects: Effect[] } {
  const turn: Turn = { machine, effects: [], now };
  switch (event.type) {
    case 'tick':
      tick(turn);
      break;
    case 'late':
      noteLateness(turn, event.byMs);
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
      judgeNow(turn);
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
      obeyHandover(turn, event);
      break;
    case 'hold':
      setHold(turn, event);
      break;
    case 'release':
      releaseHold(turn);
      break;
    case 'stop':
      update(turn, { stopRequested: true });
      break;
  }
  if (turn.machine.stopRequested) stop(turn);
  return { machine: turn.machine, effects: turn.effects };
}

/** Words of vipd that tell of the LANs. */
const OF_LANS: ReadonlySet<VipdMessage['type']> = new Set(['link', 'target', 'neighbours', 'traffic', 'fixed']);

/**
 * Words of vipd that must not wait for the next tick: the end of a probe, and what tells that a LAN
 * is dead.
 */
function actOn(turn: Turn, word: VipdMessage['type']): void {
  if (word === 'silent') judgeNow(turn);
  if (!OF_LANS.has(word)) return;
  watchLans(turn);
  letGoWhenCutOff(turn);
  letGoWhenBare(turn);
  const { state } = turn.machine;
  if (state.role === 'active') considerHandover(turn, state);
}

/** When the next tick is due; never in the past, save for a heartbeat that is overdue. */
export function nextWake(machine: Machine, now: At): At {
  const { state, heartbeatDueAt } = machine;
  let soonest = heartbeatDueAt;
  const wish = (at: At | undefined) => {
    if (at !== undefined && at > now && at < soonest) soonest = at;
  };
  if ('probing' in state && state.probing) wish(after(state.probing.round.sentAt, probeRoundMs(machine)));
  if (state.role === 'standby') {
    wish(suspectAt(machine));
    wish(deadAt(machine));
  }
  if (state.role === 'handing-over') wish(state.until);
  if (state.role === 'active') for (const at of cutOffWishes(machine)) wish(at);
  wish(bareLimitAt(machine));
  wish(machine.retry.pauseUntil);
  wish(witnessDueAt(machine));
  wish(vipdDueAt(machine));
  wish(rivalDueAt(machine));
  return soonest;
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
  play(turn, 'tick');
  tickWitness(turn);
}

function hear(turn: Turn, event: PulseEvent & { type: 'datagram' }): void {
  const heard = hearDatagram(turn, event);
  if (heard === 'will') judgeNow(turn);
  else if (heard) play(turn, heard);
}

/** What cannot wait for the next tick: a standby may take over at once. */
function judgeNow(turn: Turn): void {
  if (turn.machine.state.role === 'standby') tickStandby(turn, turn.machine.state);
}

/**
 * What this router's role makes of it that time has passed, or that the peer was heard. A new role
 * does not compile until it is here.
 */
function play(turn: Turn, cue: 'tick' | News): void {
  const { state } = turn.machine;
  switch (state.role) {
    case 'starting':
      return cue === 'tick' ? tickStarting(turn, state) : undefined;
    case 'standby':
      return cue === 'tick' ? tickStandby(turn, state) : hearWhileStandby(turn, cue);
    case 'claiming':
      return cue === 'tick' ? tickClaiming(turn, state) : hearWhileClaiming(turn, state);
    case 'active':
      return cue === 'tick' ? tickActive(turn, state) : hearWhileActive(turn, state, cue);
    case 'handing-over':
      return cue === 'tick' ? tickGiving(turn, state) : hearTaker(turn, state);
    case 'stopping':
      return undefined;
  }
  state satisfies never;
}
