// What a router makes of its surroundings: dead LANs, isolation, a third machine, servers that
// fail, repeated changes.
import test from 'ava';
import { thirdMachine } from '../../../src/pulse/election/beliefs/third-machine.ts';
import { type At, ms } from '../../../src/units/duration.ts';
import { Driver, PEER_MAC, SETTINGS, THIRD_MAC } from './driver.ts';

/** Everything is cut: no target, no frame, no peer. */
function isolate(driver: Driver): void {
  driver.peer = undefined;
  driver.peerAnswers = false;
  for (const index of [0, 1]) driver.vipd({ type: 'target', index, up: false });
  for (const iface of ['c0', 's0', 'x0']) driver.vipd({ type: 'traffic', iface, alive: false });
}

/** Heartbeats are on the cross LAN only: of the others, targets alone tell. */
const NO_LINKS_ON_VIP_LANS = SETTINGS.lans.map(lan => ({ ...lan, links: lan.vips ? [] : [0, 1] }));

test('an owner that hears neither peer nor target nor any frame lets go in less than the dead time', t => {
  const driver = Driver.active();
  isolate(driver);
  const cutAt = driver.now;
  driver.run(1_000);
  t.is(driver.role, 'standby', driver.reason);
  t.regex(driver.reason, /isolated/);
  const gone = driver.effects.find(({ at, effect }) => at >= cutAt && effect.type === 'give-up')?.at ?? Infinity;
  t.true(gone - cutAt <= 200, `after ${gone - cutAt} ms`);
  t.true(driver.events.includes('ISOLATED'));
  driver.run(60_000);
  t.is(driver.role, 'standby', 'and claims nothing as long as it hears nobody');
  driver.vipd({ type: 'target', index: 0, up: true });
  driver.run(10_000);
  t.is(driver.role, 'active', 'somebody is heard again, but no peer');
});

test('on_isolation: keep serves on', t => {
  const driver = Driver.active({ onIsolation: 'keep' });
  isolate(driver);
  driver.run(60_000);
  t.is(driver.role, 'active');
  t.true(driver.events.includes('ISOLATED'));
});

test('one sign of life anywhere is no isolation: a target, a frame, a heartbeat', t => {
  const target = Driver.active();
  isolate(target);
  target.vipd({ type: 'target', index: 1, up: true });
  t.is(target.run(10_000).role, 'active', target.reason);
  const frame = Driver.active();
  isolate(frame);
  frame.vipd({ type: 'traffic', iface: 'c0', alive: true });
  t.is(frame.run(10_000).role, 'active', frame.reason);
  const beat = Driver.active();
  isolate(beat);
  beat.peer = { fitness: 0 };
  t.is(beat.run(10_000).role, 'active', beat.reason);
});

test('without targets a quiet LAN is no isolation', t => {
  const lans = [{ name: 'clients', id: 1001, interface: 'c0', vips: true, targets: [], links: [0] }];
  const driver = Driver.active({ lans, addressLans: [0], units: [[0]] });
  driver.peer = undefined;
  driver.vipd({ type: 'traffic', iface: 'c0', alive: false });
  t.is(driver.run(10_000).role, 'active', driver.reason);
});

test('lost carrier hands over at once, without waiting for the next heartbeat', t => {
  const driver = Driver.active();
  driver.run(50);
  const at = driver.now;
  driver.vipd({ type: 'link', index: 0, up: false, mac: '02:00:00:00:01:01' });
  t.is(driver.role, 'handing-over', driver.reason);
  t.is(driver.now, at);
  t.regex(driver.reason, /LAN clients has lost its carrier here/);
});

test('a LAN whose targets all fall silent here only moves the addresses; one target alone moves nothing', t => {
  const lans = [
    { name: 'clients', id: 1002, interface: 'c0', vips: true, targets: [0, 1], links: [] },
    { name: 'servers', id: 1003, interface: 's0', vips: true, targets: [], links: [] },
    { name: 'cross', id: 1004, interface: 'x0', vips: false, targets: [], links: [0, 1] },
  ];
  const driver = Driver.active({ lans });
  driver.vipd({ type: 'target', index: 0, up: false });
  driver.run(10_000);
  t.is(driver.role, 'active');
  driver.vipd({ type: 'target', index: 1, up: false });
  driver.run(150);
  t.is(driver.role, 'active', "the peer's heartbeat may be older than its own look");
  driver.run(170);
  t.is(driver.role, 'handing-over', driver.reason);
  t.regex(driver.reason, /LAN clients is dead here/);
});

