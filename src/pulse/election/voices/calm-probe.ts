// Whether the probe can see the owner at all: a standby asks in calm weather, while heartbeats say
// that the peer serves, and remembers for which addresses neither an echo nor the other vipd's word
// comes. Such a probe is blind: it is shown, and its silence proves no death and bars no takeover.
// Keeps R4 (docs/invariants.md). Pure.
import { type At, after, between, type Ms, ms } from '../../../units/duration.ts';
import { calmProbeAgainAfter, calmProbeEvery, overdueAfter } from '../../timing.ts';
import { isBlind, MISSES } from '../beliefs/blind-probe.ts';
import { deadMs, suspectAt } from '../beliefs/deadlines.ts';
import { peerLacksUnits } from '../beliefs/holdable.ts';
import { answerIsDue } from '../beliefs/lan-health.ts';
import { isServing } from '../beliefs/peer.ts';
import type { Machine } from '../machine.ts';
import { probe } from '../moves.ts';
import { proofWith } from '../replica.ts';
import { setCondition, type Turn, update } from '../step-context.ts';

/** Time passes for a standby that has no reason to doubt its peer. */
export function tickProof(turn: Turn): void {
  const { machine, now } = turn;
  const calm =
    machine.state.role === 'standby' && machine.state.probing === undefined && machine.vipdLostAt === undefined;
  if (!calm || !isServing(machine.peer) || machine.unread || now >= suspectAt(machine) || now < machine.proof.dueAt)
    return;
  const { id } = probe(turn);
  update(turn, {
    proof: proofWith(machine.proof, {
      id,
      dueAt: after(now, paceMs(turn.machine)),
      echoes: [],
      echoesBefore: machine.proof.echoes,
    }),
  });
}

function paceMs(machine: Machine): Ms {
  const missed = machine.proof.misses.some(count => count > 0 && count < MISSES);
  return missed ? calmProbeAgainAfter(deadMs(machine)) : calmProbeEvery(deadMs(machine));
}

/** An answer of the peer to any probe, or vipd's word that none came to one of a calm round. */
export function noteProof(turn: Turn, id: number, address: number, answered: boolean): void {
  const { proof, peer } = turn.machine;
  const before = proof.misses[address];
  // Which of them a peer lacks that cannot hold all is not known here. Where no answer can come,
  // none is missing.
  if (!answered && (peerLacksUnits(turn.machine) || !answerIsDue(turn.machine, address))) return;
  if (before === undefined || (!answered && (id !== proof.id || !isServing(peer) || !lately(turn)))) return;
  const count = answered ? 0 : Math.min(MISSES, before + 1);
  if (count === before) return;
  const misses = proof.misses.map((old, i) => (i === address ? count : old));
  const dueAt = answered
    ? proof.dueAt
    : (Math.min(proof.dueAt, after(turn.now, calmProbeAgainAfter(deadMs(turn.machine)))) as At);
  update(turn, { proof: proofWith(proof, { misses, dueAt }) });
  const blind = isBlind(turn.machine, address);
  setCondition(turn, `blind-${address}`, blind, blind ? 'PROBE_BLIND' : 'PROBE_SEES', { address });
}

/** An echo, not only a word: the peer's kernel is seen. */
export function noteEcho(turn: Turn, address: number): void {
  const { proof } = turn.machine;
  if (proof.echoes.includes(address)) return;
  update(turn, { proof: proofWith(proof, { echoes: [...proof.echoes, address] }) });
}

/** It has said since the probe went out that it serves. */
function lately({ machine, now }: Turn): boolean {
  const { servingAt, last } = machine.peer;
  return servingAt !== undefined && between(servingAt, now) <= overdueAfter(last?.intervalMs ?? ms(0));
}
