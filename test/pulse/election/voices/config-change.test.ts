// Reloads in one machine: what it does and what it says until its peer knows, and what an old,
// longer lease of the peer's forbids.
import test from 'ava';
import { deadMs } from '../../../../src/pulse/election/beliefs/deadlines.ts';
import type { Reloadable } from '../../../../src/pulse/election/machine.ts';
import type { Heartbeat } from '../../../../src/pulse/heartbeat.ts';
import { heartbeatsFor } from '../../../../src/pulse/own-heartbeat.ts';
import { divide } from '../../../../src/pulse/reading.ts';
import { type At, ms } from '../../../../src/units/duration.ts';
import { Driver, SETTINGS } from '../driver.ts';

const { priority, intervalMs, leaseMs, autoFailback, keepsSessions, onIsolation, onConflict, noticeMs, units } =
  SETTINGS;
const NOW: Reloadable = {
  ...{ priority, intervalMs, leaseMs, deadMs: SETTINGS.deadMs },
  ...{ autoFailback, keepsSessions, onIsolation, onConflict, noticeMs, units },
};
const LONGER = { ...NOW, intervalMs: ms(150), leaseMs: ms(440), deadMs: ms(600) };
const SHORTER = { ...NOW, intervalMs: ms(50), leaseMs: ms(110), deadMs: ms(150) };

const said = ({ machine, now }: Driver) => heartbeatsFor(machine, now as At)[0] as Heartbeat;
const asked = (driver: Driver) =>
  driver.effects.flatMap(({ effect }) => (effect.type === 'renew' ? [effect.lease.leaseMs as number] : []));
const inForce = ({ machine: { settings } }: Driver) => [settings.intervalMs, settings.leaseMs, settings.deadMs];

function reload(driver: Driver, next: Reloadable): Driver {
  driver.send({ type: 'reload', next });
  return driver;
}

test('a longer lease is said at once and asked for only when the peer has echoed that', t => {
  const driver = Driver.active();
  driver.unechoed = [0, 1];
  reload(driver, LONGER).run(50);
  t.is(said(driver).leaseMs, 440 as never);
  t.is(said(driver).intervalMs, 150 as never);
  const before = asked(driver).length;
  driver.run(1_000);
  t.deepEqual([...new Set(asked(driver).slice(before))], [220], 'the peer echoes an old heartbeat only');
  t.deepEqual(inForce(driver), [100, 220, 600], 'who waits longer needs to ask nobody');
  t.is(driver.count('gate'), 0, 'nor do the rules of the packet lease let in for longer');
  driver.unechoed = [];
  driver.run(400);
  t.deepEqual(inForce(driver), [150, 440, 600]);
  t.is(asked(driver).at(-1), 440);
  t.true(driver.events.includes('TIMES_CHANGED'));
  t.is(driver.role, 'active');
});

test('a longer lease waits for the packet lease too', t => {
  const driver = Driver.active();
  driver.gateMs = 500;
  reload(driver, LONGER).run(450);
  t.is(driver.count('gate'), 1);
  t.is(asked(driver).at(-1), 220);
  driver.run(500);
  t.is(asked(driver).at(-1), 440);
});

test('a shorter lease is asked for at once and said only when the old one is over, in vipd and in the kernel', t => {
  const driver = Driver.active();
  driver.gateMs = 400;
  const began = driver.now;
  reload(driver, SHORTER).run(10);
  t.deepEqual(inForce(driver), [50, 110, 300], 'D stays the longer one');
  t.is(asked(driver).at(-1), 110);
  t.true(said(driver).serving, 'the longer lease that it has still counts');
  t.deepEqual([said(driver).leaseMs, said(driver).intervalMs, said(driver).deadMs], [220, 100, 150] as never[]);
  driver.run(began + 400 + 220 - driver.now);
  t.is(said(driver).leaseMs, 220 as never, 'the rules let in for that long until 400 ms after the reload');
  driver.run(200);
  t.deepEqual([said(driver).leaseMs, said(driver).intervalMs, said(driver).deadMs], [110, 50, 150] as never[]);
  t.deepEqual(inForce(driver), [50, 110, 150]);
  t.is(driver.role, 'active');
});

