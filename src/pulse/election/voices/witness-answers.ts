// The witness in the election: asked at a steady pace, never waited for. While the peer is heard it
// changes nothing. After silence it is the third voice: a takeover needs its grant, and an owner
// cut off from both lets go before its lease there ends. Keeps R5 (docs/invariants.md);
// docs/internals/witness.md. Pure.
import { type At, after, between, type Ms } from '../../../units/duration.ts';
import { compareEpochs, EPOCH_NONE, formatEpoch, newerEpoch } from '../../../units/epoch.ts';
import type { WitnessAnswer, WitnessAsk, WitnessVerb } from '../../../witness/witness.ts';
import { WITNESS_CLAIM_MS_MIN, witnessClaimEvery, witnessLostAfter, witnessRenewEvery } from '../../timing.ts';
import { hearsUsNow } from '../beliefs/peer-heard.ts';
import { leaseIsOver, nextEpoch } from '../beliefs/term.ts';
import { wantsGrant } from '../beliefs/witness-say.ts';
import type { WitnessView } from '../known.ts';
import type { Machine } from '../machine.ts';
import { becomeStandby, giveUp, noteEpoch } from '../moves.ts';
import { witnessWith } from '../replica.ts';
import { emit, report, setCondition, type Turn, update } from '../step-context.ts';

/** Asks the next question when it is due and none is under way. */
export function tickWitness(turn: Turn): void {
  const { settings, witness } = turn.machine;
  if (!settings.witness || witness.asked || turn.now < witness.dueAt) return;
  const verb = verbFor(turn.machine, turn.now, settings.witness.leaseMs);
  const { state } = turn.machine;
  const epoch = 'epoch' in state && verb === 'renew' ? state.epoch : nextEpoch(turn.machine);
  const ask: WitnessAsk = { seq: witness.seq + 1, verb, epoch, at: turn.now };
  change(turn, { seq: ask.seq, asked: ask });
  emit(turn, { type: 'witness', ask });
}

function change(turn: Turn, part: Partial<WitnessView>): void {
  update(turn, { witness: witnessWith(turn.machine.witness, part) });
}

function verbFor(machine: Machine, now: At, leaseMs: Ms): WitnessVerb {
  const { state, witness } = machine;
  // The peer may be unheard, and then waits for the witness' word.
  const over = leaseIsOver(machine, now);
  if ('epoch' in state && !over) return 'renew';
  // The peer need not wait for our lease there once the kernel has let go here.
  if (witness.heldAt !== undefined && (over || !machine.heldAddresses)) return 'release';
  if (!wantsGrant(machine, now)) return 'look';
  const { emptySince } = witness;
  return emptySince !== undefined && between(emptySince, now) > leaseMs ? 'found' : 'claim';
}

function paceMs(machine: Machine, now: At, leaseMs: Ms): Ms {
  const unknownThere = 'epoch' in machine.state && machine.witness.heldAt === undefined;
  if (unknownThere || wantsGrant(machine, now)) return witnessClaimEvery(leaseMs);
  return witnessRenewEvery(leaseMs);
}

/** A question becomes urgent: the next tick asks, unless one is under way. */
export function hurryWitness(turn: Turn): void {
  const { witness, settings } = turn.machine;
  if (settings.witness && wantsGrant(turn.machine, turn.now) && witness.dueAt > after(turn.now, WITNESS_CLAIM_MS_MIN)) {
    change(turn, { dueAt: turn.now });
  }
}

export function hearWitness(turn: Turn, answer: WitnessAnswer): void {
  const { settings, witness } = turn.machine;
  const { asked } = witness;
  if (!settings.witness || !asked || answer.seq !== asked.seq) return;
  change(turn, { asked: undefined, dueAt: after(turn.now, paceMs(turn.machine, turn.now, settings.witness.leaseMs)) });
  if (answer.verdict === 'failed') return failed(turn, answer, settings.witness.leaseMs);
  change(turn, { goodAt: asked.at, lostSince: undefined });
  setCondition(turn, 'witness-lost', false, 'WITNESS_BACK', {});
  noticeAmnesia(turn, answer);
  if (answer.verdict === 'granted') granted(turn, asked);
  else if (answer.verdict === 'stale') stale(turn, answer);
  if (asked.verb === 'release') change(turn, { heldAt: undefined });
  const refused = answer.verdict === 'refused';
  // Its newest word counts: somebody has become the owner there since it granted that to us.
  if (refused) change(turn, { grant: undefined });
  setCondition(turn, 'witness-refuses', refused, refused ? 'WITNESS_REFUSES' : 'WITNESS_AGREES', {
    remainingMs: answer.record?.remainingMs ?? null,
  });
}

function failed(turn: Turn, { problem }: WitnessAnswer, leaseMs: Ms): void {
  const lostSince = turn.machine.witness.lostSince ?? turn.now;
  change(turn, { lostSince });
  // Nobody there can still believe that we own anything.
  const { heldAt } = turn.machine.witness;
  const owns = turn.machine.state.role === 'active' || turn.machine.state.role === 'handing-over';
  if (!owns && heldAt !== undefined && between(heldAt, turn.now) > leaseMs) change(turn, { heldAt: undefined });
  if (between(lostSince, turn.now) >= witnessLostAfter(leaseMs))
    setCondition(turn, 'witness-lost', true, 'WITNESS_LOST', { problem });
}

function noticeAmnesia(turn: Turn, { verdict, record }: WitnessAnswer): void {
  const { known, emptySince } = turn.machine.witness;
  const seen = record?.epoch ?? EPOCH_NONE;
  const forgot = compareEpochs(seen, known) < 0;
  if (forgot) report(turn, 'WITNESS_AMNESIA', { known: formatEpoch(known), now: formatEpoch(seen) });
  change(turn, {
    known: forgot ? seen : newerEpoch(known, seen),
    emptySince: verdict === 'empty' ? (emptySince ?? turn.now) : undefined,
  });
}

function granted(turn: Turn, asked: WitnessAsk): void {
  if (asked.verb === 'renew') change(turn, { heldAt: asked.at });
  else change(turn, { grant: { epoch: asked.epoch, at: asked.at } });
}

/** The claim with this grant begins: from here on it is a lease to be renewed or released. */
export function useGrant(turn: Turn): void {
  const { grant } = turn.machine.witness;
  if (grant) change(turn, { grant: undefined, heldAt: grant.at, dueAt: turn.now });
}

/**
 * The witness has granted the addresses to a peer that does not hear us: it is about to claim, and
 * our word will not keep it from that.
 */
function letGoToGranted(turn: Turn): void {
  const { state } = turn.machine;
  if (state.role !== 'active' || hearsUsNow(turn.machine, turn.now)) return;
  const why = 'the witness has granted the addresses to the peer, which does not hear this router';
  report(turn, 'CUT_OFF', { why });
  giveUp(turn, state.epoch, true);
  becomeStandby(turn, why, true);
}

/** Its record is newer than our question: ours goes above it next time. */
function stale(turn: Turn, { record }: WitnessAnswer): void {
  if (!record) return;
  noteEpoch(turn, record.epoch);
  // Another's lease that runs: an owner that does not hear its peer is one no more.
  const taken = record.nodeId !== turn.machine.settings.nodeId && record.remainingMs > 0;
  change(turn, { dueAt: turn.now, ...(taken ? { heldAt: undefined } : {}) });
  report(turn, 'WITNESS_STALE', { epoch: formatEpoch(record.epoch), owner: record.nodeId });
  if (taken) letGoToGranted(turn);
}
