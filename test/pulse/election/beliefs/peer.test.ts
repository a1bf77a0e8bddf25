// Which datagrams of the peer count: freshness, replay, order, wills.
import test from 'ava';
import { bootToEcho, isServing, receive, versionToSend } from '../../../../src/pulse/election/beliefs/peer.ts';
import type { PeerEvidence } from '../../../../src/pulse/election/known.ts';
import { unknownPeer } from '../../../../src/pulse/election/start.ts';
import type { Heartbeat, Will } from '../../../../src/pulse/heartbeat.ts';
import { type At, ms } from '../../../../src/units/duration.ts';

const OWN = 'aaaaaaaaaaaaaaaa';
const LIFE_1 = '1111111111111111';
const LIFE_2 = '2222222222222222';

function beat(change: Partial<Heartbeat> = {}): Heartbeat {
  return {
    kind: 'heartbeat',
    version: 1,
    nodeId: 2,
    bootId: LIFE_1,
    peerBootId: OWN,
    seq: 1,
    role: 'active',
    epoch: { counter: 5, node: 2 },
    serving: true,
    ready: true,
    hold: false,
    warm: true,
    witness: false,
    standsDown: false,
    sound: true,
    readsVersion2: false,
    priority: 100,
    fitness: 3,
    failedChecks: undefined,
    configDigest: '0000000000000000',
    intervalMs: ms(100),
    leaseMs: ms(220),
    deadMs: ms(300),
    sentAtUs: 1,
    echoSentAtUs: 0,
    echoDelayUs: 0,
    offer: undefined,
    units: undefined,
    mayHold: undefined,
    macs: [],
    ...change,
  };
}

function will(change: Partial<Will> = {}): Will {
  return {
    kind: 'will',
    version: 1,
    nodeId: 2,
    bootId: LIFE_1,
    peerBootId: OWN,
    seq: 0,
    role: 'standby',
    epoch: { counter: 5, node: 2 },
    ...change,
  };
}

function hear(...messages: readonly [number, Heartbeat | Will][]): { peer: PeerEvidence; receptions: string[] } {
  let peer = unknownPeer(OWN, 2, 2);
  const receptions = messages.map(([link, message], i) => {
    const result = receive(peer, link, message, (i * 100) as At, { lateAt: undefined, givenUpMs: 450 });
    peer = result.peer;
    return result.reception;
  });
  return { peer, receptions };
}

test('a heartbeat that does not echo our boot id teaches us whom to echo, and nothing else', t => {
  const { peer, receptions } = hear([0, beat({ peerBootId: '0000000000000000' })]);
  t.deepEqual(receptions, ['candidate']);
  t.is(peer.servingAt, undefined);
  t.is(bootToEcho(peer, 0 as At), LIFE_1);
});

test('the same heartbeat on both links counts once as news and once for its link', t => {
  const { peer, receptions } = hear([0, beat()], [1, beat()]);
  t.deepEqual(receptions, ['news', 'duplicate']);
  t.is(peer.servingAt, 0 as At);
  t.deepEqual(
    peer.links.map(link => link.received),
    [1, 1],
  );
});

test('a replayed and a re-ordered heartbeat are refused and counted', t => {
  const { peer, receptions } = hear([0, beat({ seq: 5 })], [0, beat({ seq: 5 })], [0, beat({ seq: 4 })]);
  t.deepEqual(receptions, ['news', 'replayed', 'reordered']);
  t.is(peer.links[0]?.refused, 2);
  t.is(peer.servingAt, 0 as At);
});

test('a recording of the peer’s earlier life stays refused once the peer has restarted', t => {
  const { receptions } = hear(
    [0, beat({ seq: 9 })],
    [0, beat({ bootId: LIFE_2, seq: 1 })],
    [0, beat({ seq: 10 })],
    [0, will()],
  );
  t.deepEqual(receptions, ['news', 'news', 'retired', 'retired']);
});

test('our own reflected datagram is refused', t => {
  t.deepEqual(hear([0, beat({ nodeId: 1 })]).receptions, ['own-node']);
});

test('a will closes its epoch for good, whatever arrives later by a slower link', t => {
  const { peer, receptions } = hear([0, beat({ seq: 1 })], [0, will()], [1, beat({ seq: 2 })]);
  t.deepEqual(receptions, ['news', 'closed', 'news']);
  t.false(isServing(peer));
  t.is(peer.servingAt, 0 as At, 'the late heartbeat did not count as serving');
});

