// One step of the election under way: the machine so far, the effects gathered, the time. It lives
// inside one call of step(). Whoever gets it may change the machine; beliefs do not get it. Pure.
import type { Fields } from '../../log/event.ts';
import type { At } from '../../units/duration.ts';
import type { Effect, Machine, PulseEventCode } from './machine.ts';

export interface Turn {
  machine: Machine;
  readonly effects: Effect[];
  readonly now: At;
}

export function update(turn: Turn, change: Partial<Machine>): void {
  turn.machine = { ...turn.machine, ...change };
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
