// The page of time: every duration that the election goes by. H is the heartbeat interval, L the
// lease, D the dead time, W the lease of the witness (docs/glossary.md); HeartbeatTimes is what one
// router has of the first three. First come the times of ownership, then those of what surrounds
// it, at the end the few that follow from none of these. That nobody can own twice
// (docs/invariants.md, R1 to R5) rests on this page, so nothing else in src/pulse multiplies a time
// by a number. Pure.
import { type Ms, ms } from '../units/duration.ts';
import { PROBE_WINDOW_MS_MAX } from '../vip/protocol.ts';

/** H, L and D of one router. */
export interface HeartbeatTimes {
  readonly intervalMs: Ms;
  readonly leaseMs: Ms;
  readonly deadMs: Ms;
}

/** H where two routers beat differently: what is counted in heartbeats goes by the slower one. */
export function slowerInterval(own: Ms, peer: Ms | undefined): Ms {
  return ms(Math.max(own, peer ?? own));
}

// Taking over, and letting go before that.

/**
 * The split-brain margin, in intervals of the owner: it asks for its lease right after a heartbeat,
 * and may not hold it any more when the standby, which counts from that heartbeat, takes over. The
 * only place: every wait for a lease of the other goes by it.
 */
const LEASE_MARGIN_INTERVALS = 0.8;

/** How long after its last heartbeat an owner of this pace may still hold its lease: L + 0.8 H. */
export function leaseWithMargin({ leaseMs, intervalMs }: Pick<HeartbeatTimes, 'leaseMs' | 'intervalMs'>): Ms {
  return ms(leaseMs + LEASE_MARGIN_INTERVALS * intervalMs);
}

/**
 * How long an owner must have been silent before the other router takes over: D of the one that
 * takes, and never less than the other may hold (leaseWithMargin; undefined: nothing is known), so
 * that two configs in the middle of a change are safe.
 */
export function takeoverAfter(takerDeadMs: Ms, heldForMs: Ms | undefined): Ms {
  return heldForMs === undefined ? takerDeadMs : ms(Math.max(takerDeadMs, heldForMs));
}

/** A heartbeat is missing once it is late by half an interval; from then on the peer is probed. */
const OVERDUE_INTERVALS = 1.5;

export function overdueAfter(intervalMs: Ms): Ms {
  return ms(OVERDUE_INTERVALS * intervalMs);
}

/**
 * A router, or a link of it, that has been silent for this long is gone: it could not take over any
 * more, and people are told. Twice the time of a takeover, since a peer that lives has been heard
 * or has taken over by then.
 */
export function goneAfter(takeoverMs: Ms): Ms {
  return ms(2 * takeoverMs);
}

/**
 * A router that has been silent for so long may have been given up: the peer keeps its addresses as
 * one that is alone does. The peer counts from our last heartbeat, which went out before we
 * stopped.
 */
export function givenUpAfter(intervalMs: Ms, peerTakesAfterMs: Ms): Ms {
  return ms(goneAfter(peerTakesAfterMs) - overdueAfter(intervalMs));
}

/**
 * How much earlier than the peer may take over an owner must know: not both hear a last heartbeat
 * at once.
 */
const AHEAD_INTERVALS = 1.2;

/**
 * When the peer counts as unheard, so that an owner which is cut off lets go: as late as can be, so
 * that a few lost heartbeats move nothing, and yet before the peer may take over, should it not
 * hear us either. `slowerMs`: slowerInterval(); `peerTakesAfterMs`: takeoverAfter() of the peer.
 */
export function unheardAfter(slowerMs: Ms, peerTakesAfterMs: Ms): Ms {
  return ms(Math.max(overdueAfter(slowerMs), peerTakesAfterMs - AHEAD_INTERVALS * slowerMs));
}

/**
 * Between a heartbeat and its echo lie up to two intervals of the slower router, and two flights.
 */
const HEARD_NOW_INTERVALS = 2.5;

/**
 * A peer whose newest echo is no older than this will hear of a claim well before it may take this
 * router for dead. `slowerMs`, `peerTakesAfterMs`: as in unheardAfter().
 */
