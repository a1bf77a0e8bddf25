// What is known of the peer, and how well: which of its datagrams count, which links live, when it
// was last heard at all and when it was last heard serving. R3, R6, R7 (docs/invariants.md). Pure.
import type { At } from '../../../units/duration.ts';
import { compareEpochs, EPOCH_NONE, type Epoch, newerEpoch } from '../../../units/epoch.ts';
import { BOOT_NONE, type Heartbeat, type Message, type Will, type WireVersion } from '../../heartbeat.ts';
import { leaseWithMargin } from '../../timing.ts';
import type { LinkEvidence, PeerEvidence } from '../known.ts';
import { linkWith, peerWith } from '../replica.ts';

/**
 * Boot ids of the peer's earlier lives that are remembered, so that captured datagrams of theirs
 * stay refused.
 */
const RETIRED_MAX = 256;

/** What came of a datagram. `news`: it is the newest word of the peer. */
type Reception =
  | 'news'
  | 'duplicate'
  | 'candidate'
  | 'closed'
  | 'replayed'
  | 'reordered'
  | 'retired'
  | 'not-fresh'
  | 'own-node';

/**
 * The boot id to echo to the peer: its proven one, unless that has been silent since
 * `silentBefore`.
 */
export function bootToEcho(peer: PeerEvidence, silentBefore: At): string {
  return isHeard(peer, silentBefore) || peer.candidate === BOOT_NONE ? peer.bootId : peer.candidate;
}

/**
 * The version of the next heartbeat: 2 while the peer's proven life is heard and has said that it
 * reads it. Who has been silent since `silentBefore` may come back as a version that does not, and
 * must be able to prove itself.
 */
export function versionToSend(peer: PeerEvidence, silentBefore: At): WireVersion {
  // safeguard: version-2-if-read
  // safeguard: version-2-if-heard
  return isHeard(peer, silentBefore) && peer.last?.readsVersion2 === true ? 2 : 1;
}

function isHeard({ heardAt }: PeerEvidence, silentBefore: At): boolean {
  return heardAt !== undefined && heardAt >= silentBefore;
}

/** What the hearer knows of itself. */
interface Hearer {
  /** It was late until then: what it reads may have waited since before. */
  readonly lateAt: At | undefined;
  /**
   * Heartbeats, and echoes, further apart than this are a break: the peer may have found itself
   * alone between them.
   */
  readonly givenUpMs: number;
}

/** Takes in a genuine (decoded, signed) message that came over link number `link` at `now`. */
export function receive(
  peer: PeerEvidence,
  link: number,
  message: Message,
  now: At,
  hearer: Hearer,
): { peer: PeerEvidence; reception: Reception } {
  const reception = receptionOf(peer, link, message);
  if (reception === 'closed') return { peer: closeEpoch(peer, message as Will), reception };
  if (reception === 'candidate') return { peer: peerWith(peer, { candidate: message.bootId }), reception };
  if ((reception !== 'news' && reception !== 'duplicate') || message.kind === 'will') {
    return { peer: countRefused(peer, link), reception };
  }
  const heard = hearOnLink(freshLife(peer, message, now, hearer.givenUpMs), link, message, {
    now,
    givenUpMs: hearer.givenUpMs,
  });
  const livedAt = livedAtLeast(message, now, hearer);
  const later = peerWith(heard, { heardAt: laterOf(heard.heardAt, livedAt) });
  return { peer: reception === 'news' ? takeNews(later, message, { now, livedAt }) : later, reception };
}

/**
 * A heartbeat that waited while we were late is no sign that the peer is there now: by its echo it
 * may be as old as the round trip. One without an echo here cannot say; it counts as it comes. So
 * does one that answers what we have sent since: the round trip may be long as the peer was late.
 */
function livedAtLeast(message: Heartbeat, now: At, { lateAt }: Hearer): At {
  const sentAt = (now - roundTripMs(message, now)) as At;
  return message.echoSentAtUs > 0 && lateAt !== undefined && sentAt < lateAt ? sentAt : now;
}

function laterOf(a: At | undefined, b: At): At {
  return a === undefined || a < b ? b : a;
}

function receptionOf(peer: PeerEvidence, link: number, message: Message): Reception {
  if (message.nodeId !== peer.peerNodeId) return 'own-node';
  if (peer.retired.includes(message.bootId)) return 'retired';
  // safeguard: boot-id-echoed
  if (message.peerBootId !== peer.ownBootId) {
    // It has not heard us yet, or is a recording: its boot id is worth echoing, nothing else of it
    // counts.
    return message.kind === 'heartbeat' && message.bootId !== peer.bootId ? 'candidate' : 'not-fresh';
  }
  if (message.kind === 'will') return message.bootId === peer.bootId ? 'closed' : 'retired';
  const evidence = peer.links[link];
  if (evidence && evidence.bootId === message.bootId && message.seq <= evidence.seq) {
    return message.seq === evidence.seq ? 'replayed' : 'reordered';
  }
  return message.bootId === peer.bootId && message.seq <= peer.seq ? 'duplicate' : 'news';
}