test('a target that is silent to us moves nothing while heartbeats on its LAN echo ours; once they do not, it does', t => {
  const driver = Driver.active();
  driver.vipd({ type: 'target', index: 0, up: false });
  driver.run(10_000);
  t.is(driver.role, 'active', driver.reason);
  t.false(driver.events.includes('LAN_DEAD'));
  // What we send there is lost: heartbeats still come in on that link, and echo what we sent
  // before.
  driver.unechoed = [0];
  driver.run(250);
  t.is(driver.role, 'active', driver.reason);
  driver.run(500);
  t.true(
    driver.reasons.some(reason => /LAN clients is dead here/.test(reason)),
    driver.reason,
  );
});

test('a LAN without targets is dead when what we send on its link is heard no more, though frames come in', t => {
  const lans = SETTINGS.lans.map(lan => ({ ...lan, targets: [] }));
  const driver = Driver.active({ lans });
  driver.unechoed = [0];
  driver.run(2_000);
  t.true(
    driver.reasons.some(reason => /LAN clients is dead here/.test(reason)),
    driver.reason,
  );
  const both = Driver.active({ lans });
  both.peer = { fitness: 0 };
  both.unechoed = [0];
  both.run(10_000);
  t.false(both.events.includes('LAN_DEAD'), 'the peer says that it is the one who is cut off there');
});

test('a LAN that loses what we send stays dead until an echo proves it, whatever becomes of the peer', t => {
  const lans = SETTINGS.lans.map(lan => ({ ...lan, targets: [] }));
  const driver = Driver.active({ lans });
  driver.unechoed = [0];
  driver.run(2_000);
  t.true(driver.events.includes('LAN_DEAD'));
  // It has lost a LAN of its own: whose direction is cut, its fitness does not tell any more.
  driver.peer = { ...driver.peer, fitness: 0 };
  driver.run(10_000);
  t.false(driver.events.includes('LAN_ALIVE'));
  driver.unechoed = [];
  driver.run(2_500);
  t.true(driver.events.includes('LAN_ALIVE'));
});

test('a link that comes back is not judged by its first heartbeats, which cannot echo us yet', t => {
  const lans = SETTINGS.lans.map(lan => ({ ...lan, targets: [] }));
  const driver = Driver.active({ lans });
  driver.silent = [0];
  driver.run(8_000);
  driver.silent = [];
  driver.unechoed = [0];
  driver.run(250);
  driver.unechoed = [];
  driver.run(20_000);
  t.false(driver.events.includes('LAN_DEAD'));
  t.is(driver.role, 'active', driver.reason);
});

const NO_TARGETS = SETTINGS.lans.map(lan => ({ ...lan, targets: [] }));

test('no heartbeat on a LAN and nobody known there: dead for a standby, not for who serves', t => {
  const owner = Driver.active({ lans: NO_TARGETS });
  owner.silent = [0];
  owner.run(10_000);
  t.is(owner.role, 'active', owner.reason);
  t.false(owner.events.includes('LAN_DEAD'));
  const standby = Driver.standby({ lans: NO_TARGETS });
  standby.silent = [0];
  standby.run(2_000);
  t.true(standby.events.includes('LAN_DEAD'));
});

test('neighbours that fall silent are the death of a LAN without echoes, and none while it has them', t => {
  const driver = Driver.active({ lans: NO_TARGETS });
  driver.vipd({ type: 'neighbours', iface: 'c0', word: 'silent' });
  driver.run(10_000);
  t.is(driver.role, 'active', driver.reason);
  driver.silent = [0];
  driver.run(2_000);
  t.true(
    driver.reasons.some(reason => /LAN clients is dead here/.test(reason)),
    driver.reason,
  );
  const standby = Driver.standby({ lans: NO_TARGETS });
  standby.vipd({ type: 'neighbours', iface: 'c0', word: 'answer' });
  standby.silent = [0];
  standby.run(10_000);
  t.false(standby.events.includes('LAN_DEAD'), 'heartbeats alone are lost');
});

test('at a start the first heartbeat on one link says nothing of the others', t => {
  const driver = new Driver({ lans: NO_TARGETS });
  driver.peer = { role: 'active', serving: true };
  driver.silent = [0];
  driver.run(150);
  driver.silent = [];
  driver.run(10_000);
  t.false(driver.events.includes('LAN_DEAD'));
});