export function heardNowWithin(slowerMs: Ms, peerTakesAfterMs: Ms): Ms {
  return ms(Math.min(HEARD_NOW_INTERVALS * slowerMs, unheardAfter(slowerMs, peerTakesAfterMs)));
}

/**
 * What an owner that cannot speak leaves of its lease, in intervals: to let go by its own word,
 * with the reason.
 */
const LEASE_SPARE_INTERVALS = 0.2;

/**
 * When an owner that cannot speak, and so does not renew, lets go: just before its lease ends by
 * itself. `unsent`: its last heartbeat may not have left, and the peer counts from the one before.
 */
export function muteLetsGoAfter({ leaseMs, intervalMs }: Omit<HeartbeatTimes, 'deadMs'>, unsent: boolean): Ms {
  return ms(leaseMs - (LEASE_SPARE_INTERVALS + (unsent ? 1 : 0)) * intervalMs);
}

/**
 * How far apart vipd's looks at own addresses are (every() of sampling()), and what timers add, in
 * intervals.
 */
const SEEN_INTERVALS = 0.6;

/** What vipd sees at its next look may have been so for this long. */
export function seenWithin(intervalMs: Ms): Ms {
  return ms(SEEN_INTERVALS * intervalMs);
}

/**
 * Two owners that cannot settle it by their epochs: how long before one lets go. A heartbeat that
 * is lost, and one that comes late.
 */
const RIVAL_INTERVALS = 2.5;

export function rivalYieldsAfter(slowerMs: Ms): Ms {
  return ms(RIVAL_INTERVALS * slowerMs);
}

// Starts and vacancies: who waits for whom.

/** Kernel lifetimes are whole seconds, and end late. */
const LIFETIME_LATE_MS = 1_250;

/** How long a start listens: longer than any address can live without its pulse. */
export function listenFor(
  { aloneKeepMs, leaseMs }: { readonly aloneKeepMs: Ms; readonly leaseMs: Ms },
  takeoverMs: Ms,
): Ms {
  return ms(aloneKeepMs + leaseMs + LIFETIME_LATE_MS + takeoverMs);
}

/** So many intervals are enough to hear a peer that is there. */
const INTRODUCTION_INTERVALS = 3;

/** How long a router that can be heard again listens before it believes in silence. */
export function introduction(intervalMs: Ms): Ms {
  return ms(INTRODUCTION_INTERVALS * intervalMs);
}

/**
 * The same at a start; addresses that the kernel has kept must not wait for longer than they live.
 */
export function introducedAfter({
  intervalMs,
  aloneKeepMs,
}: {
  readonly intervalMs: Ms;
  readonly aloneKeepMs: Ms;
}): Ms {
  return ms(Math.min(introduction(intervalMs), aloneKeepMs / 2));
}

/**
 * How long a router that does not go first waits for the one that does: it may be silent, and then
 * claims.
 */
export function patience(intervalMs: Ms, takeoverMs: Ms): Ms {
  return ms(takeoverMs + INTRODUCTION_INTERVALS * intervalMs);
}

/** Who goes first has this long, so that the two do not claim at the same moment. */
export function firstTurn(intervalMs: Ms, takeoverMs: Ms): Ms {
  return ms(patience(intervalMs, takeoverMs) - intervalMs);
}

// vipd: its answers, its probes, its replacement.

/**
 * A probe round is half an interval: two of them end before D, if they begin with the first missing
 * heartbeat.
 */
const PROBE_ROUND_INTERVALS = 0.5;
/** A local network answers in this time, on a busy machine too. */
const PROBE_ROUND_MS_MIN = 5;
const PROBE_ROUND_MS_MAX = 25;

/** How long a probe round waits for answers. */
export function probeRound(intervalMs: Ms): Ms {
  const share = intervalMs * PROBE_ROUND_INTERVALS;
  return ms(Math.max(PROBE_ROUND_MS_MIN, Math.min(PROBE_ROUND_MS_MAX, share)));
}

/** Longest time beyond its window in which vipd must tell of a probe. */
const PROBE_OVERDUE_MS = 100;

export function probeOverdueAfter(intervalMs: Ms): Ms {
  return ms(probeRound(intervalMs) + PROBE_OVERDUE_MS);
}

