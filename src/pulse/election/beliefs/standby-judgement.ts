// What a standby concludes: the peer serves, or is to be probed, or its place is to be taken now.
// Keeps R1 to R4, R10 (docs/invariants.md). Pure.
import type { Reason } from '../../../feed/role-reason.ts';
import type { Fields } from '../../../log/event.ts';
import { type At, after, between, type Ms } from '../../../units/duration.ts';
import { compareEpochs, type Epoch, newerEpoch } from '../../../units/epoch.ts';
import { firstTurn, patience, slowerInterval } from '../../timing.ts';
import type { Idle, Machine, Probing } from '../machine.ts';
import { seesKernel } from './blind-probe.ts';
import { whyNotClaim } from './claim-bars.ts';
import { deadAt, deadMs, listenMs, suspectAt } from './deadlines.ts';
import { evidenceOf } from './decision-evidence.ts';
import { claimEndsAt } from './never-heard.ts';
import { isServing } from './peer.ts';
import { heardWithin, outranksPeer } from './peer-heard.ts';
import { pauses } from './retry.ts';
import { inForce, usableGrant } from './witness-say.ts';

/** Unanswered rounds in a row before silence is taken for death. */
const SILENT_ROUNDS = 2;

/**
 * What a standby concludes.
 * `calm`: the peer serves, or we may not claim anyway. `suspicious`: probe. `take`: claim now.
 */
export type Judgement =
  | { readonly verdict: 'calm' }
  | { readonly verdict: 'suspicious'; readonly linksBroken: boolean; readonly vacant: boolean }
  /** grant: the witness', under whose epoch to claim. */
  | { readonly verdict: 'take'; readonly why: Reason; readonly evidence: Fields; readonly grant?: Epoch };

export function judgeStandby(machine: Machine, idle: Idle, now: At): Judgement {
  const { probing } = idle;
  // safeguard: refused-claim-pauses
  if (whyNotClaim(machine, now) !== undefined || pauses(machine.retry, now)) return { verdict: 'calm' };
  // safeguard: reads-before-it-judges
  if (machine.unread) return { verdict: 'suspicious', linksBroken: false, vacant: false };
  if (
    willIsNews(machine) &&
    willOpensTheWay(machine) &&
    // safeguard: will-is-fresh
    (willIsFresh(machine, now) || ((probing?.silentRounds ?? 0) > 0 && !listensAnew(machine)))
  )
    return take(machine, probing, now, 'the peer sent its last will: it holds no VIP any more');
  const silent = !heardWithin(machine, deadMs(machine), now);
  if (isServing(machine.peer)) {
    if (now < suspectAt(machine)) return { verdict: 'calm' };
    if (now < deadAt(machine)) return { verdict: 'suspicious', linksBroken: false, vacant: false };
  } else if (!silent) {
    return withGrant(machine, judgeVacancy(machine, idle, now), now);
  } else if (now < deadAt(machine)) {
    return { verdict: 'suspicious', linksBroken: false, vacant: false };
  }
  if (
    // safeguard: probes-in-vain
    (probing?.silentRounds ?? 0) >= SILENT_ROUNDS &&
    // safeguard: claim-is-a-sign-of-life
    now >= Math.max(silenceAt(machine, idle), claimEndsAt(machine))
  ) {
    // safeguard: witness-asked
    if (!inForce(machine)) return take(machine, probing, now, 'silence: no heartbeat and no answer');
    const grant = usableGrant(machine, now);
    if (grant)
      return {
        ...take(machine, probing, now, 'silence: no heartbeat and no answer, and the witness grants it'),
        grant: grant.epoch,
      };
  }
  return { verdict: 'suspicious', linksBroken: (probing?.answeredRounds ?? 0) > 0, vacant: false };
}

/**
 * What the peer said last is an interval old. It may have claimed since, and the way here may be
 * cut since: the witness knows. A peer that could not claim has not.
 */
function withGrant(machine: Machine, judgement: Judgement, now: At): Judgement {
  if (judgement.verdict !== 'take' || !inForce(machine)) return judgement;
  // A witness that knows of nobody has granted nothing, and would for a lease: the ranks decide.
  // safeguard: one-way-vacancy-asks
  if (machine.peer.last?.ready === false || machine.witness.emptySince !== undefined) return judgement;
  const grant = usableGrant(machine, now);
  if (!grant) return { verdict: 'suspicious', linksBroken: false, vacant: true };
  return {
    ...judgement,
    why: `the peer is heard as ${saidRole(machine)} and does not serve, and the witness grants it`,
    grant: grant.epoch,
  };
}

/**
 * When silence may be acted on: a router that has just lost the addresses by its own stall waits
 * longer. A peer whose heartbeats are lost may be taking over in this moment, and answers once it
 * has. And one that was asleep, or mute, for so long that the peer may have found itself alone
 * listens as after a start: the addresses of a peer that is stalled by now live for longer than D,
 * and its answers may be lost. So does one that has seen no echo of the peer in calm weather, once
 * ARP tells that somebody answers at the peer's MAC still: a kernel whose addresses have yet to
 * end, or a switch. And one whose peer has said last that its kernel may hold the addresses without
 * it.
 */
function silenceAt(machine: Machine, idle: Idle): At {
  if (listensAnew(machine)) return after(machine.wokenAt as At, listenMs(machine));
  if (mayServeUnseen(machine, idle.probing)) return after(deadAt(machine), listenMs(machine));
  const dead = idle.yields ? after(deadAt(machine), patienceMs(machine)) : deadAt(machine);
  const { last } = machine.peer;
  // safeguard: silent-kernel-may-serve-on
  return last?.mayHold && !last.serving ? keptUntil(machine, dead, idle.probing) : dead;
}