test('a LAN that is dead at the peer, too, moves nothing', t => {
  const driver = Driver.active();
  driver.peer = { fitness: 1 };
  driver.run(200);
  driver.vipd({ type: 'target', index: 0, up: false });
  driver.run(30_000);
  t.is(driver.role, 'active', driver.reason);
});

test('a dead LAN counts as alive only after it has been well for two seconds', t => {
  const driver = Driver.active({ lans: NO_LINKS_ON_VIP_LANS });
  driver.peer = { fitness: 0 };
  driver.run(200);
  driver.vipd({ type: 'target', index: 0, up: false });
  driver.vipd({ type: 'target', index: 0, up: true });
  driver.run(1_000);
  driver.vipd({ type: 'target', index: 0, up: false });
  driver.vipd({ type: 'target', index: 0, up: true });
  driver.run(1_500);
  t.false(driver.events.includes('LAN_ALIVE'));
  driver.run(1_000);
  t.is(driver.events.filter(code => code === 'LAN_ALIVE').length, 1);
  t.is(driver.events.filter(code => code === 'LAN_DEAD').length, 1);
});

test('a director that is gone makes a router less fit, after a while', t => {
  const driver = Driver.active({ keepsSessions: true });
  const report = { rulesIn: true, healthyServers: 2, flushMs: 0, warm: true };
  driver.send({ type: 'report', ...report });
  driver.run(4_000);
  t.is(driver.role, 'active');
  t.false(driver.events.includes('HANDOVER_STARTED'));
  for (let n = 0; n < 1_000 && driver.role === 'active'; n += 1) driver.run(10);
  t.is(driver.role, 'handing-over', driver.reason);
  t.regex(driver.reason, /the peer is fitter/);
});

/**
 * How long each of four losses in a row is waited for; the peer never takes the addresses, and they
 * come back here.
 */
function waitsFor(driver: Driver, lose: (lost: boolean) => void, between: () => void = () => {}): number[] {
  return Array.from({ length: 4 }, () => {
    lose(false);
    driver.run(3_000);
    between();
    lose(true);
    const from = driver.now;
    for (let waited = 0; driver.role === 'active' && waited < 100_000; waited += 10) driver.run(10);
    const waitedMs = driver.now - from;
    lose(false);
    driver.run(5_000);
    return waitedMs;
  });
}

const carrierOf = (driver: Driver) => (lost: boolean) =>
  driver.vipd({ type: 'link', index: 0, up: !lost, mac: '02:00:00:00:01:01' });
const targetOf = (driver: Driver) => (lost: boolean) => driver.vipd({ type: 'target', index: 0, up: !lost });

test('from a LAN without carrier the addresses go at once, however often', t => {
  const driver = Driver.active();
  t.deepEqual(waitsFor(driver, carrierOf(driver)), [0, 0, 0, 0]);
});

test('from a LAN whose targets are silent they go soon, however often, while the peer has kept that LAN', t => {
  const driver = Driver.active({ lans: NO_LINKS_ON_VIP_LANS });
  const waits = waitsFor(driver, targetOf(driver));
  t.true(Math.max(...waits) < 500, `waits ${waits}`);
});

test('a peer that has lost its own LAN again and again is waited for longer each time', t => {
  const driver = Driver.active({ lans: NO_LINKS_ON_VIP_LANS });
  const waits = waitsFor(driver, targetOf(driver), () => {
    driver.peer = { fitness: 1 };
    driver.run(200);
    driver.peer = {};
    driver.run(200);
  });
  const [first = 0, second = 0, third = 0, fourth = 0] = waits;
  t.true(first < 500, `waits ${waits}`);
  t.true(second > 5_000 && third > second && fourth > third, `waits ${waits}`);
});

test('but not when the carrier is gone', t => {
  const driver = Driver.active();
  const waits = waitsFor(driver, carrierOf(driver), () => {
    driver.peer = { fitness: 1 };
    driver.run(200);
    driver.peer = {};
    driver.run(200);
  });
  t.deepEqual(waits, [0, 0, 0, 0]);
});

test('automatic failback waits no less after repeated changes than at first', t => {
  const driver = Driver.active({ autoFailback: true, priority: 10 });
  const waits: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const from = driver.now;
    for (let waited = 0; driver.role === 'active' && waited < 400_000; waited += 100) driver.run(100);
    waits.push(driver.now - from);
    driver.run(5_000);
  }
  t.true(Math.min(...waits) > 20_000, `waits ${waits}`);
  t.true((waits[4] as number) > 60_000, `waits ${waits}`);
});

