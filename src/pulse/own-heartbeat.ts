// What this router says of itself in its heartbeats. Pure.
import { type At, between, ms } from '../units/duration.ts';
import type { Epoch } from '../units/epoch.ts';
import { saidTimes } from './election/beliefs/changing-times.ts';
import { isReady } from './election/beliefs/claim-bars.ts';
import { deadMs } from './election/beliefs/deadlines.ts';
import { failedChecks, fitnessOf, isWarm } from './election/beliefs/fitness.ts';
import { ableUnits } from './election/beliefs/holdable.ts';
import { lanLostForSure } from './election/beliefs/lan-health.ts';
import { bootToEcho, versionToSend } from './election/beliefs/peer.ts';
import { lanNumber } from './election/beliefs/peer-heard.ts';
import { epochOf, leavesToKernel, roleOf, servingNow } from './election/beliefs/term.ts';
import { standsDown } from './election/beliefs/third-machine.ts';
import { witnessGood } from './election/beliefs/witness-say.ts';
import type { PeerEvidence } from './election/known.ts';
import type { Machine } from './election/machine.ts';
import type { Heartbeat, Offer, Will, WireVersion } from './heartbeat.ts';

/**
 * The heartbeats of one instant: one for each link. They differ in what they echo. None of a router
 * that leaves its addresses to the kernel.
 */
export function heartbeatsFor(machine: Machine, now: At): Heartbeat[] {
  if (leavesToKernel(machine)) return [];
  const said = withoutEcho(machine, now);
  return Array.from({ length: machine.settings.links }, (_, link) => withEcho(said, machine.peer, link, now));
}

function withEcho(said: Heartbeat, { links, bootId }: PeerEvidence, link: number, now: At): Heartbeat {
  const evidence = links[link];
  if (evidence?.heardAt === undefined || evidence.bootId !== bootId) return said;
  const echoDelayUs = Math.max(0, Math.floor(between(evidence.heardAt, now) * 1000));
  return { ...said, echoSentAtUs: evidence.peerSentAtUs, echoDelayUs };
}

function withoutEcho(machine: Machine, now: At): Heartbeat {
  const { settings, peer } = machine;
  const { intervalMs, leaseMs, deadMs: saidDeadMs, priority } = saidTimes(machine);
  const silentBefore = (now - deadMs(machine)) as At;
  const version = versionToSend(peer, silentBefore);
  return {
    kind: 'heartbeat',
    version,
    nodeId: settings.nodeId,
    bootId: settings.bootId,
    peerBootId: bootToEcho(peer, silentBefore),
    seq: machine.sendSeq,
    role: roleOf(machine),
    epoch: epochOf(machine),
    serving: servingNow(machine, now),
    ready: isReady(machine, now),
    hold: machine.hold.on,
    warm: isWarm(machine, now),
    witness: witnessGood(machine, now),
    standsDown: standsDown(machine, now),
    sound: lanLostForSure(machine, now) === undefined,
    readsVersion2: true,
    intervalMs,
    leaseMs,
    deadMs: saidDeadMs,
    priority,
    fitness: fitnessOf(machine, now),
    failedChecks: version === 2 ? failedChecks(machine, now) : undefined,
    configDigest: machine.configDigest,
    sentAtUs: Math.floor(now * 1000),
    echoSentAtUs: 0,
    echoDelayUs: 0,
    offer: offerOf(machine, now),
    units: version === 2 ? ableUnits(machine, now).length : undefined,
    mayHold: version === 2 ? machine.heldAddresses : undefined,
    macs: macsOf(machine, version),
  };
}

function offerOf(machine: Machine, now: At): Offer | undefined {
  const { state } = machine;
  if (state.role !== 'handing-over' || state.phase !== 'offered' || now >= state.until) return undefined;
  return { epoch: state.offer, remainingMs: ms(between(now, state.until)) };
}

/** One MAC for each LAN that has virtual addresses. */
function macsOf(machine: Machine, version: WireVersion): Heartbeat['macs'] {
  const byLan = new Map<number, string>();
  for (const [index, lan] of machine.settings.addressLans.entries()) {
    const mac = machine.addressLinks[index]?.mac;
    if (mac) byLan.set(lan, mac);
  }
  return [...byLan].map(([lan, mac]) => ({ lan: lanNumber(machine.settings, lan, version), mac }));
}

/**
 * The will for a term of ownership, to be signed and given to vipd. Always in version 1: it has the
 * same fields in both, and is signed long before anybody knows who will read it.
 */
export function willFor(machine: Machine, epoch: Epoch, peerBootId: string): Will {
  const { nodeId, bootId } = machine.settings;
  return { kind: 'will', version: 1, nodeId, bootId, peerBootId, seq: 0, role: 'standby', epoch };
}
