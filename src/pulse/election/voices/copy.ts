// A second machine that runs as this router: a copy of its disk, or both halves of a swap. It has
// the same name, key and addresses, so neither the peer nor a client can tell the two apart, and
// each would hold the VIPs against the other. Whoever starts asks whether another vipd has its own
// addresses; whoever comes later says nothing and claims nothing until that one has gone. Pure.
import { after, ms } from '../../../units/duration.ts';
import type { VipdMessage } from '../../../vip/protocol.ts';
import { askEvery, copyGoneAfter } from '../../timing.ts';
import { listenMs, probeRoundMs } from '../beliefs/deadlines.ts';
import type { Copy } from '../known.ts';
import { endPause, listenAnew } from '../moves.ts';
import { ownWith } from '../replica.ts';
import { emit, report, type Turn, update } from '../step-context.ts';

export function tickCopy(turn: Turn): void {
  const { state, own, settings, vipdLostAt } = turn.machine;
  const { copy } = own;
  if (vipdLostAt !== undefined || turn.now < copy.askAt) return;
  // One that has gone may only have lost its cable.
  const watches = state.role === 'standby' && copy.address !== '';
  if (state.role !== 'starting' && copy.mac === undefined && !watches) return;
  // Its kernel may serve for as long as a start listens, whatever has become of its vipd.
  // safeguard: copy-outwaits-a-kernel
  const goneMs = Math.max(listenMs(turn.machine), copyGoneAfter(settings.deadMs));
  if (copy.mac !== undefined && copy.heardAt < copy.askAt - goneMs) return gone(turn, copy);
  ask(turn);
}

/**
 * A vipd has come, at a start or in place of one that was lost: it could not ask, nor answer a
 * machine that asked for us. At a start, the first heartbeat waits for the answer.
 */
export function askBeforeSpeaking(turn: Turn): void {
  const { state, own } = turn.machine;
  if (state.role !== 'starting' && state.role !== 'standby') return;
  ask(turn);
  if (state.role !== 'starting' || turn.now >= own.copy.quietUntil) return;
  const quietUntil = after(turn.now, ms(Math.min(probeRoundMs(turn.machine), own.copy.quietUntil - turn.now)));
  note(turn, { ...turn.machine.own.copy, quietUntil });
  update(turn, { heartbeatDueAt: quietUntil });
}

function ask(turn: Turn): void {
  const { settings, own } = turn.machine;
  // On every LAN: a copy may have the cable of a heartbeat link alone.
  const asked = [...settings.fixed.entries()].flatMap(([index, { side }]) => (side === 'own' ? [index] : []));
  note(turn, { ...own.copy, askAt: after(turn.now, askEvery(settings.deadMs)) });
  if (asked.length > 0) emit(turn, { type: 'resolve', fixed: asked });
}

function note(turn: Turn, copy: Copy): void {
  update(turn, { own: ownWith(turn.machine.own, { copy }) });
}

export function hearCopy(turn: Turn, { index, mac }: VipdMessage & { type: 'copy' }): void {
  const { own, settings } = turn.machine;
  const fixed = settings.fixed[index];
  if (!fixed) return;
  note(turn, { ...own.copy, mac, address: fixed.address, heardAt: turn.now });
  if (own.copy.mac === undefined)
    report(turn, 'OWN_ADDRESS_TWICE', { own: fixed.address, lan: settings.lans[fixed.lan]?.name ?? '', mac });
}

function gone(turn: Turn, copy: Copy): void {
  note(turn, { ...copy, mac: undefined });
  report(turn, 'OWN_ADDRESS_ONCE', { own: copy.address, mac: copy.mac ?? '' });
  endPause(turn);
  listenAnew(turn);
}