test('a third machine that claims an address is named with its port and defended against', t => {
  const driver = Driver.active();
  const announced = driver.count('announce');
  for (let n = 0; n < 5; n += 1) {
    driver.vipd({ type: 'conflict', index: 0, mac: THIRD_MAC, port: 'br0/eth3' });
    driver.run(1_000);
  }
  t.is(driver.role, 'active');
  t.is(driver.count('announce') - announced, 5);
  const told = driver.effects.find(
    ({ effect }) => effect.type === 'event' && effect.code === 'VIP_CLAIMED_BY_OTHER',
  )?.effect;
  t.deepEqual(told?.type === 'event' && told.fields, { address: 0, mac: THIRD_MAC, port: 'br0/eth3' });
});

test('on_conflict: stand-down lets go after three claims, asks the peer not to claim, and tries again after 30 s', t => {
  const driver = Driver.active({ onConflict: 'stand-down' });
  for (let n = 0; n < 3; n += 1) {
    t.is(driver.role, 'active');
    driver.vipd({ type: 'conflict', index: 0, mac: THIRD_MAC, port: 'c0' });
    driver.run(1_000);
  }
  t.is(driver.role, 'standby', driver.reason);
  t.true(driver.events.includes('STANDS_DOWN'));
  driver.run(25_000);
  t.is(driver.role, 'standby');
  driver.run(10_000);
  t.is(driver.role, 'active', driver.reason);
});

test('on_conflict: stand-down counts the claims of rivals that claim in turn', t => {
  const driver = Driver.active({ onConflict: 'stand-down' });
  for (const mac of [THIRD_MAC, '02:00:00:00:09:02', THIRD_MAC]) {
    t.is(driver.role, 'active');
    driver.vipd({ type: 'conflict', index: 0, mac, port: 'c0' });
    driver.run(1_000);
  }
  t.is(driver.role, 'standby', driver.reason);
});

test('a standby does not claim what its peer stands down for', t => {
  const driver = Driver.standby();
  driver.peer = { role: 'standby', serving: false, standsDown: true };
  driver.peerAnswers = false;
  driver.run(10_000);
  t.is(driver.role, 'standby', driver.reason);
  driver.peer = { role: 'standby', serving: false, standsDown: false, hold: true };
  driver.run(3_000);
  t.is(driver.role, 'active', driver.reason);
});

test('the peer, unheard, claims the addresses too: the higher rank defends, the lower lets go', t => {
  const higher = Driver.active({ onIsolation: 'keep' });
  higher.peer = undefined;
  higher.run(1_000);
  const announced = higher.count('announce');
  higher.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  t.is(higher.role, 'active');
  t.is(higher.count('announce'), announced + 1);
  const lower = Driver.active({ onIsolation: 'keep', priority: 50 });
  lower.peerAnswers = true;
  lower.peer = undefined;
  lower.run(1_000);
  t.is(lower.role, 'active', lower.reason);
  lower.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  t.is(lower.role, 'active', 'its first heartbeat may be about to come');
  lower.run(260);
  t.is(lower.role, 'standby', lower.reason);
  lower.run(10_000);
  t.is(lower.role, 'standby', 'the peer answers for the addresses');
});

test('LANs come back between two owners: the peer’s claim comes before its heartbeat, and the higher epoch stays', t => {
  const driver = Driver.active({ onIsolation: 'keep', priority: 50 });
  driver.peer = undefined;
  driver.run(1_000);
  driver.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  driver.peer = { role: 'active', serving: true, epoch: { counter: 0, node: 2 } };
  driver.run(90);
  t.is(driver.role, 'active', driver.reason);
  driver.peer = { role: 'standby', serving: false };
  driver.run(2_000);
  t.is(driver.role, 'active', driver.reason);
});

test('an owner that hears its peer serve, too, and is not heard lets go; one that is heard waits for the peer to', t => {
  const deaf = Driver.active();
  deaf.run(1_000);
  deaf.unechoed = [0, 1];
  deaf.peer = { role: 'active', serving: true, epoch: { counter: 0, node: 2 } };
  deaf.run(2_000);
  t.is(deaf.role, 'standby', deaf.reason);
  t.true(deaf.reasons.includes('the peer serves, too, and does not hear us'), deaf.reason);
  const higher = Driver.active({ priority: 200 });
  higher.run(1_000);
  higher.unechoed = [0, 1];
  higher.peer = { role: 'active', serving: true, epoch: { counter: 0, node: 2 } };
  higher.run(200);
  higher.peer = undefined;
  higher.run(2_000);
  t.is(higher.role, 'active', 'a deaf peer that falls silent may be dead: nobody is there to yield to');
  const heard = Driver.active();
  heard.run(1_000);
  heard.peer = { role: 'active', serving: true, epoch: { counter: 0, node: 2 } };
  heard.run(2_000);
  t.is(heard.role, 'active', heard.reason);
});

