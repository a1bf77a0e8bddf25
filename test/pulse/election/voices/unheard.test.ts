// A peer whose heartbeats were never heard: who it is taken for, what its claims count for, and who
// of two owners lets go.
import test from 'ava';
import { isPeerAbsent, peerMac } from '../../../../src/pulse/election/beliefs/peer-heard.ts';
import type { FixedSettings, Settings } from '../../../../src/pulse/election/machine.ts';
import { Driver, PEER_MAC, THIRD_MAC } from '../driver.ts';

const OTHER_MAC = '02:00:00:00:07:01';
const ROUND_MS = 900;
const PEERS: FixedSettings = {
  ...{ address: '192.0.2.3', lan: 0, family: 4, side: 'peer', link: undefined, serves: true },
};
const FIXED: Settings['fixed'] = [
  { ...PEERS, address: '192.0.2.2', side: 'own', link: 0 },
  PEERS,
  { ...PEERS, address: '203.0.113.3', lan: 2, serves: false },
];
const peer = { mac: PEER_MAC, target: false };
const other = { mac: OTHER_MAC, target: false };

function unheard(settings: Partial<Settings> = {}): Driver {
  const driver = new Driver({ onIsolation: 'keep', fixed: FIXED, ...settings });
  driver.vipd({ type: 'fixed', index: 0, state: 'here' });
  driver.resolved = [peer];
  return driver;
}

/** It has listened, heard nobody, and claimed. */
function owner(settings: Partial<Settings> = {}): Driver {
  return unheard(settings).run(8_000);
}

test('only its addresses on LANs of virtual ones are asked for, until the peer is heard', t => {
  const driver = unheard().run(10 * ROUND_MS);
  const rounds = () =>
    driver.effects.flatMap(({ effect }) =>
      effect.type === 'resolve' && effect.fixed.includes(1) ? [effect.fixed] : [],
    );
  t.true(rounds().length >= 9 && rounds().length <= 11, `${rounds().length} rounds`);
  t.deepEqual(rounds()[0], [1]);
  driver.peer = {};
  driver.run(500);
  const before = rounds().length;
  driver.run(5_000);
  t.is(rounds().length, before);
});

for (const { title, rounds, mac } of [
  { title: 'one answer, once', rounds: [[peer]], mac: undefined },
  { title: 'one answer, twice', rounds: [[peer], [peer]], mac: PEER_MAC },
  { title: 'the same machine, by two families', rounds: [[peer, peer], [peer]], mac: PEER_MAC },
  {
    title: 'two machines',
    rounds: [
      [peer, other],
      [peer, other],
      [peer, other],
    ],
    mac: undefined,
  },
  { title: 'a second machine later', rounds: [[peer], [peer], [peer, other]], mac: undefined },
  { title: 'silence after that', rounds: [[peer], [peer], [], []], mac: PEER_MAC },
  { title: 'another machine, once', rounds: [[peer], [peer], [other]], mac: PEER_MAC },
  { title: 'another machine from now on', rounds: [[peer], [peer], [other], [other]], mac: OTHER_MAC },
  { title: 'a MAC of a target', rounds: [[{ ...peer, target: true }], [{ ...peer, target: true }]], mac: undefined },
]) {
  test(`who answers for the peer’s address: ${title}`, t => {
    const driver = unheard();
    for (const answers of rounds) {
      driver.resolved = answers;
      driver.run(ROUND_MS);
    }
    // Asked at 0 and every 900 ms, judged when the next question goes out.
    driver.resolved = [];
    driver.run(ROUND_MS / 2);
    t.is(peerMac(driver.machine, 0), mac);
    t.is(peerMac(driver.machine, 1), undefined, 'on another LAN');
  });
}

test('a peer that is heard is what its heartbeats say', t => {
  const driver = unheard();
  driver.resolved = [other];
  driver.run(4 * ROUND_MS);
  t.is(peerMac(driver.machine, 0), OTHER_MAC);
  driver.peer = {};
  driver.run(500);
  t.is(peerMac(driver.machine, 0), PEER_MAC);
});

