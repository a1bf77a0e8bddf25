// What is known of a peer whose heartbeats were never heard in this life of ours: the MAC that
// answers for its own address, and when it claimed the addresses. The rules are in unheard.ts.
// Pure.
import { type At, after } from '../../../units/duration.ts';
import { claimLasts } from '../../timing.ts';
import type { Machine } from '../machine.ts';

/** Who answered for an own address of the peer's. */
export interface PeerAnswer {
  readonly lan: number;
  readonly mac: string;
  /** A target has answered from that MAC, too: a proxy, or a gateway. */
  readonly target: boolean;
}

export interface Unheard {
  /** When the peer's addresses are asked for next. */
  readonly askAt: At;
  /** What has come in since they were asked for last. */
  readonly answers: readonly PeerAnswer[];
  /** By LAN: the only one that answered in the round before. */
  readonly once: readonly (string | undefined)[];
  /** By LAN: the peer's MAC. */
  readonly macs: readonly (string | undefined)[];
  /** When the peer was last heard to claim an address, and when it last answered a probe. */
  readonly claimedAt: At | undefined;
  readonly answeredAt: At | undefined;
}

export function nothingAsked(lans: number, now: At): Unheard {
  const none = Array.from({ length: lans }, () => undefined);
  return { askAt: now, answers: [], once: none, macs: none, claimedAt: undefined, answeredAt: undefined };
}

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
