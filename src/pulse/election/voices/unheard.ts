// A peer whose heartbeats were never heard in this life of ours (filtered, or signed with another
// key) still has addresses that the config names: they are asked for on the LANs of the virtual
// ones, so that its claims are not taken for a third machine's. A MAC is the peer's if it alone
// answered, twice in a row, and is no target's. Keeps R4 (docs/invariants.md). Pure.
import { after } from '../../../units/duration.ts';
import type { VipdMessage } from '../../../vip/protocol.ts';
import { askEvery } from '../../timing.ts';
import { hasCarrier } from '../beliefs/lan-health.ts';
import { NOT_ASKED, neverHeard } from '../beliefs/never-heard.ts';
import { peerMac } from '../beliefs/peer-heard.ts';
import type { PeerAnswer } from '../known.ts';
import { unheardWith } from '../replica.ts';
import { emit, type Turn, update } from '../step-context.ts';

/** Answers to one round that are looked at. */
const ANSWERS_MAX = 16;

/** Time passes: what the last round has told is judged, and the next begins. */
export function tickUnheard(turn: Turn): void {
  const { unheard, settings, vipdLostAt } = turn.machine;
  if (!neverHeard(turn.machine) || vipdLostAt !== undefined || turn.now < unheard.askAt) return;
  const asked = [...settings.fixed.keys()].filter(index => isAsked(turn, index));
  if (asked.length === 0) return;
  const found = unheard.macs.map((_, lan) => onlyOne(unheard.answers.filter(answer => answer.lan === lan)));
  const macs = unheard.macs.map((known, lan) => {
    const one = found[lan];
    if (one === 'silence') return known;
    if (one === undefined || one === known) return one;
    // A frame that was lost must not make a proxy the peer.
    return one === unheard.once[lan] ? one : known;
  });
  const silentRounds = unheard.silentRounds.map((rounds, lan) => {
    if (!hasCarrier(turn.machine, lan) || !asked.some(index => settings.fixed[index]?.lan === lan)) return NOT_ASKED;
    return found[lan] === 'silence' ? rounds + 1 : 0;
  });
  const once = found.map(one => (one === 'silence' ? undefined : one));
  const askAt = after(turn.now, askEvery(settings.deadMs));
  update(turn, { unheard: unheardWith(unheard, { askAt, answers: [], once, macs, silentRounds }) });
  emit(turn, { type: 'resolve', fixed: asked });
}

function isAsked({ machine: { settings } }: Turn, index: number): boolean {
  const fixed = settings.fixed[index];
  return fixed?.side === 'peer' && fixed.serves;
}

/** undefined: several answer, or one that is not the peer. */
function onlyOne(answers: readonly PeerAnswer[]): string | 'silence' | undefined {
  const [first] = answers;
  if (!first) return 'silence';
  return answers.some(({ mac, target }) => target || mac !== first.mac) ? undefined : first.mac;
}

export function hearPeerAddress(turn: Turn, { index, mac, target }: VipdMessage & { type: 'peer' }): void {
  const { unheard, settings } = turn.machine;
  const fixed = settings.fixed[index];
  if (!fixed || !neverHeard(turn.machine) || unheard.answers.length >= ANSWERS_MAX) return;
  update(turn, { unheard: unheardWith(unheard, { answers: [...unheard.answers, { lan: fixed.lan, mac, target }] }) });
}

/** A claim is all that is heard of such a peer: it lives. */
export function noteClaim(turn: Turn, { index, mac }: { readonly index: number; readonly mac: string }): void {
  if (mac === peerMac(turn.machine, index)) noteRival(turn);
}

export function noteRival(turn: Turn): void {
  if (neverHeard(turn.machine)) update(turn, { unheard: unheardWith(turn.machine.unheard, { claimedAt: turn.now }) });
}

export function noteAnswer(turn: Turn): void {
  if (neverHeard(turn.machine)) update(turn, { unheard: unheardWith(turn.machine.unheard, { answeredAt: turn.now }) });
}
