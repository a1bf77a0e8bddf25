// A peer whose heartbeats were never heard in this life of ours: its claims are all the life that
// it shows (voices/unheard.ts). Pure.
import { type At, after } from '../../../units/duration.ts';
import { claimLasts } from '../../timing.ts';
import type { Machine } from '../machine.ts';

/** Rounds of silence on a LAN where none was begun: the first that ends makes it zero. */
export const NOT_ASKED = -1;

export function neverHeard({ peer }: Machine): boolean {
  return peer.last === undefined;
}

/**
 * Until when its last claim counts as life: the next announcement is due then, and would be heard.
 * One that answers probes too, since then or shortly before, is dead as soon as they are silent.
 */
export function claimEndsAt({ unheard: { claimedAt, answeredAt }, settings }: Machine): At {
  if (claimedAt === undefined) return 0 as At;
  const answers = answeredAt !== undefined && answeredAt >= claimedAt - settings.deadMs;
  return answers ? (0 as At) : after(claimedAt, claimLasts(settings.deadMs));
}
