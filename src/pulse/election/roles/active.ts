// The owner: it serves, compares epochs with a peer that serves too, and looks whether the peer
// should serve instead (voluntary-handover.ts). R1, R6 (docs/invariants.md). Pure.
import type { Reason } from '../../../feed/role-reason.ts';
import { between } from '../../../units/duration.ts';
import { compareEpochs, formatEpoch } from '../../../units/epoch.ts';
import { isServing } from '../beliefs/peer.ts';
import { hearsUs } from '../beliefs/peer-heard.ts';
import { servingNow } from '../beliefs/term.ts';
import type { State } from '../machine.ts';
import { becomeStandby, giveUp, sendNow } from '../moves.ts';
import { emit, report, type Turn, update } from '../step-context.ts';
import { tickRival } from '../voices/conflict.ts';
import type { News } from '../voices/heartbeats.ts';
import { considerHandover } from './voluntary-handover.ts';

export function tickActive(turn: Turn, state: State & { role: 'active' }): void {
  tickRival(turn, state);
  if (turn.machine.state.role === 'active') considerHandover(turn, turn.machine.state);
}

/** Two actives: the higher epoch wins, the loser drops at once, the winner announces again. */
export function hearWhileActive(turn: Turn, state: State & { role: 'active' }, { back }: News): void {
  // It may have served and announced meanwhile, and have let go at our first word: it says nothing
  // of that.
  // safeguard: announces-when-back
  if (back) emit(turn, { type: 'announce' });
  const { peer, settings, conflictAnnouncedAt } = turn.machine;
  // Its word of itself may be what a handover waits for: not until our own next tick.
  if (!peer.last || !isServing(peer)) return considerHandover(turn, state);
  const epochs = { own: formatEpoch(state.epoch), peer: formatEpoch(peer.last.epoch) };
  // safeguard: higher-epoch-wins
  if (compareEpochs(peer.last.epoch, state.epoch) > 0) {
    // Awake again after its lease has ended, and vipd's word of that not read yet: there never were
    // two.
    if (servingNow(turn.machine, turn.now)) report(turn, 'CONFLICT_LOST', epochs);
    else report(turn, 'LEASE_EXPIRED', { epoch: epochs.own });
    return letGoToPeer(turn, state, 'the peer serves under a higher epoch');
  }
  // Its epoch is not worth a second change: clients are at the peer.
  // safeguard: who-serves-goes-on
  if (!servingNow(turn.machine, turn.now))
    return letGoToPeer(turn, state, 'the peer serves, and this router does not any more');
  if (peer.last.role !== 'active') return;
  // It cannot read our epoch; see tickRival().
  if (!hearsUs(turn.machine, turn.now)) update(turn, { rivalSince: turn.machine.rivalSince ?? turn.now });
  if (conflictAnnouncedAt !== undefined && between(conflictAnnouncedAt, turn.now) < settings.intervalMs) return;
  update(turn, { conflictAnnouncedAt: turn.now });
  report(turn, 'CONFLICT_WON', epochs);
  // safeguard: winner-announces
  emit(turn, { type: 'announce' });
  sendNow(turn);
}

function letGoToPeer(turn: Turn, { epoch }: State & { role: 'active' }, why: Reason): void {
  giveUp(turn, epoch, false);
  becomeStandby(turn, why);
  sendNow(turn);
}
