// vipd's word on probes: who answered for an address, and what stayed silent. R4
// (docs/invariants.md). Pure.
import type { VipdMessage } from '../../../vip/protocol.ts';
import { isPeerAbsent, peerMac } from '../beliefs/peer-heard.ts';
import { setProbing } from '../moves.ts';
import { report, type Turn } from '../step-context.ts';
import { noteEcho, noteProof } from './calm-probe.ts';
import { answeredByThird, claimedByThird } from './conflict.ts';
import { noteAnswer } from './unheard.ts';

/** Replies to rounds this much older still count against the round under way. */
const LATE_ROUNDS = 8;

/**
 * An answer counts when it comes from the peer; before the peer's MAC is known, from anybody,
 * unless the peer is not there. A third MAC is a conflict.
 */
export function hearReply(turn: Turn, message: VipdMessage & { type: 'reply' }): void {
  const byPeer = message.mac === peerMac(turn.machine, message.index);
  if (byPeer && message.via !== 'arp') {
    noteProof(turn, message.id, message.index, true);
    noteAnswer(turn);
  }
  if (byPeer && message.via === 'echo') noteEcho(turn, message.index);
  const expected = peerMac(turn.machine, message.index);
  const absent = message.via !== 'word' && isPeerAbsent(turn.machine, message.index);
  // safeguard: third-is-no-peer
  const third = absent || (expected !== undefined && expected !== message.mac);
  if (third && message.via === 'arp') return answeredByThird(turn, message);
  const { state } = turn.machine;
  if (!('probing' in state) || !state.probing) return;
  // safeguard: arp-is-no-proof
  if (message.via === 'arp') {
    if (expected !== undefined && state.probing.resolvedAt === undefined)
      setProbing(turn, { ...state.probing, resolvedAt: turn.now });
    return;
  }
  if (third) {
    report(turn, 'VIP_CLAIMED_BY_OTHER', { address: message.index, mac: message.mac, port: '' });
    claimedByThird(turn, { address: message.index, mac: message.mac, port: '' });
    // Where nobody in particular was asked, vipd takes any echo for the answer.
    if (absent) noteSilence(turn, message);
    return;
  }
  const { round } = state.probing;
  if (message.id > round.id || message.id < round.id - LATE_ROUNDS) return;
  if (round.answered.includes(message.index)) return;
  setProbing(turn, { ...state.probing, round: { ...round, answered: [...round.answered, message.index] } });
}

/** vipd's word that nothing answered a probe in its window. */
export function hearSilent(turn: Turn, message: VipdMessage & { type: 'silent' }): void {
  noteProof(turn, message.id, message.index, false);
  noteSilence(turn, message);
}

function noteSilence(turn: Turn, { id, index }: { readonly id: number; readonly index: number }): void {
  const { state } = turn.machine;
  if (!('probing' in state) || !state.probing || id !== state.probing.round.id) return;
  const { round } = state.probing;
  if (round.silent.includes(index) || round.answered.includes(index)) return;
  setProbing(turn, { ...state.probing, round: { ...round, silent: [...round.silent, index] } });
}
