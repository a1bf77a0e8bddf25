// Copies of the machine and of what is in it, field by field, with some of it changed. A spread
// would do, but V8 makes each copy of a copy by a spread a class of its own; then every read of a
// field is slow, and what was compiled for one class is thrown away at the next: by that the
// simulator took about half as long again. Pure.
import type { LanHealth, LinkEvidence, OwnView, PeerEvidence, Proof, Unheard, WitnessView } from './known.ts';
import type { LeaseView, Machine, Settings } from './machine.ts';

type Open<T> = { -readonly [K in keyof T]: T[K] };

export function replicaOf(machine: Machine): Open<Machine> {
  return {
    settings: machine.settings,
    state: machine.state,
    peer: machine.peer,
    lease: machine.lease,
    highest: machine.highest,
    ceiling: machine.ceiling,
    sendSeq: machine.sendSeq,
    probeId: machine.probeId,
    heartbeatDueAt: machine.heartbeatDueAt,
    blindUntil: machine.blindUntil,
    lateAt: machine.lateAt,
    wokenAt: machine.wokenAt,
    unread: machine.unread,
    willReadAt: machine.willReadAt,
    lastTerm: machine.lastTerm,
    hold: machine.hold,
    change: machine.change,
    gateId: machine.gateId,
    configDigest: machine.configDigest,
    readySince: machine.readySince,
    rulesIn: machine.rulesIn,
    healthyServers: machine.healthyServers,
    failedChecks: machine.failedChecks,
    flushMs: machine.flushMs,
    warm: machine.warm,
    reportedAt: machine.reportedAt,
    addressLinks: machine.addressLinks,
    addresses: machine.addresses,
    heldAddresses: machine.heldAddresses,
    stopRequested: machine.stopRequested,
    willFor: machine.willFor,
    conditions: machine.conditions,
    conflictAnnouncedAt: machine.conflictAnnouncedAt,
    rivalSince: machine.rivalSince,
    lanHealth: machine.lanHealth,
    targetsUp: machine.targetsUp,
    unfitSince: machine.unfitSince,
    movedAt: machine.movedAt,
    peerLostAt: machine.peerLostAt,
    own: machine.own,
    retry: machine.retry,
    handoverRetry: machine.handoverRetry,
    foreign: machine.foreign,
    answerer: machine.answerer,
    unheard: machine.unheard,
    witness: machine.witness,
    proof: machine.proof,
    vipdLostAt: machine.vipdLostAt,
  };
}

export function peerWith(peer: PeerEvidence, change: Partial<PeerEvidence>): PeerEvidence {
  return Object.assign(
    {
      ownBootId: peer.ownBootId,
      peerNodeId: peer.peerNodeId,
      bootId: peer.bootId,
      candidate: peer.candidate,
      retired: peer.retired,
      seq: peer.seq,
      last: peer.last,
      heardAt: peer.heardAt,
      servingAt: peer.servingAt,
      servedAt: peer.servedAt,
      heldBefore: peer.heldBefore,
      lease: peer.lease,
      closed: peer.closed,
      highest: peer.highest,
      links: peer.links,
    },
    change,
  );
}

export function linkWith(link: LinkEvidence, change: Partial<LinkEvidence>): LinkEvidence {
  return Object.assign(
    {
      bootId: link.bootId,
      seq: link.seq,
      heardAt: link.heardAt,
      heardSince: link.heardSince,
      echoedAt: link.echoedAt,
      hearsUsSince: link.hearsUsSince,
      peerSentAtUs: link.peerSentAtUs,
      rttMs: link.rttMs,
      peerHearsUs: link.peerHearsUs,
      received: link.received,
      refused: link.refused,
    },
    change,
  );
}

export function leaseWith(lease: LeaseView, change: Partial<LeaseView>): LeaseView {
  return Object.assign(
    {
      commandSeq: lease.commandSeq,
      inFlight: lease.inFlight,
      ackedAt: lease.ackedAt,
      ackedBeforeAt: lease.ackedBeforeAt,
      ackedLeaseMs: lease.ackedLeaseMs,
      asked: lease.asked,
      armed: lease.armed,
      ackedArmed: lease.ackedArmed,
      margin: lease.margin,
    },
    change,
  );
}

export function witnessWith(witness: WitnessView, change: Partial<WitnessView>): WitnessView {
  return Object.assign(
    {
      seq: witness.seq,
      asked: witness.asked,
      dueAt: witness.dueAt,
      goodAt: witness.goodAt,
      lostSince: witness.lostSince,
      heldAt: witness.heldAt,
      grant: witness.grant,
      emptySince: witness.emptySince,
      known: witness.known,
    },
    change,
  );
}

export function ownWith(own: OwnView, change: Partial<OwnView>): OwnView {
  return Object.assign(
    {
      states: own.states,
      since: own.since,
      linkProblems: own.linkProblems,
      everBound: own.everBound,
      bareSince: own.bareSince,
      copy: own.copy,
    },
    change,
  );
}

export function unheardWith(unheard: Unheard, change: Partial<Unheard>): Unheard {
  return Object.assign(
    {
      askAt: unheard.askAt,
      answers: unheard.answers,
      once: unheard.once,
      macs: unheard.macs,
      silentRounds: unheard.silentRounds,
      claimedAt: unheard.claimedAt,
      answeredAt: unheard.answeredAt,
    },
    change,
  );
}

export function proofWith(proof: Proof, change: Partial<Proof>): Proof {
  return Object.assign(
    {
      id: proof.id,
      dueAt: proof.dueAt,
      misses: proof.misses,
      echoes: proof.echoes,
      echoesBefore: proof.echoesBefore,
    },
    change,
  );
}

export function healthWith(health: LanHealth, change: Partial<LanHealth>): LanHealth {
  return Object.assign(
    {
      traffic: health.traffic,
      neighbours: health.neighbours,
      dead: health.dead,
      signsSince: health.signsSince,
      signsDead: health.signsDead,
    },
    change,
  );
}

export function settingsWith(settings: Settings, change: Partial<Settings>): Settings {
  return Object.assign(
    {
      node: settings.node,
      nodeId: settings.nodeId,
      bootId: settings.bootId,
      priority: settings.priority,
      intervalMs: settings.intervalMs,
      leaseMs: settings.leaseMs,
      deadMs: settings.deadMs,
      aloneKeepMs: settings.aloneKeepMs,
      autoFailback: settings.autoFailback,
      keepsSessions: settings.keepsSessions,
      configDigest: settings.configDigest,
      links: settings.links,
      addressLans: settings.addressLans,
      units: settings.units,
      lans: settings.lans,
      fixed: settings.fixed,
      onIsolation: settings.onIsolation,
      onConflict: settings.onConflict,
      witness: settings.witness,
      noticeMs: settings.noticeMs,
    },
    change,
  );
}
