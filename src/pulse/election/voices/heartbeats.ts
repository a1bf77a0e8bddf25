// A datagram of the peer: what of it counts is noted, whatever this router's role; what follows
// from it is the role's. R3, R6, R7 (docs/invariants.md). Pure.
import { ALL_LANS } from '../../../feed/fitness-number.ts';
import type { Role } from '../../../feed/message.ts';
import { formatEpoch } from '../../../units/epoch.ts';
import type { Heartbeat, Will } from '../../heartbeat.ts';
import { deadMs, givenUpMs } from '../beliefs/deadlines.ts';
import { isServing, receive } from '../beliefs/peer.ts';
import { heardWithin, hearsUs } from '../beliefs/peer-heard.ts';
import { withChange } from '../beliefs/recent-changes.ts';
import type { PulseEvent } from '../machine.ts';
import { endPause, noteEpoch } from '../moves.ts';
import { report, type Turn, update } from '../step-context.ts';

/** The peer's newest word, next to the one before it. */
export interface News {
  /** Its role by the word before; undefined: there was none. */
  readonly roleBefore: Role | undefined;
  /** It was silent for so long that it might have been taken for dead. */
  readonly back: boolean;
}

/** What came of a datagram; undefined: nothing that a role has to know. */
export function hearDatagram(turn: Turn, event: PulseEvent & { type: 'datagram' }): News | 'will' | undefined {
  const back = !heardWithin(turn.machine, deadMs(turn.machine), turn.now);
  const before = turn.machine.peer.last;
  const { peer, reception } = receive(turn.machine.peer, event.link, event.message, turn.now, {
    // What comes once we have caught up has waited for nobody.
    lateAt: turn.machine.unread ? turn.machine.lateAt : undefined,
    givenUpMs: givenUpMs(turn.machine),
  });
  update(turn, { peer });
  noteEpoch(turn, peer.highest);
  if (reception === 'closed') {
    noteWill(turn, event.message as Will);
    return 'will';
  }
  if (reception !== 'news') return undefined;
  if (turn.machine.rivalSince !== undefined && (!isServing(peer) || hearsUs(turn.machine, turn.now)))
    update(turn, { rivalSince: undefined });
  notePeerLosses(turn, before);
  if (back) endPause(turn);
  return { roleBefore: before?.role, back };
}

function noteWill(turn: Turn, will: Will): void {
  report(turn, 'WILL_RECEIVED', { epoch: formatEpoch(will.epoch) });
  endPause(turn);
  if (!turn.machine.unread) update(turn, { willReadAt: turn.now });
}

/**
 * The peer's newest word, after the one before: a LAN or a unit that it has lost goes on its
 * record.
 */
function notePeerLosses(turn: Turn, before: Heartbeat | undefined): void {
  const { last } = turn.machine.peer;
  if (!before || !last) return;
  const lan = before.fitness >= ALL_LANS && last.fitness < ALL_LANS;
  const unit = before.units !== undefined && last.units !== undefined && last.units < before.units;
  if (!lan && !unit) return;
  update(turn, { peerLostAt: withChange(turn.machine.peerLostAt, turn.now) });
}
