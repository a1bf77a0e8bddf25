// What can be served is served: claims and renewals ask for the units that this router can hold,
// the peer is told how many, and the owner hands over to one that can hold more.
import test from 'ava';
import { addressesToHold, whyNotHeld } from '../../../../src/pulse/election/beliefs/holdable.ts';
import type { Machine, Settings } from '../../../../src/pulse/election/machine.ts';
import type { Heartbeat } from '../../../../src/pulse/heartbeat.ts';
import { heartbeatsFor } from '../../../../src/pulse/own-heartbeat.ts';
import type { At } from '../../../../src/units/duration.ts';
import { Driver, SETTINGS } from '../driver.ts';

/** A VIP with its gateway, another one by IPv6 on the LAN of the first. */
const PAIR: Partial<Settings> = {
  addressLans: [0, 1, 0],
  units: [[0, 1], [2]],
  fixed: [],
};
/** The peer speaks version 2 and can hold so many. */
const second = (units: number, more: Partial<Heartbeat> = {}): Partial<Heartbeat> => ({
  version: 2,
  readsVersion2: true,
  units,
  macs: SETTINGS.lans.slice(0, 2).map(({ id }, i) => ({ lan: id, mac: `02:00:00:00:02:0${i + 1}` })),
  ...more,
});
const asked = (driver: Driver, type: 'claim' | 'renew') =>
  driver.effects.flatMap(({ effect }) =>
    effect.type === type && 'lease' in effect ? [effect.lease.addresses.join(' ')] : [],
  );
const said = ({ machine, now }: Driver) => heartbeatsFor(machine, now as At)[0] as Heartbeat;
const held = (machine: Machine) => [...machine.addresses.keys()].filter(index => machine.addresses[index]?.here);

function active(units: number): Driver {
  const driver = new Driver(PAIR);
  driver.peer = second(units);
  return driver.run(3_000);
}

function standby(): Driver {
  const driver = Driver.standby(PAIR, second(2));
  return driver;
}

test('a router whose IPv6 is disabled claims what it can hold, and says so', t => {
  const driver = standby();
  t.is(said(driver).units, 2);
  driver.vipd({ type: 'place', index: 2, state: 'no-ipv6' });
  driver.run(200);
  t.is(said(driver).units, 1);
  t.true(said(driver).ready);
  t.deepEqual(driver.events.filter(code => code === 'VIP_CANNOT_BE_HELD').length, 1);
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(1_000);
  t.is(driver.role, 'active');
  t.deepEqual(asked(driver, 'claim'), ['0 1']);
  t.deepEqual(held(driver.machine), [0, 1]);
});

test('what becomes possible is asked for at once, within the term', t => {
  const driver = active(1);
  t.deepEqual(asked(driver, 'claim'), ['0 1 2']);
  driver.vipd({ type: 'place', index: 2, state: 'no-ipv6' });
  t.is(asked(driver, 'renew').at(-1), '0 1');
  t.is(driver.role, 'active');
  driver.run(500);
  const epoch = said(driver).epoch;
  driver.vipd({ type: 'place', index: 2, state: 'here' });
  t.is(asked(driver, 'renew').at(-1), '0 1 2');
  driver.vipd({ type: 'added', index: 2 });
  t.deepEqual(held(driver.machine), [0, 1, 2]);
  t.deepEqual(said(driver).epoch, epoch);
  t.is(driver.count('give-up'), 0);
});

test('what was refused during a handover that came to nothing is not taken for held because its place is back', t => {
  const driver = active(2);
  driver.send({ type: 'handover', cold: true });
  t.is(driver.role, 'handing-over', driver.reason);
  // vipd is asked for it still, tries again and again, and tells a refusal once.
  driver.vipd({ type: 'denied', index: 1, text: 'refused' });
  driver.vipd({ type: 'place', index: 1, state: 'no-interface' });
  driver.vipd({ type: 'place', index: 1, state: 'here' });
  const before = asked(driver, 'renew').length;
  driver.run(300);
  t.is(driver.role, 'active', driver.reason);
  t.is(asked(driver, 'renew')[before], '2', 'nor is its VIP without it');
});

test('a VIP is not held without its gateway, nor a gateway without its VIP', t => {
  const driver = active(1);
  driver.vipd({ type: 'place', index: 1, state: 'no-interface' });
  t.is(asked(driver, 'renew').at(-1), '2');
  t.is(whyNotHeld(driver.machine, 1, driver.now as At), 'there is no interface s0');
  t.regex(whyNotHeld(driver.machine, 0, driver.now as At) ?? '', /served together with .* there is no interface s0/);
});

test('a claim that the kernel refuses in part is made again for the rest at once, under the same epoch', t => {
  const driver = standby();
  driver.denies = new Set([2]);
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(1_000);
  t.is(driver.role, 'active', driver.reason);
  t.deepEqual(asked(driver, 'claim'), ['0 1 2', '0 1']);
  const epochs = driver.effects.flatMap(({ effect }) => (effect.type === 'claim' ? [effect.lease.epoch.counter] : []));
  t.is(new Set(epochs).size, 1);
  t.false(driver.events.includes('CLAIM_FAILED'));
});