function countRefused(peer: PeerEvidence, link: number): PeerEvidence {
  const count = (l: LinkEvidence) => linkWith(l, { refused: l.refused + 1 });
  return peerWith(peer, { links: peer.links.map((l, i) => (i === link ? count(l) : l)) });
}

function closeEpoch(peer: PeerEvidence, will: Will): PeerEvidence {
  const { closed, highest } = peer;
  return peerWith(peer, { closed: newerEpoch(closed, will.epoch), highest: newerEpoch(highest, will.epoch) });
}

/** A proven new boot id ends the life before it: that one is refused for good. */
function freshLife(peer: PeerEvidence, message: Heartbeat, now: At, givenUpMs: number): PeerEvidence {
  if (message.bootId === peer.bootId) return peer;
  const retired = peer.bootId === BOOT_NONE ? peer.retired : [...peer.retired, peer.bootId].slice(-RETIRED_MAX);
  return peerWith(peer, {
    bootId: message.bootId,
    retired,
    seq: -1,
    servingAt: undefined,
    servedAt: undefined,
    heldBefore: mayHaveHeld(peer, now, givenUpMs),
    closed: EPOCH_NONE,
    last: undefined,
  });
}

/**
 * Whether the life that has ended may have held a term to its end: its newest word was that it
 * does, or it may have taken one unheard. Of what came before the first life that is heard nothing
 * is known.
 */
function mayHaveHeld(peer: PeerEvidence, now: At, givenUpMs: number): boolean {
  const { last, heardAt } = peer;
  if (last === undefined || heardAt === undefined) return true;
  return holdsTerm(peer) || (last.role !== 'starting' && now - heardAt >= givenUpMs);
}

function hearOnLink(
  peer: PeerEvidence,
  link: number,
  message: Heartbeat,
  { now, givenUpMs }: { readonly now: At; readonly givenUpMs: number },
): PeerEvidence {
  const hear = (l: LinkEvidence): LinkEvidence => {
    const { echoedAt, hearsUsSince } = echoOf(l, message, now, givenUpMs);
    return {
      bootId: message.bootId,
      seq: message.seq,
      heardAt: now,
      heardSince: l.heardAt !== undefined && now - l.heardAt < givenUpMs ? l.heardSince : now,
      echoedAt,
      hearsUsSince,
      peerSentAtUs: message.sentAtUs,
      rttMs: message.echoSentAtUs > 0 ? roundTripMs(message, now) : l.rttMs,
      peerHearsUs: message.echoSentAtUs > 0,
      received: l.received + 1,
      refused: l.refused,
    };
  };
  return peerWith(peer, { links: peer.links.map((l, i) => (i === link ? hear(l) : l)) });
}

function echoOf(
  l: LinkEvidence,
  { echoSentAtUs, bootId }: Heartbeat,
  now: At,
  givenUpMs: number,
): Pick<LinkEvidence, 'echoedAt' | 'hearsUsSince'> {
  if (echoSentAtUs === 0) return { echoedAt: l.echoedAt, hearsUsSince: l.hearsUsSince };
  const echoedAt = laterOf(l.echoedAt, (echoSentAtUs / 1000) as At);
  const goesOn = l.bootId === bootId && l.echoedAt !== undefined && echoedAt - l.echoedAt < givenUpMs;
  return { echoedAt, hearsUsSince: goesOn ? l.hearsUsSince : now };
}

/**
 * Since our own heartbeat that it answers, without the time that the peer kept it: no less than
 * what the message was on its way.
 */
export function roundTripMs(message: Heartbeat, now: At): number {
  return Math.max(0, now - (message.echoSentAtUs + message.echoDelayUs) / 1000);
}

function takeNews(
  peer: PeerEvidence,
  message: Heartbeat,
  { now, livedAt }: { readonly now: At; readonly livedAt: At },
): PeerEvidence {
  const serving = serves(message, peer.closed);
  return peerWith(peer, {
    seq: message.seq,
    last: message,
    highest: newerEpoch(peer.highest, message.epoch),
    lease: longerLease(peer, message, now),
    servingAt: serving ? now : peer.servingAt,
    servedAt: serving ? livedAt : peer.servedAt,
  });
}

function longerLease({ lease }: PeerEvidence, message: Heartbeat, now: At): PeerEvidence['lease'] {
  const said = leaseWithMargin(message);
  if (lease !== undefined && said < lease.ms && now - lease.heardAt <= lease.ms) return lease;
  return { ms: said, heardAt: now };
}

/**
 * Whether the peer's newest word is that it has a term, served or not (its vipd may be gone), that
 * no will has closed.
 */
function holdsTerm({ last, closed }: PeerEvidence): boolean {
  return (last?.role === 'active' || last?.role === 'handing-over') && compareEpochs(last.epoch, closed) > 0;
}

/** Whether the peer's newest word is that it serves, in an epoch that no will has closed. */
export function isServing({ last, closed }: PeerEvidence): boolean {
  return last !== undefined && serves(last, closed);
}

function serves({ serving, epoch }: Heartbeat, closed: Epoch): boolean {
  return serving && compareEpochs(epoch, closed) > 0;
}
