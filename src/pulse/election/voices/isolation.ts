// What a router concludes from hearing nothing: its LANs die and return, it is isolated; an owner
// that is cut off lets go before the peer may take over. Keeps R4, R5 (docs/invariants.md). Pure.
import { goneAfter } from '../../timing.ts';
import { isIsolated, whyCutOff } from '../beliefs/cut-off.ts';
import { deadMs } from '../beliefs/deadlines.ts';
import { judgeLans } from '../beliefs/lan-health.ts';
import { becomeStandby, giveUp } from '../moves.ts';
import { report, setCondition, type Turn, update } from '../step-context.ts';

/**
 * An owner that hears neither peer nor anybody else, or neither peer nor witness, lets go before
 * the peer may take over.
 */
export function letGoWhenCutOff(turn: Turn): void {
  const { state } = turn.machine;
  if (state.role !== 'active' && state.role !== 'handing-over') return;
  const why = whyCutOff(turn.machine, turn.now);
  if (why === undefined) return;
  report(turn, 'CUT_OFF', { why });
  giveUp(turn, state.epoch, true);
  becomeStandby(turn, why, true);
}

/** Brings the health of the LANs up to date; deaths, returns and isolation are each told once. */
export function watchLans(turn: Turn): void {
  const { settings } = turn.machine;
  update(turn, { lanHealth: judgeLans(turn.machine, goneAfter(deadMs(turn.machine)), turn.now) });
  for (const [lan, { name }] of settings.lans.entries()) {
    const dead = turn.machine.lanHealth[lan]?.dead === true;
    setCondition(turn, `lan-${lan}`, dead, dead ? 'LAN_DEAD' : 'LAN_ALIVE', { lan: name });
  }
  const isolated = isIsolated(turn.machine, turn.now);
  setCondition(turn, 'isolated', isolated, isolated ? 'ISOLATED' : 'ISOLATION_ENDED', {
    onIsolation: settings.onIsolation,
  });
}