test('a shorter D is used when the peer knows of it and its own longer lease is over', t => {
  const driver = Driver.standby();
  driver.unechoed = [0, 1];
  reload(driver, SHORTER).run(2_000);
  t.is(deadMs(driver.machine), ms(300), 'it may not know');
  driver.unechoed = [];
  driver.run(300);
  t.is(driver.machine.settings.deadMs, ms(150));
  t.is(deadMs(driver.machine), ms(300), 'its lease is 220 ms');
  driver.peer = { ...driver.peer, leaseMs: ms(110), intervalMs: ms(50) };
  driver.run(150);
  t.is(deadMs(driver.machine), ms(300), 'the longer one may still be held, say by the life before this one');
  driver.run(400);
  t.is(deadMs(driver.machine), ms(150));
});

test('a peer that has been silent for as long as a start listens need not echo', t => {
  const driver = Driver.active();
  driver.peer = undefined;
  driver.run(1_000);
  reload(driver, LONGER).run(1_000);
  t.is(asked(driver).at(-1), 220);
  driver.run(8_000);
  t.is(asked(driver).at(-1), 440);
});

test('two reloads, the second before the peer has heard of the first: nothing in between is asked for', t => {
  const driver = Driver.active();
  driver.unechoed = [0, 1];
  const before = asked(driver).length;
  reload(driver, LONGER).run(300);
  reload(driver, SHORTER).run(300);
  driver.unechoed = [];
  driver.run(1_500);
  t.deepEqual([...new Set(asked(driver).slice(before))].sort(), [110, 220]);
  t.deepEqual(inForce(driver), [50, 110, 150]);
});

test('a higher priority is said first; until the peer knows, this router does not go first', t => {
  const driver = Driver.active();
  driver.unechoed = [0, 1];
  reload(driver, { ...NOW, priority: 200 }).run(300);
  t.is(said(driver).priority, 200);
  t.is(driver.machine.settings.priority, 100);
  driver.unechoed = [];
  driver.run(300);
  t.is(driver.machine.settings.priority, 200);
  t.is(driver.count('gate'), 0, 'the packet lease is no part of it');
});

test('what concerns nobody else is taken at once, and the same file again changes nothing', t => {
  const driver = Driver.active();
  reload(driver, { ...NOW, autoFailback: true, onIsolation: 'keep', onConflict: 'stand-down', noticeMs: ms(5) });
  const { settings, change } = driver.machine;
  t.deepEqual(
    [settings.autoFailback, settings.onIsolation, settings.onConflict, settings.noticeMs],
    [true, 'keep', 'stand-down', ms(5)],
  );
  t.is(change, undefined);
});

test('times that were checked against another witness wait along with it; the rest is taken', t => {
  const parts = { witness: 'a', 'lans.clients': 'b' };
  const reading = (next: Reloadable, changed: object) =>
    ({ ok: true, next, digest: '', pulseDigest: '', warnings: 0, parts: { ...parts, ...changed } }) as const;
  const inUse = { taken: NOW, parts };
  t.deepEqual(divide(inUse, reading(LONGER, {})), { next: LONGER, waiting: [] });
  t.deepEqual(divide(inUse, reading(LONGER, { 'lans.clients': 'c' })), { next: LONGER, waiting: ['lans.clients'] });
  // What is served together goes by the numbers of the addresses, which stay with the LANs.
  const other = { ...LONGER, units: [[0]] };
  t.deepEqual(divide(inUse, reading(other, {})).next.units, [[0]]);
  t.deepEqual(divide(inUse, reading(other, { 'lans.clients': 'c' })).next.units, NOW.units);
  const { next, waiting } = divide(inUse, reading({ ...LONGER, priority: 7 }, { witness: 'c' }));
  t.deepEqual(next, { ...NOW, priority: 7 });
  t.deepEqual(waiting, ['witness', 'the times of heartbeat']);
});
