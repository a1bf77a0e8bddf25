// What the election works on: settings, state, events, effects. This file and known.ts know nobody;
// beliefs/ says what follows from them, voices/ what a word from outside does, roles/ what a router
// does in each role, and step.ts calls them. Types only.
import type { Unit } from '../../config/units.ts';
import type { Decision } from '../../feed/message.ts';
import type { Reason } from '../../feed/role-reason.ts';
import type { Fields } from '../../log/event.ts';
import type { PULSE_EVENTS } from '../../log/events/pulse-events.ts';
import type { At, Ms } from '../../units/duration.ts';
import type { Epoch } from '../../units/epoch.ts';
import type { VipdMessage } from '../../vip/protocol.ts';
import type { WitnessAnswer, WitnessAsk } from '../../witness/witness.ts';
import type { Heartbeat, Will } from '../heartbeat.ts';
import type { HeartbeatTimes } from '../timing.ts';
import type {
  AddressView,
  ForeignAnswer,
  ForeignClaim,
  LanHealth,
  LeaseMargin,
  OwnView,
  PeerEvidence,
  Proof,
  Retry,
  Unheard,
  WitnessView,
} from './known.ts';

/**
 * What one router brings to the election. A reload changes what is Reloadable; the rest stays for
 * the life of the process.
 */
export interface Settings {
  readonly node: string;
  readonly nodeId: 1 | 2;
  readonly bootId: string;
  readonly priority: number;
  /** H, L, D: see docs/glossary.md. */
  readonly intervalMs: Ms;
  readonly leaseMs: Ms;
  readonly deadMs: Ms;
  /** How long VIPs outlive pulse while nobody can take over. */
  readonly aloneKeepMs: Ms;
  readonly autoFailback: boolean;
  /** Services are configured: there are sessions that a cold router would lose. */
  readonly keepsSessions: boolean;
  readonly configDigest: string;
  readonly links: number;
  /**
   * For every virtual address: its LAN's index (in alphabetical order), as in heartbeats of version
   * 1.
   */
  readonly addressLans: readonly number[];
  /** What of the addresses is served together: all of it or none. */
  readonly units: readonly Unit[];
  /** In alphabetical order. */
  readonly lans: readonly LanSettings[];
  /** The two routers' own addresses, as vipd counts them. */
  readonly fixed: readonly FixedSettings[];
  readonly onIsolation: 'release' | 'keep';
  readonly onConflict: 'defend' | 'stand-down';
  /** The witness' lease; undefined: the pair has no witness. */
  readonly witness: { readonly leaseMs: Ms } | undefined;
  /** Longest time in which the nannies notice that a real server has failed. */
  readonly noticeMs: Ms;
}

/** What a reload may change. */
export type Reloadable = Times &
  Pick<Settings, 'autoFailback' | 'keepsSessions' | 'onIsolation' | 'onConflict' | 'noticeMs' | 'units'>;

export interface LanSettings {
  readonly name: string;
  /** lanId() of the name: what heartbeats of version 2 call it. */
  readonly id: number;
  readonly interface: string;
  /** It has virtual addresses: clients or real servers are there. */
  readonly vips: boolean;
  /** Numbers of the targets on it, as vipd counts them. */
  readonly targets: readonly number[];
  /** Numbers of the heartbeat links on it. */
  readonly links: readonly number[];
}

/** An address that the config gives to one of the routers. */
export interface FixedSettings {
  readonly address: string;
  /** Index of its LAN. */
  readonly lan: number;
  readonly family: 4 | 6;
  readonly side: 'own' | 'peer';
  /** The heartbeat link that is bound to it, or at its other end if it is the peer's. */
  readonly link: number | undefined;
  /** Its LAN has virtual addresses of its family. */
  readonly serves: boolean;
}

/** A round of probes, sent at once to every address. */
export interface ProbeRound {
  readonly id: number;
  readonly sentAt: At;
  /** Indexes of addresses that the peer (or, the peer's MAC unknown, anybody) answered for. */
  readonly answered: readonly number[];
  /** Indexes of addresses for which vipd has told the silence. */
  readonly silent: readonly number[];
}

/** Probing of the peer's addresses: rounds in a row without an answer, and the round under way. */
export interface Probing {
  readonly round: ProbeRound;
  readonly silentRounds: number;
  readonly answeredRounds: number;
  /**
   * Since when the peer's MAC has been told by ARP for an address without an echo or a word;
   * undefined: it has not.
   */
  readonly resolvedAt: At | undefined;
}

export interface Idle {
  readonly role: 'standby';
  readonly probing: Probing | undefined;
  /** Since when nobody serves although the peer is heard: the lower ranked waits D from here. */
  readonly vacantSince: At | undefined;
  /**
   * It has just lost the addresses by its own fault: the peer goes first, whatever the priorities.
   */
  readonly yields: boolean;
}

export type State =
  | {
      readonly role: 'starting';
      readonly startedAt: At;
      readonly resume: boolean;
      readonly probing: Probing | undefined;
    }
  | Idle
  | {
      readonly role: 'claiming';
      readonly epoch: Epoch;
      readonly claimedAt: At;
      readonly why: Reason;
      readonly evidence: Fields;
    }
  | { readonly role: 'active'; readonly epoch: Epoch; readonly activeAt: At; readonly wish: Wish | undefined }
  | Giving
  | { readonly role: 'stopping' };

