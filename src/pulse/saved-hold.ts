// A hold with an end, across a restart of pulse: what is left of it is saved, and goes on from
// there. After a reboot it has what was left when it was saved: the time in which the machine was
// off is nobody's. Pure.
import { after, between, ms } from '../units/duration.ts';
import { type Moment, passedSince } from '../units/moment.ts';
import type { Machine } from './election/machine.ts';
import type { PulseState } from './io/state-file.ts';

type Hold = Machine['hold'];
type SavedHold = PulseState['hold'];

/** `wallMs`: ms since 1970. */
export function savedHold({ on, until }: Hold, { boot, now }: Moment, wallMs: number): SavedHold {
  if (until === undefined) return { on, until: null };
  const left = between(now, until);
  return { on, until: wallMs + left, left: { ms: Math.max(0, left), boot, atMs: Math.floor(now) } };
}

interface WallTimes {
  readonly nowMs: number;
  /** When the file was written. */
  readonly writtenMs: number;
}

/**
 * A file of 0.3 has only the end by the wall clock. However wrong that clock is now, no more is
 * left of it than when the file was written.
 */
export function recalledHold({ on, until, left }: SavedHold, moment: Moment, wall: WallTimes): Hold {
  if (!on || until === null) return { on, until: undefined };
  const leftMs = left ? left.ms - passedSince(left, moment) : until - Math.max(wall.nowMs, wall.writtenMs);
  return leftMs > 0 ? { on, until: after(moment.now, ms(leftMs)) } : { on: false, until: undefined };
}
