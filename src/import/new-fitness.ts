// The scripts of the old config that judge a router, as checks of its fitness. Pure.
import { formatDuration, ms } from '../units/duration.ts';
import type { NoteTaker } from './note.ts';
import type { OldConfig, OldFitness } from './old-config.ts';
import type { Draft } from './placeholder.ts';

/** Bounds of the fields (schema.ts). */
const CHECKS_MAX = 20;
const INTERVAL_MS = { min: 1_000, max: 3_600_000 } as const;
const TIMEOUT_MS = { min: 100, max: 120_000 } as const;
const COUNT = { min: 1, max: 20 } as const;

/** Undefined: there are none. */
export function fitnessDraft({ fitness }: OldConfig, notes: NoteTaker): Draft | undefined {
  if (fitness.length === 0) return undefined;
  for (const { at } of fitness.slice(CHECKS_MAX))
    notes.lost(at, `a pair has at most ${CHECKS_MAX} checks of its fitness: this one is left out`, ['fitness']);
  return { checks: Object.fromEntries(fitness.slice(0, CHECKS_MAX).map(check => [check.name, draftOf(check, notes)])) };
}

function draftOf({ name, at, script, intervalS, timeoutS, rise, fall }: OldFitness, notes: NoteTaker): Draft {
  const kept = (value: number, { min, max }: typeof COUNT | typeof INTERVAL_MS | typeof TIMEOUT_MS, field: string) => {
    const inside = Math.round(Math.min(Math.max(value, min), max));
    if (inside !== value)
      notes.changed(at, `its ${field} is out of Tandem's bounds: the nearest one is written`, [
        'fitness',
        'checks',
        name,
        field,
      ]);
    return inside;
  };
  return {
    script,
    interval: formatDuration(ms(kept(intervalS * 1_000, INTERVAL_MS, 'interval'))),
    timeout: formatDuration(ms(kept(timeoutS * 1_000, TIMEOUT_MS, 'timeout'))),
    rise: kept(rise, COUNT, 'rise'),
    fall: kept(fall, COUNT, 'fall'),
  };
}