/**
 * The peer could do better, and since when: it can hold more units, is fitter, or is as good and
 * ranks higher.
 */
export interface Wish {
  readonly why: 'more' | 'fitter' | 'back';
  readonly since: At;
}

/**
 * A planned handover, seen from the giver. `flushing`: still renewing; `offered`: no more renewals.
 */
export interface Giving {
  readonly role: 'handing-over';
  readonly epoch: Epoch;
  readonly offer: Epoch;
  readonly why: Reason;
  /** Goes on even if the peer's tables are or become cold. */
  readonly coldToo: boolean;
  readonly phase: 'flushing' | 'offered' | 'checking';
  /** End of the present phase. */
  readonly until: At;
  readonly probing: Probing | undefined;
}

/** The lease as pulse knows it. Renewals in flight are bounded by the respawn of vipd. */
export interface LeaseView {
  readonly commandSeq: number;
  /**
   * at: of the request, the lease counts from there. waitingSince: later when we did not read for a
   * while.
   */
  readonly inFlight: readonly {
    readonly seq: number;
    readonly at: At;
    readonly waitingSince: At;
    readonly armed: boolean;
    readonly leaseMs: Ms;
    /** By a claim: once it is held, these addresses are in the kernel. */
    readonly claimed: readonly number[] | undefined;
  }[];
  /** Request time of the newest renewal that vipd acknowledged. */
  readonly ackedAt: At | undefined;
  /** Of the one before it in this term. */
  readonly ackedBeforeAt: At | undefined;
  /** For how long that renewal was. */
  readonly ackedLeaseMs: Ms;
  /** The addresses that were asked for last. */
  readonly asked: readonly number[];
  /** As asked for last, and as acknowledged last. */
  readonly armed: boolean;
  readonly ackedArmed: boolean;
  /** Of this term of ownership; undefined before its first renewal. */
  readonly margin: LeaseMargin | undefined;
}

export interface Machine {
  readonly settings: Settings;
  readonly state: State;
  readonly peer: PeerEvidence;
  readonly lease: LeaseView;
  /** Highest epoch known from anywhere; the next claim goes above it. */
  readonly highest: Epoch;
  /** Counters up to here are reserved on disk. */
  readonly ceiling: number;
  readonly sendSeq: number;
  readonly probeId: number;
  readonly heartbeatDueAt: At;
  /** D counts from here at the earliest: our own loop was late, evidence before it is stale. */
  readonly blindUntil: At;
  /**
   * When our own loop was last found late: what is read may have waited since before; undefined:
   * never.
   */
  readonly lateAt: At | undefined;
  /**
   * Awake since then, or able to speak again, after so long that the peer may keep the addresses
   * alone: it is listened to as after a start.
   */
  readonly wokenAt: At | undefined;
  /**
   * Our own loop was late, and what came in meanwhile has not been read yet: nothing is concluded
   * before the next tick.
   */
  readonly unread: boolean;
  /** When a last will was read as it came; one that waited for us to wake up may be old. */
  readonly willReadAt: At | undefined;
  /** The epoch that this router served or claimed under last; EPOCH_NONE before that. */
  readonly lastTerm: Epoch;
  readonly hold: { readonly on: boolean; readonly until: At | undefined };
  /** New times on their way into force. */
  readonly change: TimesChange | undefined;
  /** Number of the newest request for other rules of the packet lease. */
  readonly gateId: number;
  /**
   * Of the config in use, as the director last said: it reloads; before its first word, of the one
   * pulse was started with.
   */
  readonly configDigest: string;
  /** Since when our heartbeats have said that we could take over. */
  readonly readySince: At | undefined;
  readonly rulesIn: boolean;
  readonly healthyServers: number | undefined;
  /** Fitness checks by script that fail here. */
  readonly failedChecks: number;
  readonly flushMs: number;
  /** As the director last said; isWarm() looks at the age of that. */
  readonly warm: boolean;
  readonly reportedAt: At | undefined;
  /** Carrier and own MAC of each address's interface. */
  readonly addressLinks: readonly { readonly up: boolean; readonly mac: string }[];
  /** Whether each address can be held here, and is. */
  readonly addresses: readonly AddressView[];
  /** The kernel here may hold addresses for us; true at a start, until vipd has looked. */
  readonly heldAddresses: boolean;
  /** Told to end: a handover under way comes first, whatever becomes of it. */
  readonly stopRequested: boolean;
  /** What the will in vipd's hands was made for. */
  readonly willFor: string;
  /** Conditions that are on, each logged once at its start and once at its end. */
  readonly conditions: readonly string[];
  readonly conflictAnnouncedAt: At | undefined;
  /**
   * Since when the peer holds the addresses too and cannot be told of our epoch: unheard and of the
   * higher rank, or deaf to us.
   */
  readonly rivalSince: At | undefined;
  /** Health of each LAN of the settings. */
  readonly lanHealth: readonly LanHealth[];
  /** Whether each target answers; undefined: not told yet. */
  readonly targetsUp: readonly (boolean | undefined)[];
  /**
   * Real servers went from some to none here, or one more fitness check failed, at this time: the
   * peer's word for its own counts from checks after it.
   */
  readonly unfitSince: At | undefined;
  /** When this router handed over by itself, lately: repeated changes wait longer. */
  readonly movedAt: readonly At[];
  /** When a LAN of the peer was lost there, lately: what it has lost often is a bad refuge. */
  readonly peerLostAt: readonly At[];
  readonly own: OwnView;
  /** Of claims. */
  readonly retry: Retry;
  /** Of handovers by itself. */
  readonly handoverRetry: Retry;
  /** The third machine that was last heard to claim an address. */
  readonly foreign: ForeignClaim | undefined;
  /**
   * The third machine that was last heard to answer for an address of the peer's without claiming
   * it.
   */
  readonly answerer: ForeignAnswer | undefined;
  readonly unheard: Unheard;
  readonly witness: WitnessView;
  /** Whether probes see the owner. */
  readonly proof: Proof;
  /** Since when there is no vipd that has said hello. */
  readonly vipdLostAt: At | undefined;
}

