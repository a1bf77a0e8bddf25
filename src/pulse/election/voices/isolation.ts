// What a router concludes from hearing nothing: its LANs die and return, it is isolated; an owner that is cut off lets go before the
// peer may take over. DESIGN.md invariants 4 and 5. Pure.
import type { At } from '../../../units/duration.ts';
import { goneAfter } from '../../timing.ts';
import { judgeLans } from '../beliefs/lan-health.ts';
import { deadMs, isIsolated } from '../beliefs/standby-judgement.ts';
import { cutOffAt, unheardAt } from '../beliefs/witness-say.ts';
import type { Machine } from '../machine.ts';
import { becomeStandby, giveUp, report, setCondition, type Turn, update } from '../moves.ts';

/** An owner that hears neither peer nor anybody else, or neither peer nor witness, lets go before the peer may take over. */
export function letGoWhenCutOff(turn: Turn): void {
  const { state } = turn.machine;
  if (state.role !== 'active' && state.role !== 'handing-over') return;
  const why = whyCutOff(turn.machine, turn.now);
  if (why === undefined) return;
  report(turn, 'CUT_OFF', { why });
  giveUp(turn, state.epoch, true);
  becomeStandby(turn, why, true);
}

function whyCutOff(machine: Machine, now: At): string | undefined {
  if (machine.settings.onIsolation === 'keep') return undefined;
  if (isIsolated(machine, now)) return 'isolated: neither the peer nor any target nor any other frame is heard';
  const at = cutOffAt(machine);
  if (at !== undefined && now >= at) return 'cut off: neither the peer nor the witness is heard';
  return undefined;
}

/** Instants at which time alone makes an owner cut off. */
export function cutOffWishes(machine: Machine): At[] {
  return [cutOffAt(machine), unheardAt(machine)].filter(at => at !== undefined);
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