test('two that claim at the same moment, heartbeats lost: the lower rank lets go at the first announcement it hears', t => {
  const lower = Driver.active({ onIsolation: 'keep', priority: 50 });
  lower.peer = undefined;
  lower.run(150);
  lower.vipd({ type: 'expired', epoch: lower.machine.highest });
  t.is(lower.role, 'standby', 'its lease has ended');
  lower.run(600);
  t.is(lower.role, 'standby', 'the peer, unheard, may be taking over: it goes first');
  for (let waited = 0; waited < 5_000 && lower.role !== 'active'; waited += 1) lower.run(1);
  t.is(lower.role, 'active', 'nobody answers');
  lower.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  t.is(lower.role, 'standby', lower.reason);
});

test('answers of a third machine to a probe do not keep a standby from taking over', t => {
  const driver = Driver.standby();
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(200);
  const probe = driver.effects.findLast(({ effect }) => effect.type === 'probe')?.effect;
  driver.vipd({ type: 'reply', id: probe?.type === 'probe' ? probe.id : 0, index: 0, via: 'echo', mac: THIRD_MAC });
  driver.vipd({ type: 'reply', id: probe?.type === 'probe' ? probe.id : 0, index: 0, via: 'arp', mac: THIRD_MAC });
  driver.run(300);
  t.is(driver.role, 'active', driver.reason);
  t.true(driver.events.includes('VIP_CLAIMED_BY_OTHER'));
});

test('where the peer has no LAN, a third machine that answers does not keep a standby from taking over', t => {
  const driver = Driver.standby({ addressLans: [0, 1, 2], units: [[0, 1, 2]] });
  driver.peer = undefined;
  driver.peerAnswers = false;
  for (let asked = 0; asked < 300 && driver.role === 'standby'; asked += 1) {
    driver.run(10);
    driver.vipd({ type: 'reply', id: driver.machine.probeId, index: 2, via: 'echo', mac: THIRD_MAC });
  }
  t.is(driver.role, 'active', driver.reason);
});

test('a third machine that answers ARP for a silent peer is named, and neither vetoes nor counts as a claim', t => {
  const driver = Driver.standby({ onConflict: 'stand-down' });
  driver.peer = undefined;
  driver.peerAnswers = false;
  for (let answers = 0; answers < 10; answers += 1) {
    driver.run(50);
    driver.vipd({ type: 'reply', id: driver.machine.probeId, index: 0, via: 'arp', mac: THIRD_MAC });
  }
  t.is(driver.role, 'active', driver.reason);
  t.true(driver.events.includes('VIP_CLAIMED_BY_OTHER'));
  t.false(driver.events.includes('STANDS_DOWN'));
});

test('a third machine that only answers is told of in calm weather for a minute, by one event; a claim is told of first', t => {
  const driver = Driver.standby({ onConflict: 'stand-down' });
  const third = () => thirdMachine(driver.machine, driver.now as At);
  for (let answers = 0; answers < 5; answers += 1) {
    driver.vipd({ type: 'reply', id: driver.machine.probeId, index: answers % 2, via: 'arp', mac: THIRD_MAC });
    driver.run(1_000);
  }
  t.is(driver.events.filter(code => code === 'VIP_CLAIMED_BY_OTHER').length, 1);
  t.like(third(), { address: 0, mac: THIRD_MAC });
  t.false('port' in (third() ?? {}), 'it has claimed nothing');
  driver.vipd({ type: 'reply', id: driver.machine.probeId, index: 0, via: 'arp', mac: PEER_MAC });
  driver.run(60_000);
  t.is(third(), undefined);
  const owner = Driver.active();
  owner.vipd({ type: 'reply', id: owner.machine.probeId, index: 0, via: 'arp', mac: THIRD_MAC });
  owner.vipd({ type: 'conflict', index: 0, mac: THIRD_MAC, port: 'c0' });
  t.like(thirdMachine(owner.machine, owner.now as At), { mac: THIRD_MAC, port: 'c0' });
});

test('the time from decision to announcement is told', t => {
  t.true(Driver.active({ noticeMs: ms(0) }).events.includes('VIPS_ANNOUNCED'));
});
