// Runs a journal through the machine again, offline: the same state, the same events at the same
// instants, so a machine of the same version decides the same. Pure.
import type { Decision } from '../feed/message.ts';
import type { At } from '../units/duration.ts';
import type { Machine, PulseEvent } from './election/machine.ts';
import { newMachine } from './election/start.ts';
import { step } from './election/step.ts';

/** A decision, and the monotonic instant of its step. */
export interface Decided {
  readonly at: At;
  readonly decision: Omit<Decision, 'at'>;
}

/**
 * What the state of a journal lacks to be one of this version's, by name; undefined: nothing.
 * Throws when its settings are none.
 */
export function missingState(state: Readonly<Record<string, unknown>>): string | undefined {
  const { settings } = state as unknown as Machine;
  const start = { settings, now: 0 as At, ceiling: 0, hold: { on: false, until: undefined }, rulesIn: false };
  return Object.keys(newMachine(start)).find(name => !(name in state));
}

export class Rerun {
  #machine: Machine;

  get machine(): Machine {
    return this.#machine;
  }

  /** `state`: as a journal has it. */
  constructor(state: Readonly<Record<string, unknown>>) {
    this.#machine = state as unknown as Machine;
  }

  /** What the machine decides at this event. Throws when it is none, or the state is none. */
  take(event: { readonly type: string }, at: number): Decided[] {
    const now = at as At;
    const { machine, effects } = step(this.#machine, event as PulseEvent, now);
    this.#machine = machine;
    return effects.flatMap(effect => (effect.type === 'decision' ? [{ at: now, decision: effect.decision }] : []));
  }
}
