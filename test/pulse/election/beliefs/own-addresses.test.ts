// A router's own addresses in the election: who cannot speak lets go in time, defends nothing and
// claims nothing; what went with its carrier is silence, no fault of its own; claims that fail are
// tried again at a slower and slower pace.
import test from 'ava';
import { givenUpMs, listenMs } from '../../../../src/pulse/election/beliefs/deadlines.ts';
import type { FixedSettings, Machine, PulseEvent, Settings } from '../../../../src/pulse/election/machine.ts';
import { newMachine } from '../../../../src/pulse/election/start.ts';
import { nextWake, step } from '../../../../src/pulse/election/step.ts';
import type { Heartbeat } from '../../../../src/pulse/heartbeat.ts';
import { heartbeatsFor } from '../../../../src/pulse/own-heartbeat.ts';
import { probeRound } from '../../../../src/pulse/timing.ts';
import type { At } from '../../../../src/units/duration.ts';
import type { FixedState } from '../../../../src/vip/protocol.ts';
import { Driver, PEER_MAC, SETTINGS, THIRD_MAC } from '../driver.ts';

const fixed = (address: string, lan: number, more: Partial<FixedSettings>): FixedSettings => ({
  address,
  lan,
  family: 4,
  side: 'own',
  link: undefined,
  serves: false,
  ...more,
});

/**
 * Links on the clients' LAN and the cross link; the clients' LAN has virtual addresses of both
 * families.
 */
const FIXED: Settings['fixed'] = [
  fixed('192.0.2.2', 0, { link: 0, serves: true }),
  fixed('2001:db8:1::2', 0, { family: 6, serves: true }),
  fixed('198.51.100.2', 1, { serves: true }),
  fixed('203.0.113.1', 2, { link: 1 }),
  fixed('192.0.2.3', 0, { side: 'peer', link: 0 }),
  fixed('203.0.113.2', 2, { side: 'peer', link: 1 }),
];
const [CLIENTS, CLIENTS6, , CROSS, PEERS, PEERS_CROSS] = FIXED.keys();
const OWN = FIXED.flatMap(({ side }, index) => (side === 'own' ? [index] : []));

function tell(driver: Driver, state: FixedState, indexes: readonly (number | undefined)[] = OWN): void {
  for (const index of indexes) driver.vipd({ type: 'fixed', index: index as number, state });
}

function withOwn(made: Driver): Driver {
  tell(made, 'here');
  tell(made, 'gone', [PEERS, PEERS_CROSS]);
  return made;
}

const active = (settings: Partial<Settings> = {}) => withOwn(Driver.active({ fixed: FIXED, ...settings }));
const standby = (settings: Partial<Settings> = {}) => withOwn(Driver.standby({ fixed: FIXED, ...settings }));
const ready = (driver: Driver) => (heartbeatsFor(driver.machine, driver.now as At)[0] as Heartbeat).ready;

/** Nothing comes from the peer any more, as nothing reaches it. */
function mute(driver: Driver, state: FixedState = 'gone'): void {
  tell(driver, state);
  driver.peer = undefined;
  driver.peerAnswers = false;
}

test('an owner without an address on any heartbeat link lets go before the peer may take over', t => {
  const driver = active();
  const from = driver.now;
  mute(driver);
  driver.run(90);
  t.is(driver.role, 'active', 'not for a moment');
  driver.run(SETTINGS.leaseMs - 90);
  t.is(driver.role, 'standby', driver.reason);
  t.true(driver.events.includes('CUT_OFF'));
  const last = (...types: string[]) => driver.effects.findLast(({ effect }) => types.includes(effect.type))?.at ?? 0;
  // The peer has heard it with its last renewal; not renewed since, the lease ends before D, even
  // if this process stands still.
  t.true(last('renew') <= from, 'it renews no more');
  t.true(last('give-up') - last('renew') < SETTINGS.leaseMs, `${last('give-up') - last('renew')} ms`);
});

test('a way that is gone may have been gone before the last heartbeat: the peer counts from the one before', t => {
  const driver = active();
  const last = (...types: string[]) => driver.effects.findLast(({ effect }) => types.includes(effect.type))?.at ?? 0;
  const heard = last('renew');
  while (last('renew') === heard) driver.run(1);
  mute(driver, 'unrouted');
  driver.run(SETTINGS.deadMs);
  t.true(last('give-up') - heard < SETTINGS.deadMs, `${last('give-up') - heard} ms after the heartbeat that was heard`);
});