test('a router that can hold nothing claims nothing, and is not ready', t => {
  const driver = standby();
  for (const index of [0, 2]) driver.vipd({ type: 'place', index, state: 'no-interface' });
  driver.run(100);
  t.false(said(driver).ready);
  t.is(said(driver).units, 0);
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(3_000);
  t.is(driver.count('claim'), 0);
  driver.vipd({ type: 'place', index: 2, state: 'here' });
  driver.run(500);
  t.deepEqual(asked(driver, 'claim'), ['2']);
});

test('an owner that can hold nothing any more lets go with its will', t => {
  const driver = active(2);
  driver.vipd({ type: 'place', index: 0, state: 'no-interface' });
  t.is(driver.role, 'active');
  driver.vipd({ type: 'place', index: 2, state: 'no-interface' });
  t.is(driver.role, 'standby');
  t.true(driver.effects.some(({ effect }) => effect.type === 'give-up' && effect.will));
  t.regex(driver.reason, /none of the VIPs can be held here: there is no interface c0/);
});

test('an owner tries again what was refused, that alone and at a slower and slower pace, and then the rest of the unit', t => {
  const driver = active(1);
  driver.denies = new Set([1]);
  driver.vipd({ type: 'denied', index: 1, text: 'no' });
  t.is(asked(driver, 'renew').at(-1), '2');
  const before = driver.effects.length;
  driver.run(25_000);
  const trials = driver.effects
    .slice(before)
    .flatMap(({ at, effect }) => (effect.type === 'renew' && effect.lease.addresses.includes(1) ? [at] : []));
  t.true(trials.length >= 5 && trials.length <= 8, `${trials.length} trials`);
  driver.denies = new Set();
  driver.run(10_200);
  t.is(asked(driver, 'renew').at(-1), '0 1 2');
  t.is(driver.role, 'active');
});

test('a link or an own address that changes makes it forget the refusal', t => {
  const driver = active(1);
  driver.vipd({ type: 'denied', index: 1, text: 'no' });
  t.deepEqual(addressesToHold(driver.machine, driver.now as At), [2]);
  driver.vipd({ type: 'link', index: 1, up: false, mac: '02:00:00:00:01:02' });
  driver.vipd({ type: 'link', index: 1, up: true, mac: '02:00:00:00:01:02' });
  t.deepEqual(addressesToHold(driver.machine, driver.now as At), [0, 1, 2]);
});

test('an owner hands over to a peer that can hold more, and not to one that can hold as many', t => {
  const same = active(1);
  same.vipd({ type: 'place', index: 2, state: 'no-ipv6' });
  same.run(20_000);
  t.is(same.role, 'active');
  const more = active(2);
  more.vipd({ type: 'place', index: 2, state: 'no-ipv6' });
  more.run(SETTINGS.deadMs);
  t.is(more.role, 'active', 'it may be a moment');
  more.run(2 * SETTINGS.deadMs);
  t.true(more.reasons.includes('the peer can hold more of the VIPs'), more.reason);
});

test('a peer of the version before counts as one that can hold all; one that has not said yet does not', t => {
  const old = Driver.active(PAIR);
  old.vipd({ type: 'place', index: 2, state: 'no-ipv6' });
  old.run(1_000);
  t.true(old.reasons.includes('the peer can hold more of the VIPs'));
  const unknown = new Driver(PAIR);
  unknown.peer = { readsVersion2: true };
  unknown.run(3_000);
  unknown.vipd({ type: 'place', index: 2, state: 'no-ipv6' });
  unknown.run(5_000);
  t.is(unknown.role, 'active');
});

test('a peer that has lost units often is no refuge: the owner waits for longer each time', t => {
  const driver = active(2);
  for (let times = 0; times < 3; times += 1) {
    driver.peer = second(1);
    driver.run(300);
    driver.peer = second(2);
    driver.run(300);
  }
  driver.vipd({ type: 'place', index: 2, state: 'no-ipv6' });
  driver.run(20_000);
  t.is(driver.role, 'active');
  driver.run(30_000);
  t.true(driver.reasons.includes('the peer can hold more of the VIPs'));
});

test('a less fit peer gets nothing for holding more, and automatic failback gives nothing to one that holds less', t => {
  const unfit = active(2);
  unfit.peer = second(2, { fitness: 0 });
  unfit.vipd({ type: 'place', index: 2, state: 'no-ipv6' });
  unfit.run(10_000);
  t.is(unfit.role, 'active');
  const back = new Driver({ ...PAIR, autoFailback: true });
  back.peer = second(1, { priority: 90 });
  back.run(3_000);
  back.peer = second(1, { priority: 200 });
  back.run(40_000);
  t.is(back.role, 'active');
  back.peer = second(2, { priority: 200 });
  back.run(40_000);
  t.true(back.reasons.includes('automatic failback to the higher priority'));
});
