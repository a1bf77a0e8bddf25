// What a router makes of vipd's word on its own addresses: an owner that cannot speak lets go
// before the peer may take over and does not defend; one that can speak again listens first. Pure.
import type { Fields } from '../../../log/event.ts';
import { type At, between } from '../../../units/duration.ts';
import type { Epoch } from '../../../units/epoch.ts';
import type { FixedState, VipdMessage } from '../../../vip/protocol.ts';
import { givenUpMs } from '../beliefs/deadlines.ts';
import { bareLimitAt, hasWrongName, isMute, isSpeechless, isUnheard } from '../beliefs/own-addresses.ts';
import { fitPeerHeard, peerMac } from '../beliefs/peer-heard.ts';
import { holdsBack } from '../beliefs/peer-may-take.ts';
import type { PulseEvent } from '../machine.ts';
import { becomeStandby, endPause, giveUp, listenAnew, renew, sendNow } from '../moves.ts';
import { ownWith } from '../replica.ts';
import { report, setCondition, type Turn, update } from '../step-context.ts';

const MUTE = 'no heartbeat link has its own address any more, or this host has the peer’s';

export function hearFixed(turn: Turn, { index, state }: VipdMessage & { type: 'fixed' }): void {
  const { own, settings } = turn.machine;
  const fixed = settings.fixed[index];
  const before = own.states[index];
  if (!fixed || before === state) return;
  const moved = before === undefined || (before === 'here') !== (state === 'here');
  update(turn, {
    own: ownWith(own, {
      states: own.states.map((old, i) => (i === index ? state : old)),
      since: own.since.map((old, i) => (i === index && moved ? turn.now : old)),
    }),
  });
  const fields = { own: fixed.address, lan: settings.lans[fixed.lan]?.name ?? '' };
  if (fixed.side === 'own') reportOwn(turn, before, state, fields);
  if (fixed.side === 'peer')
    setCondition(
      turn,
      `peers-${index}`,
      state === 'here',
      state === 'here' ? 'PEER_ADDRESS_HERE' : 'PEER_ADDRESS_LEFT',
      fields,
    );
  const wrong = hasWrongName(turn.machine);
  setCondition(turn, 'wrong-name', wrong, wrong ? 'WRONG_NAME' : 'NAME_RIGHT', { node: settings.node });
  noteBare(turn);
  if (moved && state === 'here') endPause(turn);
}

function reportOwn(turn: Turn, before: FixedState | undefined, state: FixedState, fields: Fields): void {
  switch (state) {
    case 'here':
      if (before !== undefined) report(turn, 'OWN_ADDRESS_BACK', fields);
      return;
    case 'unrouted':
      return report(turn, 'OWN_ADDRESS_UNROUTED', fields);
    case 'gone':
    case 'down':
      if (before !== 'gone' && before !== 'down')
        report(turn, 'OWN_ADDRESS_GONE', { ...fields, carrier: state !== 'down' });
  }
}

function noteBare(turn: Turn): void {
  const { own } = turn.machine;
  const bare = isMute(turn.machine, turn.now);
  if (bare === (own.bareSince !== undefined)) return;
  update(turn, { own: ownWith(own, { bareSince: bare ? turn.now : undefined }) });
  if (own.bareSince !== undefined) speakAgain(turn, own.bareSince);
}

/**
 * What was held back comes at once: the lease may not last until the next heartbeat. A standby that
 * could not speak for so long that the peer may have found itself alone listens as after a start.
 */
function speakAgain(turn: Turn, bareSince: At): void {
  const { state, vipdLostAt } = turn.machine;
  if (state.role === 'active') return vipdLostAt === undefined ? renew(turn, state.epoch) : sendNow(turn);
  // safeguard: long-mute-listens-anew
  if (between(bareSince, turn.now) >= givenUpMs(turn.machine)) update(turn, { wokenAt: turn.now });
  listenAnew(turn);
}

/** A heartbeat link has been bound, or could not be. */
export function hearBound(turn: Turn, { link, problem }: PulseEvent & { type: 'bound' }): void {
  const { own } = turn.machine;
  const before = own.linkProblems[link];
  const first = problem === undefined && !own.everBound && own.linkProblems.some(known => known !== undefined);
  update(turn, {
    own: ownWith(own, {
      linkProblems: own.linkProblems.map((old, i) => (i === link ? problem : old)),
      everBound: own.everBound || problem === undefined,
    }),
  });
  if (problem !== undefined && problem !== before) report(turn, 'LINK_UNBOUND', { link, problem });
  if (problem === undefined && before !== undefined) report(turn, 'LINK_BOUND', { link });
  if (first) listenAnew(turn);
}

/**
 * It lets go by its own word before that lease ends; addresses that are back in time change
 * nothing. At once if the peer is heard and has not heard us for D: only our answers to its probes
 * have kept it back, and now there are none.
 */
export function letGoWhenBare(turn: Turn): void {
  const { state } = turn.machine;
  if (state.role !== 'active' && state.role !== 'handing-over') return;
  noteBare(turn);
  const at = bareLimitAt(turn.machine);
  if (at === undefined || !holdsBack(turn.machine, turn.now)) return;
  // safeguard: unheard-and-bare-lets-go
  const unheard = fitPeerHeard(turn.machine, turn.now) && isUnheard(turn.machine, turn.now);
  if (turn.now < at && !unheard) return;
  letGoMute(turn, state.epoch);
}

export function letGoMute(turn: Turn, epoch: Epoch): void {
  report(turn, 'CUT_OFF', { why: MUTE });
  giveUp(turn, epoch, true);
  becomeStandby(turn, `${MUTE}: the peer may take over`, true);
}

/**
 * Who cannot speak does not defend the addresses against the peer, or against who may be it. True:
 * they are let go.
 */
export function letGoToRival(turn: Turn, { index, mac }: { readonly index: number; readonly mac: string }): boolean {
  const { state } = turn.machine;
  const known = peerMac(turn.machine, index);
  // safeguard: mute-does-not-defend
  if (state.role !== 'active' || !isSpeechless(turn.machine) || (known !== undefined && known !== mac)) return false;
  giveUp(turn, state.epoch, true);
  becomeStandby(turn, `${MUTE}, and ${mac} claims the addresses`, true);
  return true;
}