test('an address without a way to the peer counts as gone, but is no sign of a wrong name', t => {
  const driver = active();
  mute(driver, 'unrouted');
  driver.run(SETTINGS.leaseMs);
  t.is(driver.role, 'standby', driver.reason);
  t.true(driver.events.includes('OWN_ADDRESS_UNROUTED'));
  t.false(driver.events.includes('OWN_ADDRESS_GONE'));
  driver.run(10_000);
  t.is(driver.role, 'standby', 'it claims nothing');
  tell(driver, 'here', [PEERS]);
  t.false(driver.events.includes('WRONG_NAME'));
  tell(driver, 'gone', [PEERS]);
  tell(driver, 'here');
  t.true(driver.events.includes('OWN_ADDRESS_BACK'));
  driver.run(listenMs(driver.machine) + SETTINGS.deadMs);
  t.is(driver.role, 'active', driver.reason);
});

test('nor does a handover under way, or a new vipd, prolong the lease of an owner that cannot speak', t => {
  const giving = active();
  giving.send({ type: 'handover', cold: true });
  t.is(giving.role, 'handing-over');
  mute(giving);
  const renewed = giving.count('renew');
  giving.run(SETTINGS.leaseMs);
  t.is(giving.role, 'standby', giving.reason);
  t.is(giving.count('renew'), renewed);
  const replaced = active();
  mute(replaced);
  const claims = replaced.count('claim');
  replaced.send({ type: 'vipd-gone', how: 'SIGKILL' });
  replaced.vipd({ type: 'hello', version: 'test', epoch: { counter: 5, node: 1 }, mode: 'armed', held: 2 });
  t.is(replaced.role, 'standby', replaced.reason);
  t.is(replaced.count('claim'), claims);
});

test('an owner whose addresses are back in time keeps the VIPs', t => {
  const driver = active();
  tell(driver, 'gone');
  driver.run(90);
  tell(driver, 'here');
  driver.run(2_000);
  t.is(driver.role, 'active', driver.reason);
  t.is(driver.count('give-up'), 0);
});

test('an owner that is alone keeps the VIPs without an address of its own', t => {
  const driver = active();
  driver.peer = undefined;
  driver.run(3_000);
  tell(driver, 'gone');
  driver.run(5_000);
  t.is(driver.role, 'active', driver.reason);
});

for (const [words, mac, known] of [
  ['the peer', PEER_MAC, true],
  ['a machine that may be the peer', THIRD_MAC, false],
] as const) {
  test(`without an address of its own it does not defend the VIPs against ${words}`, t => {
    const driver = known ? active() : withOwn(new Driver({ fixed: FIXED }).run(9_000));
    t.is(driver.role, 'active', driver.reason);
    driver.peer = undefined;
    driver.run(3_000);
    tell(driver, 'gone');
    driver.run(100);
    const announced = driver.count('announce');
    driver.vipd({ type: 'conflict', index: 0, mac, port: 'c0' });
    t.is(driver.role, 'standby', driver.reason);
    t.is(driver.count('announce'), announced);
    driver.run(20_000);
    t.is(driver.role, 'standby', 'and does not claim again');
  });
}

test('an owner that loses its own address on the last link on which the peer hears it lets go in time; alone it keeps', t => {
  const driver = active();
  driver.unechoed = [1];
  driver.silent = [1];
  driver.run(SETTINGS.deadMs + 200);
  const from = driver.now;
  tell(driver, 'gone', [CLIENTS]);
  driver.silent = [0, 1];
  driver.run(SETTINGS.leaseMs);
  t.is(driver.role, 'standby', driver.reason);
  t.true((driver.effects.findLast(({ effect }) => effect.type === 'give-up')?.at ?? 0) - from < SETTINGS.leaseMs);
  const alone = active();
  alone.peer = undefined;
  alone.run(5_000);
  tell(alone, 'gone', [CLIENTS]);
  alone.run(5_000);
  t.is(alone.role, 'active', alone.reason);
});

test('an owner that the peer does not hear, and that can answer no probe any more, lets go at once', t => {
  const driver = active();
  driver.unechoed = [0, 1];
  driver.run(SETTINGS.deadMs + 200);
  t.is(driver.role, 'active', driver.reason);
  tell(driver, 'gone');
  t.is(driver.role, 'standby', driver.reason);
});