/** A new vipd takes this long to start (seen: 15 ms); a shorter hiccup is better waited for. */
const STUCK_MS_MIN = 10;
/**
 * With leases so short that no new vipd comes in time, this much of them is left to it all the
 * same.
 */
const STUCK_SPARE_MS = 2;

/**
 * An answer this late means a stuck vipd: half of what is left of the lease, so that a new one can
 * renew it in time.
 */
export function vipdStuckAfter({ leaseMs, intervalMs }: Omit<HeartbeatTimes, 'deadMs'>): Ms {
  const left = leaseMs - intervalMs;
  return ms(Math.max(left / 2, Math.min(STUCK_MS_MIN, left - STUCK_SPARE_MS)));
}

/** The kernel may take a while for many addresses: a claim has so long at least. */
const CLAIM_MS_MIN = 250;

/** A claim that vipd has not confirmed within its lease has failed. */
export function claimFailsAfter(leaseMs: Ms): Ms {
  return ms(Math.max(leaseMs, CLAIM_MS_MIN));
}

/**
 * Shares of H: a target is asked twice an interval, and is silent after 1.25 of them, so that an
 * owner that is cut off from everything knows it well before the peer may take over.
 */
const SAMPLE_SHARE = 0.5;
const SAMPLE_MS_MIN = 5;
const WINDOW_SHARE = 1.25;
const WINDOW_MS_MIN = 15;

/**
 * How often vipd asks the targets and looks at own addresses, and how long it waits for an answer.
 */
export function sampling(intervalMs: Ms): { readonly everyMs: Ms; readonly windowMs: Ms } {
  return {
    everyMs: ms(Math.max(SAMPLE_MS_MIN, intervalMs * SAMPLE_SHARE)),
    windowMs: ms(Math.max(WINDOW_MS_MIN, intervalMs * WINDOW_SHARE)),
  };
}

/** Longest pause between two tries. */
const PAUSE_MS_MAX = 10_000;

/** After so many failures in a row, of claims or handovers: D, doubled each time. */
export function retryPause(deadMs: Ms, failures: number): Ms {
  return ms(Math.min(PAUSE_MS_MAX, deadMs * 2 ** (failures - 1)));
}

// A planned handover, and new times.

/**
 * Share of the lease in which the taker must claim; the rest is for the check and for taking back.
 */
const CLAIM_SHARE = 0.5;

export function offerLasts(leaseMs: Ms): Ms {
  return ms(leaseMs * CLAIM_SHARE);
}

/**
 * An offer is short: it is said four times an interval, so that one that is lost costs little of
 * it.
 */
const OFFER_SHARE = 0.25;

export function offerInterval(intervalMs: Ms): Ms {
  return ms(intervalMs * OFFER_SHARE);
}

/**
 * How long after new times are known a lease of the old ones may run: it was asked for an interval
 * later at most.
 */
export function oldLeaseLasts({ leaseMs, intervalMs }: Omit<HeartbeatTimes, 'deadMs'>): Ms {
  return ms(leaseMs + intervalMs);
}

// The witness.

/**
 * How long after its last renewal at the witness an owner that hears nobody may go on: its lease
 * here must have ended before the one there does, and it renews here for an interval at most.
 */
export function letGoAfter(witnessLeaseMs: Ms, { leaseMs, intervalMs }: Omit<HeartbeatTimes, 'deadMs'>): Ms {
  return ms(witnessLeaseMs - leaseMs - intervalMs);
}

/**
 * A new owner that the witness does not know yet has this long after the peer's last word: the
 * peer, which may be granted it, has heard us until then and waits for its D.
 */
export function unknownLetsGoAfter(
  { intervalMs, deadMs }: Omit<HeartbeatTimes, 'leaseMs'>,
  peerDeadMs: Ms | undefined,
): Ms {
  return ms(Math.min(deadMs, peerDeadMs ?? deadMs) - intervalMs);
}

/** How long a grant may be used, as a share of W: a late claim would find somebody else there. */
const GRANT_SHARE = 0.5;