test('a will does not close a later epoch', t => {
  const { peer } = hear([0, beat()], [0, will()], [0, beat({ seq: 2, epoch: { counter: 6, node: 2 } })]);
  t.true(isServing(peer));
});

test('a will of another life, or one that does not name ours, is refused', t => {
  t.deepEqual(hear([0, beat()], [0, will({ bootId: LIFE_2 })], [0, will({ peerBootId: LIFE_2 })]).receptions, [
    'news',
    'retired',
    'not-fresh',
  ]);
});

test('while the proven peer is heard, a recorded boot id does not change whom we echo', t => {
  const { peer } = hear([0, beat()], [0, beat({ bootId: LIFE_2, peerBootId: '0000000000000000' })]);
  t.is(bootToEcho(peer, -100 as At), LIFE_1);
  t.is(bootToEcho(peer, 50 as At), LIFE_2, 'once the proven one has fallen silent, the candidate is echoed');
});

test('a heartbeat that waited while this process was late is heard when it was sent at the earliest, a later one now', t => {
  const [now, lateAt] = [5_000 as At, 4_990 as At];
  const hearer = { lateAt, givenUpMs: 450 };
  // It echoes what we sent at 1000, and the peer had kept that for 80 ms.
  const waited = beat({ seq: 1, echoSentAtUs: 1_000_000, echoDelayUs: 80_000 });
  const first = receive(unknownPeer(OWN, 2, 2), 0, waited, now, hearer).peer;
  t.is(first.heardAt, 1_080 as At);
  t.is(first.links[0]?.echoedAt, 1_000 as At, 'what it echoes is what we sent then');
  const fresh = beat({ seq: 2, echoSentAtUs: 4_995_000, echoDelayUs: 4_000 });
  t.is(receive(first, 0, fresh, now, hearer).peer.heardAt, now);
  t.is(receive(first, 0, { ...waited, seq: 3 }, now, { ...hearer, lateAt: undefined }).peer.heardAt, now, 'never late');
});

test('a peer that starts may have kept addresses, unless its last life was heard to the end and had no term', t => {
  const started = beat({ role: 'starting', serving: false });
  const held = (before: Heartbeat | undefined, afterMs: number) => {
    const hearer = { lateAt: undefined, givenUpMs: 450 };
    const unknown = unknownPeer(OWN, 2, 2);
    const known = before ? receive(unknown, 0, before, 0 as At, hearer).peer : unknown;
    return receive(known, 0, { ...started, bootId: LIFE_2, seq: 1 }, afterMs as At, hearer).peer.heldBefore;
  };
  const standby = beat({ role: 'standby', serving: false });
  t.true(held(undefined, 0), 'nothing is known of what it did before');
  t.true(held(beat({ role: 'active', serving: false }), 100), 'it had a term, and no vipd');
  t.false(held(standby, 100));
  t.true(held(standby, 500), 'it may have taken over unheard');
  t.false(held(started, 500), 'it never came to that');
});

test('version 2 is for the life of the peer that has said it reads it, while that is heard', t => {
  // Each is heard 100 ms after the one before, from 0 on.
  const send = (silentBefore: number, ...messages: readonly (Heartbeat | Will)[]) =>
    versionToSend(
      hear(...messages.map(message => [0, message] as [number, Heartbeat | Will])).peer,
      silentBefore as At,
    );
  const reader = (change: Partial<Heartbeat> = {}) => beat({ readsVersion2: true, ...change });
  const newLife = { bootId: LIFE_2, seq: 1 } as const;
  t.is(send(0), 1, 'nothing heard yet');
  t.is(send(0, reader({ peerBootId: '0000000000000000' })), 1, 'heard, but not proven to be alive');
  t.is(send(0, beat()), 1, 'of the version before');
  t.is(send(0, reader()), 2);
  t.is(send(50, reader()), 1, 'silent: it may come back as any version');
  t.is(send(0, beat(), reader(newLife)), 2, 'upgraded');
  t.is(send(0, reader(), beat(newLife)), 1, 'gone back to the version before');
  t.is(send(50, reader(), beat({ ...newLife, peerBootId: LIFE_1 })), 1, 'gone back, and not proven yet');
  t.is(send(0, reader(), will(), reader({ seq: 2 })), 2, 'a will changes nothing');
});
