// What the election believes: is the peer serving, silent, fit; may this router take over now. Functions of the machine and the
// time only. DESIGN.md invariants 1 to 4 and 10. Pure.
import type { Fields } from '../../../log/event.ts';
import { type At, after, between, type Ms } from '../../../units/duration.ts';
import { compareEpochs, type Epoch, newerEpoch } from '../../../units/epoch.ts';
import type { WireVersion } from '../../heartbeat.ts';
import {
  firstTurn,
  givenUpAfter,
  goneAfter,
  listenFor,
  overdueAfter,
  patience,
  probeRound,
  REPORT_STALE_MS,
  takeoverAfter,
} from '../../timing.ts';
import type { Idle, LanSettings, Machine, Probing, Settings } from '../machine.ts';
import { seesKernel } from './blind-probe.ts';
import { peersDeadMs } from './changing-times.ts';
import { whyNothingToHold } from './holdable.ts';
import { hearsNothing, lansAlive } from './lan-health.ts';
import { claimEndsAt } from './never-heard.ts';
import { missingOwn, whyOwnBars } from './own-addresses.ts';
import { isServing } from './peer.ts';
import { pauses } from './retry.ts';
import { standsDown } from './third-machine.ts';
import { inForce, unheardAt, usableGrant } from './witness-say.ts';

/** Unanswered rounds in a row before silence is taken for death. */
const SILENT_ROUNDS = 2;

/** D as it applies to this peer: never shorter than its lease and a margin, even if the two configs differ. */
export function deadMs(machine: Machine): Ms {
  return takeoverAfter(machine.settings.deadMs, machine.peer.lease?.ms);
}

/** How long a probe round waits for answers. */
export function probeRoundMs(machine: Machine): Ms {
  return probeRound(machine.settings.intervalMs);
}

/** A router that was silent for so long may have been given up: the peer keeps its addresses as one that is alone does. */
export function givenUpMs(machine: Machine): Ms {
  return givenUpAfter(machine.settings.intervalMs, peersDeadMs(machine));
}

/** How long a start listens: longer than any VIP can live without its pulse. */
export function listenMs(machine: Machine): Ms {
  return listenFor(machine.settings, deadMs(machine));
}

export function heardWithin(machine: Machine, within: number, now: At): boolean {
  const { heardAt } = machine.peer;
  return heardAt !== undefined && between(heardAt, now) <= within;
}

/** Someone could take over from us: the lease must be armed. */
export function fitPeerHeard(machine: Machine, now: At): boolean {
  return heardWithin(machine, goneAfter(deadMs(machine)), now) && machine.peer.last?.ready === true;
}

/** The peer as the taker of a planned handover: undefined when it can take, else why not. */
export function whyPeerCannotTake(machine: Machine, now: At): string | undefined {
  const { last } = machine.peer;
  if (!last || !heardWithin(machine, deadMs(machine), now)) return 'the peer is not heard';
  if (last.hold) return 'the peer is on hold; run `tandem release` there';
  if (!last.ready) return "the peer's rules are not in yet; see `tandem status` there";
  if (last.role !== 'standby') return `the peer is ${last.role}, not standby`;
  return undefined;
}

/**
 * Undefined when the peer's tables hold what ours hold, else why a handover to it would break sessions. Never asked when the peer
 * is dead or told to us by SIGTERM: then cold is better than nobody.
 */
export function whyPeerIsCold(machine: Machine): string | undefined {
  if (machine.peer.last?.warm) return undefined;
  return (
    "the peer's tables are cold, running transfers and sessions would break; wait until `tandem status` shows the peer warm, " +
    'or give them up with `tandem handover --cold`'
  );
}

/** Whether this router's tables hold what the owner's hold; a director that is gone cannot vouch for it. */
export function isWarm({ settings, warm, reportedAt }: Machine, now: At): boolean {
  if (!settings.keepsSessions) return true;
  return warm && reportedAt !== undefined && between(reportedAt, now) <= REPORT_STALE_MS;
}