export function grantLasts(witnessLeaseMs: Ms): Ms {
  return ms(GRANT_SHARE * witnessLeaseMs);
}

const ONE_FAULT_LEASES = 3;
const ONE_FAULT_MS_MIN = 3_000;

/**
 * Losses this close to each other are one fault: a router that loses peer and witness together is
 * probably itself cut off. Further apart they are two faults, and the later one moves nothing.
 */
export function oneFault(witnessLeaseMs: Ms | undefined): Ms {
  return ms(Math.max(ONE_FAULT_MS_MIN, ONE_FAULT_LEASES * (witnessLeaseMs ?? 0)));
}

/** The process that asks takes a while to start. */
const WITNESS_LOST_MS_MIN = 3_000;

/** People are told of a witness that has not answered for one lease. */
export function witnessLostAfter(witnessLeaseMs: Ms): Ms {
  return ms(Math.max(witnessLeaseMs, WITNESS_LOST_MS_MIN));
}

/** Renewals for each lease: several may be lost. */
const RENEWALS_PER_LEASE = 5;

export function witnessRenewEvery(witnessLeaseMs: Ms): Ms {
  return ms(witnessLeaseMs / RENEWALS_PER_LEASE);
}

/** A claim is asked for more often: somebody waits for it. */
const CLAIMS_PER_LEASE = 20;
/** No question is hurried that comes within this time anyway. */
export const WITNESS_CLAIM_MS_MIN = ms(20);

export function witnessClaimEvery(witnessLeaseMs: Ms): Ms {
  return ms(Math.max(WITNESS_CLAIM_MS_MIN, witnessLeaseMs / CLAIMS_PER_LEASE));
}

// What a router concludes of LANs, own addresses and the other machine.

/** Network managers take an address away and put it back when they reload. */
const OWN_LOST_MS_MIN = 1_000;

/** A LAN without an own address counts as lost after this. */
export function ownLostAfter(deadMs: Ms): Ms {
  return ms(Math.max(OWN_LOST_MS_MIN, deadMs));
}

/**
 * A lost heartbeat or two between an echo and the next must not matter, nor a peer that beats more
 * slowly.
 */
const ECHO_INTERVALS = 3.5;

/** An echo that is no older than this shows that a link works both ways. */
export function echoLasts(deadMs: Ms, slowerMs: Ms): Ms {
  return ms(Math.max(deadMs, ECHO_INTERVALS * slowerMs));
}

/** In times of goneAfter(): where links come back, the first echo on another tells nothing yet. */
const ONE_WAY_SHARE = 1.5;

/**
 * Heartbeats that have echoed nothing for this long, though elsewhere they do: what we send is
 * lost.
 */
export function oneWayAfter(goneMs: Ms): Ms {
  return ms(ONE_WAY_SHARE * goneMs);
}

/**
 * A LAN that is dead here without a sign from the cable: the peer's heartbeat must be this much
 * younger. A target that dies is noticed by both routers within half an interval of each other (see
 * sampling()); the rest is margin. More would make the handover later than the dead time.
 */
const WITNESSED_INTERVALS = 1.5;

export function witnessedAfter(peerIntervalMs: Ms): Ms {
  return ms(peerIntervalMs * WITNESSED_INTERVALS);
}

/** A wish to hand over must last: what one heartbeat says, the next may take back. */
export function wishLasts(takeoverMs: Ms): Ms {
  return ms(2 * takeoverMs);
}

/**
 * A LAN that was dead must have been well for this long: a flapping cable must not move the
 * addresses.
 */
export const HEAL_MS = ms(2_000);

/** In dead times: answers to one question have long come in when the next is asked. */
const QUESTION_DEADS = 3;

/** How far apart questions are that ask who has an own address of the peer's, or one of ours. */
export function askEvery(deadMs: Ms): Ms {
  return ms(QUESTION_DEADS * deadMs);
}

/**
 * A copy of this router has gone once it has missed two questions in a row, at the earliest: a
 * frame may be lost.
 */
export function copyGoneAfter(deadMs: Ms): Ms {
  return ms(2 * askEvery(deadMs));
}

/** An owner announces each address at least this often: src/vip/native/announce.c. */
const ANNOUNCED_EVERY_MS = 30_000;

