// One step of the election under way: the machine so far, the effects gathered, the time. It lives
// inside one call of step(). Whoever gets it may change the machine; beliefs do not get it. Pure.
import type { Fields } from '../../log/event.ts';
import type { At } from '../../units/duration.ts';
import type { Effect, Machine, PulseEventCode, State } from './machine.ts';
import { replicaOf } from './replica.ts';

export interface Turn {
  machine: Machine;
  readonly effects: Effect[];
  readonly now: At;
}

/** Most of what is judged at a tick stays as it was: then nothing is copied. */
export function update(turn: Turn, change: Partial<Machine>): void {
  if (differs(turn.machine, change)) turn.machine = Object.assign(replicaOf(turn.machine), change);
}

/** As update(), for some of what belongs to the role. `state`: what it had so far. */
export function updateState<S extends State>(turn: Turn, state: S, change: Partial<S>): void {
  if (state === turn.machine.state && !differs(state, change)) return;
  const next = { ...state, ...change };
  if (differs(turn.machine.state, next)) update(turn, { state: next });
}

function differs<T extends object>(known: T, change: Partial<T>): boolean {
  for (const key in change) if (change[key] !== known[key]) return true;
  return false;
}

export function emit(turn: Turn, ...effects: Effect[]): void {
  turn.effects.push(...effects);
}

export function report(turn: Turn, code: PulseEventCode, fields: Fields = {}): void {
  emit(turn, { type: 'event', code, fields });
}

/** Logs the start and the end of a lasting condition, each once. */
export function setCondition(turn: Turn, condition: string, on: boolean, code: PulseEventCode, fields: Fields): void {
  const { conditions } = turn.machine;
  if (conditions.includes(condition) === on) return;
  update(turn, { conditions: on ? [...conditions, condition] : conditions.filter(other => other !== condition) });
  report(turn, code, fields);
}

/** What the person who gave a command is told. */
export function answer(turn: Turn, ok: boolean, message: string): void {
  emit(turn, { type: 'answer', ok, message });
}
