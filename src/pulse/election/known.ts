// What a router remembers of the other machines and of its own kernel, as the messages left it: the
// peer and its links, LANs, own and virtual addresses, the witness, third machines. beliefs/ says
// what follows from it. Types only.
import type { At, Ms } from '../../units/duration.ts';
import type { Epoch } from '../../units/epoch.ts';
import type { FixedState, NeighboursWord, PlaceState } from '../../vip/protocol.ts';
import type { WitnessAsk } from '../../witness/witness.ts';
import type { Heartbeat } from '../heartbeat.ts';

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

export interface PeerEvidence {
  readonly ownBootId: string;
  /** The peer's node id: datagrams from any other are our own, reflected, or a mistaken config. */
  readonly peerNodeId: number;
  /**
   * Boot id of the peer's present life, proven fresh by its echo of ours; BOOT_NONE before that.
   */
  readonly bootId: string;
  /** A boot id heard, but not yet proven fresh. */
  readonly candidate: string;
  readonly retired: readonly string[];
  readonly seq: number;
  /** Newest counted heartbeat of the present life. */
  readonly last: Heartbeat | undefined;
  /** When the peer certainly lived last: the newest counted heartbeat was sent no earlier. */
  readonly heardAt: At | undefined;
  /** When the peer was last heard serving with a current epoch: what D counts from. */
  readonly servingAt: At | undefined;
  /** No later than that heartbeat was sent. */
  readonly servedAt: At | undefined;
  /**
   * The life before this one may have held a term to its end, which no will has closed: its
   * addresses may be kept.
   */
  readonly heldBefore: boolean;
  /**
   * The longest lease, with its margin, that the peer may still hold, of earlier lives too: one
   * that it has spoken of stays until it is over.
   */
  readonly lease: { readonly ms: Ms; readonly heardAt: At } | undefined;
  /** The highest epoch that a will of the present life has closed. */
  readonly closed: Epoch;
  /** The highest epoch ever heard of. */
  readonly highest: Epoch;
  readonly links: readonly LinkEvidence[];
}

export interface LinkEvidence {
  /** Boot and highest sequence number heard on this link, against replay. */
  readonly bootId: string;
  readonly seq: number;
  readonly heardAt: At | undefined;
  /** When the first of an unbroken row of heartbeats came here. */
  readonly heardSince: At | undefined;
  /**
   * When we sent the newest heartbeat of ours that the peer has echoed here: both directions worked
   * then.
   */
  readonly echoedAt: At | undefined;
  /**
   * When the first of an unbroken row of its echoes came: it has heard us since then at the latest.
   */
  readonly hearsUsSince: At | undefined;
  /** The peer's clock in its last heartbeat here, to be echoed. */
  readonly peerSentAtUs: number;
  readonly rttMs: number | undefined;
  readonly peerHearsUs: boolean;
  readonly received: number;
  readonly refused: number;
}

export interface LanHealth {
  /** Frames came in lately; undefined: vipd has not told yet. */
  readonly traffic: boolean | undefined;
  /** As vipd last told; undefined: it has not, or the LAN has targets. */
  readonly neighbours: NeighboursWord | undefined;
  readonly dead: boolean;
  /** Since when its signs have been as they are now. */
  readonly signsSince: At;
  readonly signsDead: boolean;
}

export interface OwnView {
  /** As vipd last told, in the order of the settings; undefined: not told yet. */
  readonly states: readonly (FixedState | undefined)[];
  /** Since when each is here, or is not. */
  readonly since: readonly At[];
  /** Why each heartbeat link is not bound; undefined: it is, or nothing is known yet. */
  readonly linkProblems: readonly (string | undefined)[];
  /** At least one link has been bound in this life. */
  readonly everBound: boolean;
  /** Since when isMute(). */
  readonly bareSince: At | undefined;
  readonly copy: Copy;
}

/** A machine whose vipd has this router's own addresses as its own. */
export interface Copy {
  /** When it is asked for next. */
  readonly askAt: At;
  /** A router that starts says nothing before: its first question may yet be answered. */
  readonly quietUntil: At;
  readonly mac: string | undefined;
  readonly address: string;
  readonly heardAt: At;
}

export interface AddressView {
  readonly place: PlaceState;
  /**
   * What the kernel last said to it; undefined: it took it, or something has changed there since.
   */
  readonly refusal: Refusal | undefined;
  /** It is in the kernel, by vipd's word in this term. */
  readonly here: boolean;
}

interface Refusal {
  readonly text: string;
  readonly at: At;
  readonly retry: Retry;
}

export interface Retry {
  /** Failures in a row. */
  readonly failures: number;
  /** No further try before this. */
  readonly pauseUntil: At | undefined;
}

export interface Proof {
  /** The calm round under way or the last one, by its probe's number; 0: none yet. */
  readonly id: number;
  readonly dueAt: At;
  /** Rounds in a row without an answer, for each address. */
  readonly misses: readonly number[];
  /** For which addresses an echo came since this calm round began, and in the one before. */
  readonly echoes: readonly number[];
  readonly echoesBefore: readonly number[];
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
  /** By LAN: rounds in a row in which nobody answered; NOT_ASKED: none was begun. */
  readonly silentRounds: readonly number[];
  /** When the peer was last heard to claim an address, and when it last answered a probe. */
  readonly claimedAt: At | undefined;
  readonly answeredAt: At | undefined;
}

/** Who answered for an own address of the peer's. */
export interface PeerAnswer {
  readonly lan: number;
  readonly mac: string;
  /** A target has answered from that MAC, too: a proxy, or a gateway. */
  readonly target: boolean;
}

/** Shares of the lease, 0 to 1. */
export interface LeaseMargin {
  readonly since: At;
  readonly lowest: number;
  /** Lowest of the window before this one. */
  readonly before: number;
}

export interface ForeignClaim {
  readonly address: number;
  readonly mac: string;
  readonly port: string;
  /** Times of the claims heard, newest last. */
  readonly heardAt: readonly At[];
}

export interface ForeignAnswer {
  readonly address: number;
  readonly mac: string;
  readonly heardAt: At;
  /** When an event last said so. */
  readonly toldAt: At;
}