/**
 * How long a claim of a peer that was never heard counts as life: its next announcement would be
 * heard.
 */
export function claimLasts(deadMs: Ms): Ms {
  return ms(ANNOUNCED_EVERY_MS + deadMs);
}

/**
 * Calm rounds of probes, which show whether the probe sees the owner at all, come so far apart, in
 * D.
 */
const CALM_PROBE_DEADS = 20;
/** After a miss they come sooner. */
const CALM_PROBE_AGAIN_DEADS = 2;

export function calmProbeEvery(takeoverMs: Ms): Ms {
  return ms(CALM_PROBE_DEADS * takeoverMs);
}

export function calmProbeAgainAfter(takeoverMs: Ms): Ms {
  return ms(CALM_PROBE_AGAIN_DEADS * takeoverMs);
}

/**
 * In dead times: the standby's own look at the addresses is slow, since it is for people, and two
 * rounds never meet.
 */
const VIP_CHECK_DEADS = 3;

export function vipCheckEvery(deadMs: Ms): Ms {
  return ms(VIP_CHECK_DEADS * deadMs);
}

/** A loop that stood still has asked nobody: what it found before is not told any more. */
export function vipCheckStaleAfter(deadMs: Ms): Ms {
  return ms(2 * vipCheckEvery(deadMs));
}

export function vipCheckWindow(intervalMs: Ms): Ms {
  return ms(Math.min(intervalMs, PROBE_WINDOW_MS_MAX));
}

// Handovers without being told to.

/** A router that has just become active keeps the role this long, unless its own links fail. */
export const HOLD_DOWN_MS = ms(10_000);
/** Automatic failback waits this long. */
export const FAILBACK_MS = ms(30_000);
/** Changes within this time count; so many are free, each further one doubles the hold-down. */
export const CHANGES_WITHIN_MS = ms(600_000);
const FREE_CHANGES = 2;
const HOLD_DOWN_MS_MAX = 300_000;

/**
 * How long the role is kept before this router moves it by itself: twice as long for each change of
 * late, and never less than at first.
 */
export function holdDown(recentChanges: number, baseMs: Ms): Ms {
  if (recentChanges < FREE_CHANGES) return baseMs;
  const doubled = HOLD_DOWN_MS * 2 ** (recentChanges - FREE_CHANGES + 1);
  return ms(Math.max(baseMs, Math.min(HOLD_DOWN_MS_MAX, doubled)));
}

/**
 * A router that reaches no real server waits this long for a cold peer that does: after that, the
 * sessions it would save have no server to talk to, and a sync that never gets well must not keep
 * new clients out.
 */
export const COLD_PATIENCE_MS = ms(60_000);

// What follows from none of H, L, D and W.

/** The director is gone when it has not reported for this long; it reports each second. */
export const REPORT_STALE_MS = ms(5_000);
/**
 * An owner tries again what the kernel refused within ten seconds; a standby cannot, and promises
 * it after this time only.
 */
export const PROMISE_MS = ms(600_000);
/** Claims of a third machine this close together count for standing down. */
export const CLAIMS_WITHIN_MS = ms(10_000);
/** How long the addresses are left alone then. */
export const STAND_DOWN_MS = ms(30_000);
/** The same machine that answers for an address is news again after this long. */
export const ANSWERER_NEWS_MS = ms(10_000);
/** How long people are told of a third machine, or of vipd's trouble, after its last word. */
export const TOLD_MS = ms(60_000);
/** The lowest margin of the lease that is told covers at least this long, at most twice that. */
export const MARGIN_WINDOW_MS = ms(30_000);
/** How far back the journal reaches, and what of it is dropped at once. */
export const JOURNAL_MS = ms(60_000);
export const JOURNAL_SEGMENT_MS = ms(5_000);
/** How often it is said which keys are accepted, while they are changed. */
export const SAY_KEYS_MS = ms(1_000);
/** It is said for so long after the last change, so that no earlier word can be the last. */
export const SAY_KEYS_AFTER_MS = ms(10_000);
/** What the peer has said of its keys counts for so long. */
export const KEYS_COUNT_MS = ms(5_000);
