// What the peer's heartbeats say of it now: is it heard, does it hear us, could it take over, who
// of the two goes first. Pure.
import { type At, between } from '../../../units/duration.ts';
import type { WireVersion } from '../../heartbeat.ts';
import { goneAfter, heardNowWithin, slowerInterval } from '../../timing.ts';
import type { LanSettings, Machine, Settings } from '../machine.ts';
import { deadMs, peersDeadMs } from './deadlines.ts';

export function heardWithin(machine: Machine, within: number, now: At): boolean {
  const { heardAt } = machine.peer;
  return heardAt !== undefined && between(heardAt, now) <= within;
}

/**
 * The peer has echoed a heartbeat of ours that is younger than its D: it hears us, too, and does
 * not take us for dead yet.
 */
export function hearsUs(machine: Machine, now: At): boolean {
  const within = machine.peer.last?.deadMs ?? machine.settings.deadMs;
  return machine.peer.links.some(({ echoedAt }) => echoedAt !== undefined && between(echoedAt, now) <= within);
}

/**
 * The peer hears us now: it will hear of a claim before it may take us for dead. An echo may be
 * younger than its D, and its D nearly over all the same.
 */
export function hearsUsNow(machine: Machine, now: At): boolean {
  const slowerMs = slowerInterval(machine.settings.intervalMs, machine.peer.last?.intervalMs);
  const within = heardNowWithin(slowerMs, peersDeadMs(machine));
  return machine.peer.links.some(({ echoedAt }) => echoedAt !== undefined && between(echoedAt, now) <= within);
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
  if (!last.ready) return 'the peer is not ready; see `tandem status` there';
  if (last.role !== 'standby') return `the peer is ${last.role}, not standby`;
  return undefined;
}

/**
 * Undefined when the peer's tables hold what ours hold, else why a handover to it would break
 * sessions. Never asked when the peer is dead or told to us by SIGTERM: then cold is better than
 * nobody.
 */
export function whyPeerIsCold(machine: Machine): string | undefined {
  if (machine.peer.last?.warm) return undefined;
  return (
    "the peer's tables are cold, running transfers and sessions would break; wait until `tandem status` shows the peer warm, " +
    'or give them up with `tandem handover --cold`'
  );
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
  // safeguard: equals-ranked
  // safeguard: unheard-ranked
  return last && priority !== last.priority ? priority > last.priority : nodeId < peerNodeId;
}

/**
 * The peer's MAC on the LAN of address `index`: from its heartbeats; if none was ever heard, as its
 * own address was resolved.
 */
export function peerMac({ settings, peer: { last }, unheard }: Machine, index: number): string | undefined {
  const lan = settings.addressLans[index];
  if (lan === undefined) return undefined;
  // safeguard: unheard-peer-resolved
  if (!last) return unheard.macs[lan];
  const number = lanNumber(settings, lan, last.version);
  return last.macs.find(entry => entry.lan === number)?.mac;
}

/** Rounds of questions for its own addresses: one answer may be lost. */
const ABSENT_AFTER_ROUNDS = 2;

/**
 * The peer is not on the LAN of address `index`: its heartbeats name no MAC there, or, if none was
 * ever heard, nobody answers for its own addresses. Whoever answers a probe there is a third
 * machine; but for the word of a vipd, which only the peer gives.
 */
export function isPeerAbsent({ settings, peer: { last }, unheard }: Machine, index: number): boolean {
  const lan = settings.addressLans[index];
  if (lan === undefined) return false;
  if (last) return !last.macs.some(entry => entry.lan === lanNumber(settings, lan, last.version));
  return unheard.macs[lan] === undefined && (unheard.silentRounds[lan] ?? 0) >= ABSENT_AFTER_ROUNDS;
}

/** What heartbeats of a version call the LAN at this index. */
export function lanNumber({ lans }: Settings, index: number, version: WireVersion): number {
  return version === 1 ? index : (lans[index] as LanSettings).id;
}
