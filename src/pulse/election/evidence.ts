// What this router knows of the witness: when it last answered, what it has granted, what it remembers. The rules are in witness.ts.
import type { At } from '../../units/duration.ts';
import { EPOCH_NONE, type Epoch } from '../../units/epoch.ts';
import type { WitnessAsk } from '../../witness/witness.ts';

export interface WitnessView {
  readonly seq: number;
  /** The question under way: one at a time. */
  readonly asked: WitnessAsk | undefined;
  readonly dueAt: At;
  /** Moment of the newest question that was answered at all. */
  readonly goodAt: At | undefined;
  /** Since when questions have failed; undefined: the newest did not. */
  readonly lostSince: At | undefined;
  /** Moment of the newest question that made or kept us the owner there. */
  readonly heldAt: At | undefined;
  /** Granted to us for a claim that has not begun yet. */
  readonly grant: { readonly epoch: Epoch; readonly at: At } | undefined;
  /** Since when there has been no record: nothing is granted before one lease has passed. */
  readonly emptySince: At | undefined;
  /** The newest epoch ever seen there: one that is older has been forgotten. */
  readonly known: Epoch;
}

export function unknownWitness(now: At): WitnessView {
  return {
    seq: 0,
    asked: undefined,
    dueAt: now,
    goodAt: undefined,
    lostSince: undefined,
    heldAt: undefined,
    grant: undefined,
    emptySince: undefined,
    known: EPOCH_NONE,
  };
}