test('addresses that went with their carriers: silent while one LAN is left, speechless and no rival without any', t => {
  const driver = active();
  driver.peer = undefined;
  driver.run(3_000);
  tell(driver, 'down', [CLIENTS, CLIENTS6, CROSS]);
  driver.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  t.is(driver.role, 'active', 'the servers’ LAN is left');
  tell(driver, 'down');
  driver.vipd({ type: 'conflict', index: 0, mac: PEER_MAC, port: 'c0' });
  t.is(driver.role, 'standby', driver.reason);
});

test('what was kept through a restart is let go by a router without an address of its own on any LAN', t => {
  const driver = new Driver({ fixed: FIXED });
  driver.vipd({ type: 'hello', version: 'test', epoch: { counter: 5, node: 1 }, mode: 'alone', held: 2 });
  tell(driver, 'down', [CROSS]);
  tell(driver, 'gone', [CLIENTS, CLIENTS6, 2]);
  driver.run(1_000);
  t.is(driver.role, 'standby', driver.reason);
  t.true(driver.count('give-up') > 0);
});

test('a standby without an address of its own claims nothing on silence, and says so', t => {
  const driver = standby();
  mute(driver);
  driver.run(20_000);
  t.is(driver.role, 'standby', driver.reason);
  t.false(ready(driver));
  t.is(driver.count('claim'), 0);
});

test('when its address is back it listens before it judges the silence', t => {
  const driver = standby();
  mute(driver);
  driver.run(givenUpMs(driver.machine) - 10);
  tell(driver, 'here', [CROSS]);
  driver.run(3 * SETTINGS.intervalMs + SETTINGS.deadMs - 10);
  t.is(driver.role, 'standby', driver.reason);
  driver.run(100);
  t.is(driver.role, 'active', driver.reason);
});

test('without it for so long that the peer may be alone, it listens as after a start, unless it hears the peer', t => {
  const driver = standby();
  mute(driver);
  driver.run(givenUpMs(driver.machine) + 10);
  tell(driver, 'here', [CROSS]);
  driver.run(listenMs(driver.machine) - 10);
  t.is(driver.role, 'standby', driver.reason);
  driver.run(SETTINGS.deadMs);
  t.is(driver.role, 'active', driver.reason);

  const heard = standby();
  const { peer } = heard;
  mute(heard);
  heard.run(givenUpMs(heard.machine) + 10);
  tell(heard, 'here');
  heard.peer = peer;
  heard.run(SETTINGS.deadMs);
  heard.peer = undefined;
  heard.run(SETTINGS.deadMs + SETTINGS.intervalMs);
  t.is(heard.role, 'active', heard.reason);
});

test('who takes over with an own address on one link only keeps the addresses: a dead peer echoes nothing', t => {
  const driver = standby();
  tell(driver, 'gone', [CLIENTS, CLIENTS6]);
  driver.run(2_000);
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(10 * SETTINGS.deadMs);
  t.is(driver.role, 'active', driver.reason);
  t.is(driver.count('claim'), 1);
  t.is(driver.count('give-up'), 0);
});

test('addresses that went with their carrier are silence: a dead peer is replaced at D', t => {
  const driver = standby();
  const from = driver.now;
  mute(driver, 'down');
  driver.run(SETTINGS.deadMs + 100);
  t.is(driver.role, 'active', driver.reason);
  t.true(driver.now - from <= SETTINGS.deadMs + 100);
});

test('nor do they make an owner let go', t => {
  const driver = active();
  mute(driver, 'down');
  driver.run(10_000);
  t.is(driver.role, 'active', driver.reason);
});

test('a router that has bound no link in this life claims nothing on silence, and listens once it has', t => {
  const driver = new Driver({ fixed: FIXED });
  const problem = '192.0.2.2 is not on this host';
  for (const link of [0, 1]) driver.send({ type: 'bound', link, problem });
  driver.run(30_000);
  t.is(driver.role, 'standby');
  t.deepEqual(
    driver.events.filter(code => code.startsWith('LINK_')),
    ['LINK_UNBOUND', 'LINK_UNBOUND'],
    'told once',
  );
  driver.send({ type: 'bound', link: 1, problem: undefined });
  driver.run(3 * SETTINGS.intervalMs + SETTINGS.deadMs - 10);
  t.is(driver.role, 'standby', driver.reason);
  driver.run(100);
  t.is(driver.role, 'active', driver.reason);
});