export type PulseEventCode = keyof typeof PULSE_EVENTS;

export type PulseEvent =
  | { readonly type: 'tick' }
  | { readonly type: 'late'; readonly byMs: number }
  | { readonly type: 'datagram'; readonly link: number; readonly message: Heartbeat | Will }
  | { readonly type: 'vipd'; readonly message: VipdMessage }
  | { readonly type: 'vipd-gone'; readonly how: string }
  /** A heartbeat link has its socket, or why it has none. */
  | { readonly type: 'bound'; readonly link: number; readonly problem: string | undefined }
  | { readonly type: 'witness'; readonly answer: WitnessAnswer }
  | {
      readonly type: 'report';
      readonly rulesIn: boolean;
      readonly healthyServers: number | null;
      /** null, or absent: as said before. */
      readonly failedChecks?: number | null;
      readonly flushMs: number;
      readonly warm: boolean;
      /** Absent: from a director of 0.3. */
      readonly configDigest?: string;
    }
  /** The config was read again. */
  | { readonly type: 'reload'; readonly next: Reloadable }
  /** The answer to the effect `gate`. */
  | { readonly type: 'gated'; readonly id: number }
  /** cold: also to a peer whose tables are cold. */
  | { readonly type: 'handover'; readonly cold: boolean }
  | { readonly type: 'hold'; readonly forMs: number | undefined }
  | { readonly type: 'release' }
  | { readonly type: 'stop' };

export type LeaseCommand = {
  readonly seq: number;
  readonly epoch: Epoch;
  /** Moment of the request: the lease counts from here. */
  readonly at: At;
  readonly leaseMs: Ms;
  readonly mode: 'armed' | 'alone';
  /** The addresses that are to be held. */
  readonly addresses: readonly number[];
};

export type Effect =
  | { readonly type: 'claim' | 'renew'; readonly lease: LeaseCommand }
  | { readonly type: 'will'; readonly epoch: Epoch; readonly peerBootId: string }
  | { readonly type: 'give-up'; readonly seq: number; readonly epoch: Epoch; readonly will: boolean }
  | { readonly type: 'announce' }
  /**
   * The rules of the packet lease are to be made for this lease; answered by the event `gated` in
   * any case.
   */
  | { readonly type: 'gate'; readonly id: number; readonly leaseMs: Ms }
  | {
      readonly type: 'probe';
      readonly id: number;
      readonly windowMs: number;
      readonly targets: readonly { readonly index: number; readonly mac: string | undefined }[];
    }
  /**
   * Asks who has these addresses, as vipd counts them: the peer's, or which other vipd has our own.
   */
  | { readonly type: 'resolve'; readonly fixed: readonly number[] }
  | { readonly type: 'respawn-vipd' }
  /** vipd asks every target this often. */
  | { readonly type: 'sample'; readonly everyMs: number; readonly windowMs: number }
  | { readonly type: 'witness'; readonly ask: WitnessAsk }
  | { readonly type: 'send' }
  | { readonly type: 'decision'; readonly decision: Omit<Decision, 'at'> }
  | { readonly type: 'event'; readonly code: PulseEventCode; readonly fields: Fields }
  | { readonly type: 'persist' }
  | { readonly type: 'answer'; readonly ok: boolean; readonly message: string }
  | { readonly type: 'exit' };

/** What the peer is told of, and reckons with. */
export interface Times extends HeartbeatTimes {
  readonly priority: number;
}

/** New times on their way into force; those of the settings are the careful ones until then. */
interface TimesChange {
  readonly wanted: Times;
  /** What heartbeats say meanwhile. */
  readonly said: Times;
  /** When they began to say it. */
  readonly since: At;
  /**
   * The rules of the packet lease are being made for the wanted lease; undefined: not asked for
   * yet.
   */
  readonly gateId: number | undefined;
  /** When they were; no packet lease: when that was known. */
  readonly gatedAt: At | undefined;
}
