// A moment of this machine, written down for a later life of a daemon: in the same boot the
// monotonic clock has gone on, in another one it has begun anew. The wall clock has no say. Pure.
import { type At, between, type Ms, ms } from './duration.ts';

/** The moment at which something is written or read. */
export interface Moment {
  /** The kernel's boot id. */
  readonly boot: string;
  readonly now: At;
}

/** Time since what was written down in `boot` at `atMs`; none, when that was another boot. */
export function passedSince(then: { readonly boot: string; readonly atMs: number }, { boot, now }: Moment): Ms {
  return then.boot === boot && then.atMs <= now ? between(then.atMs as At, now) : ms(0);
}