test('a link that is lost later bars nothing: it has been bound', t => {
  const driver = standby();
  for (const link of [0, 1]) driver.send({ type: 'bound', link, problem: undefined });
  for (const link of [0, 1]) driver.send({ type: 'bound', link, problem: 'taken' });
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(SETTINGS.deadMs + 100);
  t.is(driver.role, 'active', driver.reason);
});

test('VIPs that were kept through a restart stay with a router that cannot bind', t => {
  const driver = new Driver({ fixed: FIXED });
  driver.vipd({ type: 'hello', version: 'test', epoch: { counter: 5, node: 1 }, mode: 'alone', held: 2 });
  for (const link of [0, 1]) driver.send({ type: 'bound', link, problem: 'taken' });
  driver.run(1_000);
  t.is(driver.role, 'active', driver.reason);
});

test('under the name of the other router it claims nothing, not even what was kept', t => {
  const driver = new Driver({ fixed: FIXED });
  driver.vipd({ type: 'hello', version: 'test', epoch: { counter: 5, node: 1 }, mode: 'alone', held: 2 });
  tell(driver, 'down');
  tell(driver, 'here', [PEERS]);
  driver.run(30_000);
  t.is(driver.role, 'standby', driver.reason);
  t.is(driver.count('claim'), 0);
  t.true(driver.count('give-up') > 0);
  t.is(driver.events.filter(code => code === 'WRONG_NAME').length, 1);
  tell(driver, 'here');
  t.is(driver.events.filter(code => code === 'NAME_RIGHT').length, 1);
});

test('one of the peer’s addresses beside its own is a warning', t => {
  const driver = active();
  tell(driver, 'here', [PEERS]);
  driver.run(2_000);
  t.is(driver.role, 'active');
  t.is(driver.events.filter(code => code === 'PEER_ADDRESS_HERE').length, 1);
  t.false(driver.events.includes('WRONG_NAME'));
});

test('with the peer’s addresses of all links beside its own it can reach nobody: it lets go and claims nothing', t => {
  const driver = active();
  tell(driver, 'here', [PEERS, PEERS_CROSS]);
  driver.peer = undefined;
  driver.run(SETTINGS.leaseMs);
  t.is(driver.role, 'standby', driver.reason);
  driver.run(20_000);
  t.is(driver.role, 'standby', driver.reason);
  tell(driver, 'gone', [PEERS]);
  driver.run(listenMs(driver.machine) + SETTINGS.deadMs);
  t.is(driver.role, 'active', driver.reason);
});

for (const [words, lost] of [
  ['IPv4', CLIENTS],
  ['IPv6', CLIENTS6],
] as const) {
  test(`without its own ${words} address on the clients' LAN for a second it hands over, however often`, t => {
    const driver = active();
    for (let round = 0; round < 4; round += 1) {
      tell(driver, 'gone', [lost]);
      const from = driver.effects.length;
      const moved = () =>
        driver.effects
          .slice(from)
          .flatMap(({ effect }) => (effect.type === 'decision' ? [effect.decision.reason] : []))[0];
      driver.run(900);
      t.is(moved(), undefined, 'network managers take addresses away for a moment');
      driver.run(300);
      t.regex(moved() ?? '', /own address on LAN clients is gone/);
      tell(driver, 'here', [lost]);
      driver.run(5_000);
      t.is(driver.role, 'active', driver.reason);
    }
  });
}

test('nor does it stay when the carrier is back without the address', t => {
  const driver = active();
  tell(driver, 'down', [CLIENTS]);
  driver.run(1_050);
  t.true(driver.events.includes('HANDOVER_STARTED'), driver.reason);
});

test('a handover that nobody takes is tried again at a slower and slower pace', t => {
  const driver = active();
  tell(driver, 'gone', [CLIENTS]);
  driver.run(30_000);
  const tries = driver.events.filter(code => code === 'HANDOVER_STARTED').length;
  t.true(tries >= 5 && tries <= 9, `${tries} tries`);
  t.is(driver.role, 'active', driver.reason);
  // What may have changed the cause ends the pause.
  driver.vipd({ type: 'link', index: 1, up: false, mac: '02:00:00:00:01:02' });
  driver.run(50);
  t.is(driver.events.filter(code => code === 'HANDOVER_STARTED').length, tries + 1);
});

test('it stays when the peer has no address there either', t => {
  const driver = active();
  driver.peer = { fitness: 1, sound: false };
  driver.run(200);
  tell(driver, 'gone', [CLIENTS]);
  driver.run(10_000);
  t.is(driver.role, 'active', driver.reason);
});

