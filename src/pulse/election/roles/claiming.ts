// A router that has asked vipd for the addresses, and waits for its word. Pure.
import { between } from '../../../units/duration.ts';
import { compareEpochs } from '../../../units/epoch.ts';
import { claimFailsAfter } from '../../timing.ts';
import { isServing } from '../beliefs/peer.ts';
import type { State } from '../machine.ts';
import { becomeStandby, claimFailed, giveUp } from '../moves.ts';
import type { Turn } from '../step-context.ts';

export function tickClaiming(turn: Turn, state: State & { role: 'claiming' }): void {
  const limit = claimFailsAfter(turn.machine.settings.leaseMs);
  if (between(state.claimedAt, turn.now) < limit) return;
  claimFailed(turn, state.epoch, `vipd did not confirm the claim within ${limit} ms`);
}

export function hearWhileClaiming(turn: Turn, state: State & { role: 'claiming' }): void {
  const { peer } = turn.machine;
  if (!isServing(peer) || !peer.last || compareEpochs(peer.last.epoch, state.epoch) <= 0) return;
  giveUp(turn, state.epoch, false);
  becomeStandby(turn, 'the peer serves under a higher epoch');
}
