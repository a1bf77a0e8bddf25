// A second machine that runs as this router: a copy of its disk, or both halves of a swap. It has
// the same name, key and addresses, so neither the peer nor a client can tell the two apart, and
// each would hold the VIPs against the other. Whoever starts asks whether another vipd has its own
// addresses; whoever comes later says nothing and claims nothing until that one has gone. Pure.
import { after } from '../../../units/duration.ts';
import type { VipdMessage } from '../../../vip/protocol.ts';
import { askEvery, copyGoneAfter } from '../../timing.ts';
import type { Copy } from '../known.ts';
import { endPause, listenAnew } from '../moves.ts';
import { emit, report, type Turn, update } from '../step-context.ts';

export function tickCopy(turn: Turn): void {
  const { state, own, settings, vipdLostAt } = turn.machine;
  const { copy } = own;
  if (vipdLostAt !== undefined || turn.now < copy.askAt) return;
  if (state.role !== 'starting' && copy.mac === undefined) return;
  if (copy.mac !== undefined && copy.heardAt < copy.askAt - copyGoneAfter(settings.deadMs)) return gone(turn, copy);
  const asked = [...settings.fixed.entries()].flatMap(([index, { side, serves }]) =>
    side === 'own' && serves ? [index] : [],
  );
  note(turn, { ...copy, askAt: after(turn.now, askEvery(settings.deadMs)) });
  if (asked.length > 0) emit(turn, { type: 'resolve', fixed: asked });
}

function note(turn: Turn, copy: Copy): void {
  update(turn, { own: { ...turn.machine.own, copy } });
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