test('a router that lacks an address where clients are says so by its fitness', t => {
  const driver = standby();
  const fitness = () => (heartbeatsFor(driver.machine, driver.now as At)[0] as Heartbeat).fitness;
  const before = fitness();
  tell(driver, 'gone', [CLIENTS6]);
  driver.run(1_200);
  t.is(before - fitness(), 2);
});

function claims(driver: Driver): number[] {
  return driver.effects.flatMap(({ at, effect }) => (effect.type === 'claim' ? [at] : []));
}

test('claims that fail are tried again after a pause that doubles, 10 s at most', t => {
  const driver = standby();
  driver.refusal = 'kernel';
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(60_000);
  const pauses = claims(driver).map((at, i, all) => at - (all[i - 1] ?? at));
  t.true(pauses.length >= 8 && pauses.length <= 14, `${pauses}`);
  for (const pause of pauses.slice(4)) t.true(pause <= 11_500, `${pauses}`);
  t.true((pauses.at(-1) ?? 0) >= 10_000, `${pauses}`);
  t.is(driver.events.filter(code => code === 'CLAIM_FAILED').length, claims(driver).length);
});

test('while it waits it is not ready, and it is once a claim has succeeded', t => {
  const driver = standby();
  driver.refusal = 'kernel';
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(10_000);
  t.false(ready(driver));
  driver.refusal = undefined;
  driver.run(12_000);
  t.is(driver.role, 'active', driver.reason);
  t.is(driver.machine.retry.failures, 0);
});

for (const [words, happen] of [
  ['a link is up again', (d: Driver) => d.vipd({ type: 'link', index: 1, up: true, mac: '02:00:00:00:01:02' })],
  ['an own address is back', (d: Driver) => tell(d, 'here', [CLIENTS6])],
  [
    'the peer is heard',
    (d: Driver) => {
      d.peer = {};
    },
  ],
  ['a last will comes', (d: Driver) => d.hearWill()],
] as const) {
  test(`the pause ends at once when ${words}`, t => {
    const driver = standby();
    driver.vipd({ type: 'link', index: 1, up: false, mac: '02:00:00:00:01:02' });
    tell(driver, 'gone', [CLIENTS6]);
    driver.refusal = 'kernel';
    driver.peer = undefined;
    driver.peerAnswers = false;
    for (let waited = 0; driver.machine.retry.failures < 6 && waited < 60_000; waited += 50) driver.run(50);
    driver.run(500);
    t.is(driver.machine.retry.failures, 6);
    driver.refusal = undefined;
    happen(driver);
    driver.run(1_500);
    t.is(driver.role, 'active', driver.reason);
  });
}

test('a peer that doubts a LAN because we are silent there gets the addresses all the same', t => {
  const driver = active();
  driver.peer = { fitness: 1, sound: true };
  driver.run(200);
  tell(driver, 'gone', [CLIENTS]);
  driver.run(1_100);
  t.true(driver.events.includes('HANDOVER_STARTED'), driver.reason);
});

test('it says in its heartbeats whether its LANs have carrier and own addresses', t => {
  const driver = standby();
  const sound = () => (heartbeatsFor(driver.machine, driver.now as At)[0] as Heartbeat).sound;
  t.true(sound());
  driver.vipd({ type: 'target', index: 0, up: false });
  driver.run(1_200);
  t.true(sound(), 'a silent target is a doubt');
  tell(driver, 'gone', [CLIENTS6]);
  driver.run(1_200);
  t.false(sound());
  tell(driver, 'here');
  driver.vipd({ type: 'link', index: 1, up: false, mac: '02:00:00:00:01:02' });
  t.false(sound());
});

const COPY_MAC = '02:00:00:00:08:01';
const sent = (driver: Driver) => driver.count('send');

test('a router that starts asks whether another machine has its own addresses, and then only while one has', t => {
  const driver = withOwn(Driver.standby({ fixed: FIXED }));
  const asked = driver.effects.flatMap(({ effect }) => (effect.type === 'resolve' ? [effect.fixed] : []));
  t.true(asked.some(fixed => fixed.includes(CLIENTS as number)));
  const count = driver.count('resolve');
  driver.run(10_000);
  t.is(driver.count('resolve'), count);
});