test('of two owners that never heard each other the first name defends, whatever the priorities', t => {
  const first = owner({ priority: 1 });
  t.is(first.role, 'active', first.reason);
  const announced = first.count('announce');
  first.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  t.is(first.count('announce'), announced + 1);
  first.run(5_000);
  t.is(first.role, 'active', first.reason);
  t.is(first.machine.foreign, undefined, 'it is no third machine');
});

test('of two owners that never heard each other the other one lets go, and leaves it at that', t => {
  const second = owner({ nodeId: 2, priority: 200 });
  t.is(second.role, 'active', second.reason);
  second.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  second.run(240);
  t.is(second.role, 'active', 'its first heartbeat may be about to come');
  second.run(20);
  t.is(second.role, 'standby', second.reason);
  t.regex(second.reason, /its name comes first/);
  second.run(29_000);
  t.is(second.role, 'standby', 'what it has heard is life until the next announcement is due');
});

test('one that has just claimed lets go at the first announcement of the first name', t => {
  const second = unheard({ nodeId: 2 });
  for (let waited = 0; waited < 10_000 && second.role !== 'active'; waited += 1) second.run(1);
  second.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  t.is(second.role, 'standby', second.reason);
});

test('a claim of a peer that was never heard is life until its next one is due, a third machine’s is none', t => {
  for (const [mac, lives] of [
    [PEER_MAC, true],
    [THIRD_MAC, false],
  ] as const) {
    const driver = unheard().run(6_000);
    driver.vipd({ type: 'claimed', index: 0, mac });
    driver.run(30_000);
    t.is(driver.role === 'standby', lives, driver.reason);
    driver.run(1_000);
    t.is(driver.role, 'active', driver.reason);
  }
});

test('one that answers probes after its claim is dead when they are silent', t => {
  const driver = unheard().run(6_000);
  driver.peerAnswers = true;
  driver.vipd({ type: 'claimed', index: 0, mac: PEER_MAC });
  driver.run(20_000);
  t.is(driver.role, 'standby', driver.reason);
  // The next announcement comes just before it dies.
  driver.vipd({ type: 'claimed', index: 0, mac: PEER_MAC });
  driver.peerAnswers = false;
  driver.run(300);
  t.is(driver.role, 'active', driver.reason);
});

for (const { title, resolved, via, role } of [
  { title: 'the echo of a stranger vetoes nothing', resolved: [], via: 'echo', role: 'active' },
  { title: 'the word of a vipd does', resolved: [], via: 'word', role: 'standby' },
] as const)
  test(`nobody answers for the peer’s addresses: ${title}`, t => {
    const driver = unheard();
    driver.resolved = resolved;
    for (let asked = 0; asked < 1_500 && driver.role !== 'active'; asked += 1) {
      driver.run(10);
      driver.vipd({ type: 'reply', id: driver.machine.probeId, index: 0, via, mac: THIRD_MAC });
    }
    t.is(driver.role, role, driver.reason);
  });

test('several machines answer for the peer’s address: the echo of any of them may be the peer’s', t => {
  const driver = unheard();
  driver.resolved = [peer, other];
  for (let asked = 0; asked < 1_500; asked += 1) {
    driver.run(10);
    driver.vipd({ type: 'reply', id: driver.machine.probeId, index: 0, via: 'echo', mac: OTHER_MAC });
  }
  t.is(driver.role, 'standby', driver.reason);
});

test('silence without a carrier tells nothing of the peer', t => {
  const driver = unheard();
  driver.resolved = [];
  driver.run(3 * ROUND_MS);
  t.true(isPeerAbsent(driver.machine, 0));
  driver.vipd({ type: 'link', index: 0, up: false, mac: '02:00:00:00:01:01' });
  driver.run(2 * ROUND_MS);
  driver.vipd({ type: 'link', index: 0, up: true, mac: '02:00:00:00:01:01' });
  t.false(isPeerAbsent(driver.machine, 0));
});