/**
 * Somebody answers ARP at the peer's MAC, and no echo of it was seen in calm weather: a filter may
 * hide a kernel that serves.
 */
function mayServeUnseen(machine: Machine, probing: Probing | undefined): boolean {
  return probing?.resolvedAt !== undefined && !seesKernel(machine);
}

/** It was asleep or mute for long, and has not heard the peer since. */
function listensAnew({ wokenAt, peer: { heardAt } }: Machine): boolean {
  return wokenAt !== undefined && (heardAt === undefined || heardAt <= wokenAt);
}

function patienceMs(machine: Machine): Ms {
  return patience(slowerMs(machine), deadMs(machine));
}

/** Who beats more slowly also takes longer to claim. */
function slowerMs({ settings, peer }: Machine): Ms {
  // safeguard: patience-by-the-slower
  return slowerInterval(settings.intervalMs, peer.last?.intervalMs);
}

/** The peer is heard and does not serve: the higher ranked goes first, the other gives it time. */
function judgeVacancy(machine: Machine, { probing, vacantSince, yields }: Idle, now: At): Judgement {
  const { last } = machine.peer;
  const waited = vacantSince === undefined ? 0 : between(vacantSince, now);
  const competing = last?.role === 'standby' || last?.role === 'starting' || last?.role === 'claiming';
  // Ranks are about to change: the two may not agree yet who goes first.
  const unranked = machine.change !== undefined && machine.change.wanted.priority !== machine.settings.priority;
  const first = !yields && !unranked && (outranksPeer(machine) || peerYields(machine));
  // Each has its time, so that the two do not claim at the same moment: who goes first and has
  // missed it lets the other try.
  const firstMs = firstTurn(slowerMs(machine), deadMs(machine));
  const inTime = first && last?.role !== 'claiming' && waited < firstMs;
  const turns = first || yields || unranked ? 2 : 1;
  const myTurn = !competing || inTime || waited >= turns * patienceMs(machine);
  if (
    !myTurn ||
    (probing?.silentRounds ?? 0) < 1 ||
    // safeguard: kernel-may-serve-on
    (mayHold(machine, competing) && now < keptUntil(machine, vacantSince ?? now, probing))
  )
    return { verdict: 'suspicious', linksBroken: false, vacant: true };
  return take(machine, probing, now, `the peer is heard as ${saidRole(machine)} and does not serve`);
}

function saidRole({ peer: { last } }: Machine): string {
  return last?.role ?? 'unknown';
}

/**
 * The kernel of a peer that does not serve may hold the addresses for it all the same: the peer
 * says so. Version 1 does not. There it has lost its vipd if it holds its term, and is about to
 * resume if it was started again and may have had a term before.
 */
function mayHold({ peer: { last, heldBefore } }: Machine, competing: boolean): boolean {
  // safeguard: peer-says-what-it-holds
  if (last?.mayHold !== undefined) return last.mayHold;
  if (last?.role === 'starting') return heldBefore;
  return !competing && last?.role !== 'stopping';
}

/**
 * A peer that may hold addresses and does not serve has no vipd. Its lease ends by itself if it was
 * armed when it served last: it had heard us, ready, before it asked for that. Else its kernel may
 * keep the addresses as for one that is alone, and only silence of probes, which may be lost, says
 * that it does not.
 */
function keptUntil(machine: Machine, vacantSince: At, probing: Probing | undefined): At {
  const { peer, readySince, settings } = machine;
  const { last, servingAt, servedAt } = peer;
  if (!last) return vacantSince;
  const askedAt = servedAt === undefined ? 0 : servedAt - last.leaseMs;
  const heardUs = peer.links.some(({ hearsUsSince }) => hearsUsSince !== undefined && hearsUsSince <= askedAt);
  const armed = heardUs && readySince !== undefined && readySince + settings.intervalMs <= askedAt;
  return armed && !mayServeUnseen(machine, probing)
    ? vacantSince
    : after((servingAt ?? vacantSince) as At, listenMs(machine));
}

/** It let go of the newest term there was with its will: it waits for us as long as it can. */
function peerYields({ peer, highest }: Machine): boolean {
  return peer.closed.counter > 0 && compareEpochs(newerEpoch(highest, peer.highest), peer.closed) <= 0;
}

/** The newest word of the peer was that it serves, and its will has closed that epoch since. */
function willOpensTheWay(machine: Machine): boolean {
  const { last, closed } = machine.peer;
  // safeguard: will-of-its-term
  return last?.serving === true && closed.counter > 0 && compareEpochs(last.epoch, closed) <= 0;
}

/** One from before our own last term says nothing of what came after it. */
function willIsNews({ peer, lastTerm }: Machine): boolean {
  // safeguard: will-after-own-term
  return compareEpochs(peer.closed, lastTerm) > 0;
}

/**
 * A will that we have read late may be of a life that has been followed by another: then the
 * addresses are probed first; after a long sleep it says nothing any more. So may one that comes
 * out of a full queue, as the heartbeats around it tell by what they echo.
 */
function willIsFresh(machine: Machine, now: At): boolean {
  const { willReadAt, peer } = machine;
  // safeguard: will-out-of-a-queue
  if (peer.links.some(({ rttMs }) => rttMs !== undefined && rttMs > deadMs(machine))) return false;
  return willReadAt !== undefined && between(willReadAt, now) <= deadMs(machine);
}

function take(machine: Machine, probing: Probing | undefined, now: At, why: Reason): Judgement & { verdict: 'take' } {
  return { verdict: 'take', why, evidence: evidenceOf(machine, probing, now) };
}