/** Undefined when this router may claim, else what bars it. */
export function whyNotClaim(machine: Machine, now: At): string | undefined {
  if (machine.hold.on) return 'on hold';
  if (!machine.rulesIn) return 'rules not in the kernel yet';
  const own = whyOwnBars(machine) ?? whyNothingToHold(machine, now);
  if (own !== undefined) return own;
  if (standsDown(machine, now)) return `another machine (${machine.foreign?.mac}) claims a virtual address`;
  if (peerStandsDown(machine, now)) return 'the peer stands down: another machine claims a virtual address';
  if (isIsolated(machine, now) && machine.settings.onIsolation === 'release')
    return 'isolated: neither the peer nor any target nor any other frame is heard';
  return undefined;
}

/** It could take over at once: nothing bars a claim, and none has just failed. */
export function isReady(machine: Machine, now: At): boolean {
  return whyNotClaim(machine, now) === undefined && !pauses(machine.retry, now);
}

/** The peer has let go because of a third machine; the addresses are no less contested here. */
function peerStandsDown(machine: Machine, now: At): boolean {
  return machine.peer.last?.standsDown === true && heardWithin(machine, deadMs(machine), now);
}

/** This router hears nothing at all: it is cut off, whatever the others do. */
export function isIsolated(machine: Machine, now: At): boolean {
  const silentAt = unheardAt(machine);
  return (silentAt === undefined || now >= silentAt) && hearsNothing(machine);
}

/** 2 for all LANs with addresses alive, 1 for a healthy real server and a director that says so: compared, never a veto. */
export function fitnessOf(machine: Machine, now: At): number {
  return (lansAlive(machine, now) ? 2 : 0) + (servesFiles(machine, now) ? 1 : 0);
}

function servesFiles({ healthyServers, reportedAt }: Machine, now: At): boolean {
  const gone = reportedAt !== undefined && between(reportedAt, now) > REPORT_STALE_MS;
  return !gone && (healthyServers === undefined || healthyServers > 0);
}

/** When the silence of a serving peer becomes its death. */
export function deadAt(machine: Machine): At {
  const heard = machine.peer.servingAt ?? machine.blindUntil;
  return after(Math.max(heard, machine.blindUntil) as At, deadMs(machine));
}

/** When a heartbeat is overdue and probing begins. */
export function suspectAt(machine: Machine): At {
  const heard = Math.max(machine.peer.servingAt ?? machine.blindUntil, machine.blindUntil) as At;
  const interval = machine.peer.last?.intervalMs ?? machine.settings.intervalMs;
  return after(heard, overdueAfter(interval));
}

/**
 * The peer's MAC on the LAN of address `index`: from its heartbeats; if none was ever heard, as its
 * own address was resolved.
 */
export function peerMac({ settings, peer: { last }, unheard }: Machine, index: number): string | undefined {
  const lan = settings.addressLans[index];
  if (lan === undefined) return undefined;
  if (!last) return unheard.macs[lan];
  const number = lanNumber(settings, lan, last.version);
  return last.macs.find(entry => entry.lan === number)?.mac;
}

/** What heartbeats of a version call the LAN at this index. */
export function lanNumber({ lans }: Settings, index: number, version: WireVersion): number {
  return version === 1 ? index : (lans[index] as LanSettings).id;
}

/**
 * Which router goes first when nobody serves: priority, then the first name. Of a peer never heard
 * only the name is known.
 */
export function outranksPeer(machine: Machine): boolean {
  const { last, peerNodeId } = machine.peer;
  const { priority, nodeId } = machine.settings;
  // A peer that is not ready yet still goes first for a moment: its rules may be as young as ours.
  if (last?.hold) return true;
  return last && priority !== last.priority ? priority > last.priority : nodeId < peerNodeId;
}

/**
 * What a standby concludes.
 * `calm`: the peer serves, or we may not claim anyway. `suspicious`: probe. `take`: claim now.
 */
