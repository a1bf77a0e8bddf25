// The machine as a router starts with it: it knows nothing yet, listens, and is due to speak. Pure.
import { type At, after } from '../../units/duration.ts';
import { EPOCH_NONE } from '../../units/epoch.ts';
import { BOOT_NONE } from '../heartbeat.ts';
import { UNKNOWN_ADDRESS } from './beliefs/holdable.ts';
import { NOT_ASKED } from './beliefs/never-heard.ts';
import { NO_FAILURES } from './beliefs/retry.ts';
import type { LanHealth, LinkEvidence, OwnView, PeerEvidence, Proof, Unheard, WitnessView } from './known.ts';
import type { Machine, Settings } from './machine.ts';

export interface Start {
  readonly settings: Settings;
  readonly now: At;
  /** Highest epoch counter that an earlier life may have used. */
  readonly ceiling: number;
  /**
   * Counters up to here are on disk as used already, so that a claim need not wait for it; absent:
   * none above `ceiling`.
   */
  readonly reserved?: number;
  readonly hold: Machine['hold'];
  readonly rulesIn: boolean;
}

export function newMachine({ settings, now, ceiling, reserved = ceiling, hold, rulesIn }: Start): Machine {
  return {
    settings,
    state: { role: 'starting', startedAt: now, resume: false, probing: undefined },
    peer: unknownPeer(settings.bootId, settings.nodeId === 1 ? 2 : 1, settings.links),
    lease: {
      commandSeq: 0,
      inFlight: [],
      ackedAt: undefined,
      ackedBeforeAt: undefined,
      ackedLeaseMs: settings.leaseMs,
      asked: [],
      armed: false,
      ackedArmed: false,
      margin: undefined,
    },
    highest: { ...EPOCH_NONE, counter: ceiling },
    ceiling: reserved,
    sendSeq: 0,
    probeId: 0,
    heartbeatDueAt: now,
    blindUntil: now,
    lateAt: undefined,
    wokenAt: undefined,
    unread: false,
    willReadAt: undefined,
    lastTerm: EPOCH_NONE,
    hold,
    change: undefined,
    gateId: 0,
    configDigest: settings.configDigest,
    readySince: undefined,
    rulesIn,
    healthyServers: undefined,
    failedChecks: 0,
    flushMs: 0,
    warm: false,
    reportedAt: undefined,
    addressLinks: settings.addressLans.map(() => ({ up: true, mac: '' })),
    addresses: settings.addressLans.map(() => UNKNOWN_ADDRESS),
    heldAddresses: true,
    stopRequested: false,
    willFor: '',
    conditions: [],
    conflictAnnouncedAt: undefined,
    rivalSince: undefined,
    lanHealth: settings.lans.map(() => unknownHealth(now)),
    targetsUp: Array.from({ length: settings.lans.reduce((sum, lan) => sum + lan.targets.length, 0) }, () => undefined),
    unfitSince: undefined,
    movedAt: [],
    peerLostAt: [],
    own: unknownOwn(settings, now),
    retry: NO_FAILURES,
    handoverRetry: NO_FAILURES,
    foreign: undefined,
    answerer: undefined,
    unheard: nothingAsked(settings.lans.length, now),
    witness: unknownWitness(now),
    proof: unproven(settings.addressLans.length, now),
    // None has said hello yet.
    vipdLostAt: now,
  };
}

const SILENT_LINK: LinkEvidence = {
  bootId: BOOT_NONE,
  seq: 0,
  heardAt: undefined,
  heardSince: undefined,
  echoedAt: undefined,
  hearsUsSince: undefined,
  peerSentAtUs: 0,
  rttMs: undefined,
  peerHearsUs: false,
  received: 0,
  refused: 0,
};

export function unknownPeer(ownBootId: string, peerNodeId: number, links: number): PeerEvidence {
  return {
    ownBootId,
    peerNodeId,
    bootId: BOOT_NONE,
    candidate: BOOT_NONE,
    retired: [],
    seq: -1,
    last: undefined,
    heardAt: undefined,
    servingAt: undefined,
    servedAt: undefined,
    heldBefore: false,
    lease: undefined,
    closed: EPOCH_NONE,
    highest: EPOCH_NONE,
    links: Array.from({ length: links }, () => SILENT_LINK),
  };
}

function unknownHealth(now: At): LanHealth {
  return { traffic: undefined, neighbours: undefined, dead: false, signsSince: now, signsDead: false };
}

function unknownOwn({ fixed, links, deadMs }: Settings, now: At): OwnView {
  const asks = fixed.some(({ side, serves }) => side === 'own' && serves);
  return {
    states: fixed.map(() => undefined),
    since: fixed.map(() => now),
    linkProblems: Array.from({ length: links }, () => undefined),
    everBound: false,
    bareSince: undefined,
    // Without a vipd it cannot ask, and speaks after D all the same.
    copy: { askAt: now, quietUntil: asks ? after(now, deadMs) : now, mac: undefined, address: '', heardAt: now },
  };
}

function unproven(addresses: number, now: At): Proof {
  return { id: 0, dueAt: now, misses: Array.from({ length: addresses }, () => 0), echoes: [], echoesBefore: [] };
}

function nothingAsked(lans: number, now: At): Unheard {
  const none = Array.from({ length: lans }, () => undefined);
  const silentRounds = none.map(() => NOT_ASKED);
  return { askAt: now, answers: [], once: none, macs: none, silentRounds, claimedAt: undefined, answeredAt: undefined };
}

function unknownWitness(now: At): WitnessView {
  return {
    seq: 0,
    asked: undefined,
    dueAt: now,
    goodAt: undefined,
    lostSince: undefined,
    heldAt: undefined,
    grant: undefined,
    emptySince: undefined,
    known: EPOCH_NONE,
  };
}
