// A router that has just started: it listens for the peer, and for what its kernel has kept. R2
// (docs/invariants.md). Pure.
import { between } from '../../../units/duration.ts';
import { introducedAfter } from '../../timing.ts';
import { deadMs, listenMs } from '../beliefs/deadlines.ts';
import { evidenceOf } from '../beliefs/decision-evidence.ts';
import { hasWrongName, isSpeechless } from '../beliefs/own-addresses.ts';
import { isServing } from '../beliefs/peer.ts';
import { heardWithin } from '../beliefs/peer-heard.ts';
import { nextEpoch } from '../beliefs/term.ts';
import type { State } from '../machine.ts';
import { becomeStandby, claim, giveUp } from '../moves.ts';
import type { Turn } from '../step-context.ts';

export function tickStarting(turn: Turn, state: State & { role: 'starting' }): void {
  const { machine, now } = turn;
  // Only vipd can tell what an earlier life has left in the kernel: until it has, nobody may be
  // told that nobody serves here.
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
  // What it has kept it can neither speak for nor answer from.
  // safeguard: speechless-does-not-resume
  if (state.resume && isSpeechless(machine)) {
    giveUp(turn, machine.highest, false);
    return becomeStandby(turn, 'the VIPs were kept by a router that has no address of its own any more');
  }
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