export type Judgement =
  | { readonly verdict: 'calm' }
  | { readonly verdict: 'suspicious'; readonly linksBroken: boolean; readonly vacant: boolean }
  /** grant: the witness', under whose epoch to claim. */
  | { readonly verdict: 'take'; readonly why: string; readonly evidence: Fields; readonly grant?: Epoch };

export function judge(machine: Machine, idle: Idle, now: At): Judgement {
  const { probing } = idle;
  if (whyNotClaim(machine, now) !== undefined || pauses(machine.retry, now)) return { verdict: 'calm' };
  if (machine.unread) return { verdict: 'suspicious', linksBroken: false, vacant: false };
  if (
    willIsNews(machine) &&
    willOpensTheWay(machine) &&
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
    (probing?.silentRounds ?? 0) >= SILENT_ROUNDS &&
    now >= Math.max(silenceAt(machine, idle), claimEndsAt(machine))
  ) {
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

/** The peer has echoed a heartbeat of ours that is younger than its D: it hears us, too, and does not take us for dead yet. */
export function hearsUs(machine: Machine, now: At): boolean {
  const within = machine.peer.last?.deadMs ?? machine.settings.deadMs;
  return machine.peer.links.some(({ echoedAt }) => echoedAt !== undefined && between(echoedAt, now) <= within);
}

/** A peer that does not hear us takes our silence for death: it may be granted the addresses while we see that nobody serves. */
function withGrant(machine: Machine, judgement: Judgement, now: At): Judgement {
  if (judgement.verdict !== 'take' || !inForce(machine) || hearsUs(machine, now)) return judgement;
  const grant = usableGrant(machine, now);
  if (!grant) return { verdict: 'suspicious', linksBroken: false, vacant: true };
  return { ...judgement, why: `${judgement.why}, and the witness grants it`, grant: grant.epoch };
}

/**
 * When silence may be acted on: a router that has just lost the addresses by its own stall waits longer. A peer whose heartbeats are lost
 * may be taking over in this moment, and answers once it has. And one that was asleep for so long that the peer may have found itself
 * alone listens as after a start: the addresses of a peer that is stalled by now live for longer than D, and its answers may be lost. So
 * does one that has seen no echo of the peer in calm weather, once ARP tells that somebody answers at the peer's MAC still: a kernel whose
 * addresses have yet to end, or a switch.
 */
function silenceAt(machine: Machine, idle: Idle): At {
  if (listensAnew(machine)) return after(machine.wokenAt as At, listenMs(machine));
  if (mayServeUnseen(machine, idle.probing)) return after(deadAt(machine), listenMs(machine));
  return idle.yields ? after(deadAt(machine), patienceMs(machine)) : deadAt(machine);
}

/** Somebody answers ARP at the peer's MAC, and no echo of it was seen in calm weather: a filter may hide a kernel that serves. */
function mayServeUnseen(machine: Machine, probing: Probing | undefined): boolean {
  return probing?.resolvedAt !== undefined && !seesKernel(machine);
}

/** It was asleep for long, and has not heard the peer since. */
function listensAnew({ wokenAt, peer: { heardAt } }: Machine): boolean {
  return wokenAt !== undefined && (heardAt === undefined || heardAt <= wokenAt);
}

function patienceMs(machine: Machine): Ms {
  return patience(machine.settings.intervalMs, deadMs(machine));
}

/** The peer is heard and does not serve: the higher ranked goes first, the other gives it time. */
function judgeVacancy(machine: Machine, { probing, vacantSince, yields }: Idle, now: At): Judgement {
  const { last } = machine.peer;
  const waited = vacantSince === undefined ? 0 : between(vacantSince, now);
  const competing = last?.role === 'standby' || last?.role === 'starting' || last?.role === 'claiming';
  // Ranks are about to change: the two may not agree yet who goes first.
  const unranked = machine.change !== undefined && machine.change.wanted.priority !== machine.settings.priority;
  const first = !yields && !unranked && (outranksPeer(machine) || peerYields(machine));
  // Each has its time, so that the two do not claim at the same moment: who goes first and has missed it lets the other try.
  const firstMs = firstTurn(machine.settings.intervalMs, deadMs(machine));
  const inTime = first && last?.role !== 'claiming' && waited < firstMs;
  const turns = first || yields || unranked ? 2 : 1;
  const myTurn = !competing || inTime || waited >= turns * patienceMs(machine);
  if (
    !myTurn ||
    (probing?.silentRounds ?? 0) < 1 ||
    ((!competing || resumes(machine)) && now < keptUntil(machine, vacantSince ?? now, probing))
  )
    return { verdict: 'suspicious', linksBroken: false, vacant: true };
  return take(machine, probing, now, `the peer is heard as ${last?.role ?? 'unknown'} and does not serve`);
}

/** It was started again while it had a term: its kernel may have kept the addresses for it, and it is about to say so. */
function resumes({ peer: { last, heldBefore } }: Machine): boolean {
  return last?.role === 'starting' && heldBefore;
}

/**
 * A peer that holds its term and does not serve has no vipd. Its lease ends by itself if it was armed when it served last: it had heard us,
 * ready, before it asked for that. Else its kernel may keep the addresses as for one that is alone, and only silence of probes, which may
 * be lost, says that it does not.
 */
function keptUntil(machine: Machine, vacantSince: At, probing: Probing | undefined): At {
  const { peer, readySince, settings } = machine;
  const { last, servingAt, servedAt } = peer;
  if (!last || last.role === 'stopping') return vacantSince;
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
  return last?.serving === true && closed.counter > 0 && compareEpochs(last.epoch, closed) <= 0;
}

/** One from before our own last term says nothing of what came after it. */
function willIsNews({ peer, lastTerm }: Machine): boolean {
  return compareEpochs(peer.closed, lastTerm) > 0;
}

/**
 * A will that we have read late may be of a life that has been followed by another: then the addresses are probed first; after a long
 * sleep it says nothing any more.
 */
function willIsFresh(machine: Machine, now: At): boolean {
  return machine.willReadAt !== undefined && between(machine.willReadAt, now) <= deadMs(machine);
}

function take(machine: Machine, probing: Probing | undefined, now: At, why: string): Judgement & { verdict: 'take' } {
  return { verdict: 'take', why, evidence: evidenceOf(machine, probing, now) };
}

/** The facts behind a decision, for the log, the feed and `tandem why`. */
export function evidenceOf(machine: Machine, probing: Probing | undefined, now: At): Fields {
  const { peer } = machine;
  const ago = (at: At | undefined) => (at === undefined ? null : Math.round(between(at, now) * 10) / 10);
  return {
    peerRole: peer.last?.role ?? 'never heard',
    peerServing: isServing(peer),
    peerHeardMsAgo: ago(peer.heardAt),
    peerClaimedMsAgo: ago(machine.unheard.claimedAt),
    peerServingMsAgo: ago(peer.servingAt),
    deadMs: deadMs(machine),
    probeRoundsSilent: probing?.silentRounds ?? 0,
    probeRoundsAnswered: probing?.answeredRounds ?? 0,
    linksHeard: `${peer.links.filter(l => l.heardAt !== undefined && between(l.heardAt, now) <= deadMs(machine)).length} of ${peer.links.length}`,
    fitness: fitnessOf(machine, now),
    peerFitness: peer.last?.fitness ?? null,
    warm: isWarm(machine, now),
    peerWarm: peer.last?.warm ?? null,
    deadLans: machine.settings.lans
      .filter((_, lan) => machine.lanHealth[lan]?.dead)
      .map(({ name }) => name)
      .join(' '),
    missingAddresses: missingOwn(machine),
    witness: witnessWord(machine, now),
  };
}

function witnessWord(machine: Machine, now: At): string {
  if (!machine.settings.witness) return 'none';
  if (!inForce(machine)) return 'lost before the peer was';
  if (usableGrant(machine, now)) return 'grants';
  return machine.witness.lostSince === undefined ? 'does not grant' : 'lost';
}