test('a copy of a router says nothing and claims nothing until the other has gone', t => {
  const driver = new Driver({ fixed: FIXED });
  withOwn(driver);
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.vipd({ type: 'copy', index: CLIENTS as number, mac: COPY_MAC });
  t.true(driver.events.includes('OWN_ADDRESS_TWICE'));
  const before = sent(driver);
  for (let ms = 0; ms < 20_000; ms += 100) {
    const { length } = driver.effects;
    driver.run(100);
    const asks = driver.effects.slice(length).some(({ effect }) => effect.type === 'resolve');
    if (asks) driver.vipd({ type: 'copy', index: CLIENTS as number, mac: COPY_MAC });
  }
  t.is(driver.role, 'standby', driver.reason);
  t.is(sent(driver), before, 'no heartbeat');
  t.is(driver.count('claim'), 0);
  // The other's kernel may serve for as long as a start listens.
  driver.run(3_000);
  t.false(driver.events.includes('OWN_ADDRESS_ONCE'));
  driver.run(7_000);
  t.true(driver.events.includes('OWN_ADDRESS_ONCE'));
  t.is(driver.role, 'active', driver.reason);
  t.true(sent(driver) > before);
});

test('a copy whose original had only lost its cable hears of it again before it claims', t => {
  const driver = new Driver({ fixed: FIXED });
  withOwn(driver);
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.vipd({ type: 'copy', index: CLIENTS as number, mac: COPY_MAC });
  driver.send({ type: 'hold', forMs: undefined });
  driver.run(20_000);
  t.true(driver.events.includes('OWN_ADDRESS_ONCE'));
  const asked = driver.count('resolve');
  driver.run(2_000);
  t.true(driver.count('resolve') > asked, 'it goes on asking');
  driver.vipd({ type: 'copy', index: CLIENTS as number, mac: COPY_MAC });
  driver.send({ type: 'release' });
  driver.run(2_000);
  t.is(driver.role, 'standby', driver.reason);
  t.is(driver.count('claim'), 0);
});

test('the first heartbeat waits for the answer, for one round of probes, and no longer than D for vipd', t => {
  const started = { hold: { on: false, until: undefined }, rulesIn: true, ceiling: 0 } as const;
  const settings = { ...Driver.standby().machine.settings, fixed: FIXED };
  const start = () => newMachine({ settings, now: 0 as At, ...started });
  const sends = (machine: Machine, at: number) =>
    step(machine, { type: 'tick' }, at as At).effects.some(({ type }) => type === 'send');
  const hello = (held: number, mode: 'none' | 'alone'): PulseEvent => ({
    type: 'vipd',
    message: { type: 'hello', version: 'test', epoch: { counter: 0, node: 0 }, mode, held },
  });
  t.false(sends(start(), 0));
  const asked = step(start(), hello(0, 'none'), 15 as At);
  t.true(asked.effects.some(({ type }) => type === 'resolve'));
  const due = nextWake(asked.machine, 15 as At);
  t.is(due as number, 15 + probeRound(settings.intervalMs));
  t.true(sends(asked.machine, due));
  const copy = { type: 'copy', index: CLIENTS as number, mac: COPY_MAC } as const;
  t.false(sends(step(asked.machine, { type: 'vipd', message: copy }, 16 as At).machine, due));
  t.true(sends(start(), settings.deadMs), 'without a vipd nobody can be asked');
  const kept = step(start(), hello(1, 'alone'), 15 as At).machine;
  t.true(sends(kept, 15), 'VIPs that an earlier life has left are spoken for at once');
});

test('a standby whose vipd is a new one asks again: the old one could not answer', t => {
  const driver = withOwn(Driver.standby({ fixed: FIXED }));
  driver.run(5_000);
  const before = driver.count('resolve');
  driver.send({ type: 'vipd-gone', how: 'SIGKILL' });
  driver.vipd({ type: 'hello', version: 'test', epoch: { counter: 0, node: 0 }, mode: 'none', held: 0 });
  t.is(driver.count('resolve'), before + 1);
  driver.vipd({ type: 'copy', index: CLIENTS as number, mac: COPY_MAC });
  const said = sent(driver);
  driver.run(500);
  t.is(sent(driver), said);
});

test('who serves goes on, whoever says that he is the same', t => {
  const driver = active();
  driver.vipd({ type: 'copy', index: CLIENTS as number, mac: COPY_MAC });
  const before = sent(driver);
  driver.run(5_000);
  t.is(driver.role, 'active', driver.reason);
  t.true(sent(driver) > before);
});
