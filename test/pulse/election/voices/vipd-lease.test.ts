// What a router makes of a vipd that dies, and of one that cannot be started any more.
import test from 'ava';
import { whyNotClaim } from '../../../../src/pulse/election/beliefs/claim-bars.ts';
import { heartbeatsFor } from '../../../../src/pulse/own-heartbeat.ts';
import { type At, ms } from '../../../../src/units/duration.ts';
import type { WitnessAsk } from '../../../../src/witness/witness.ts';
import { Driver } from '../driver.ts';

/** Each new vipd dies before its hello. */
function breakVipd(driver: Driver, forMs: number): void {
  for (let spentMs = 0; spentMs < forMs; spentMs += 150) {
    driver.send({ type: 'vipd-gone', how: 'exit 1' });
    driver.run(150);
  }
}

const hello = (driver: Driver) =>
  driver.vipd({ type: 'hello', version: 'test', epoch: { counter: 0, node: 0 }, mode: 'none', held: 0 });

const saysReady = (driver: Driver) => heartbeatsFor(driver.machine, driver.now as At)[0]?.ready;

test('a standby says that it is ready only while it has a vipd; one that is replaced at once changes nothing', t => {
  const driver = Driver.standby();
  driver.send({ type: 'vipd-gone', how: 'SIGKILL' });
  driver.run(20);
  t.true(saysReady(driver), 'a new one is on its way');
  hello(driver);
  driver.run(1_000);
  t.true(saysReady(driver));
  breakVipd(driver, 600);
  t.false(saysReady(driver));
  t.regex(whyNotClaim(driver.machine, driver.now as At) ?? '', /vipd is not running/);
  hello(driver);
  t.true(saysReady(driver));
});

test('an owner whose vipd is gone could not claim, and says that its kernel may hold the addresses', t => {
  const driver = Driver.active();
  driver.peer = { readsVersion2: true };
  driver.run(500);
  const says = () => heartbeatsFor(driver.machine, driver.now as At)[0];
  t.like(says(), { ready: true, serving: true, mayHold: true });
  breakVipd(driver, 900);
  t.like(says(), { role: 'active', ready: false, serving: false, mayHold: true });
  breakVipd(driver, 8_000);
  t.like(says(), { role: 'standby', ready: false, serving: false, mayHold: false });
});

test('an owner whose vipd stays away ends its term, at the witness too, once its addresses cannot live any more', t => {
  const grants = (ask: WitnessAsk) => ({
    verdict: ask.verb === 'look' || ask.verb === 'release' ? ('seen' as const) : ('granted' as const),
    record: { nodeId: 1, epoch: ask.epoch, remainingMs: 1_000 },
    problem: '',
  });
  const driver = Driver.active({ witness: { leaseMs: ms(1_000) } }, grants);
  // Alone: the lease is not armed, and the kernel keeps the addresses.
  driver.peer = undefined;
  driver.run(10_000);
  breakVipd(driver, 1_500);
  t.is(driver.role, 'active', 'its kernel may serve');
  t.is(driver.asked.at(-1)?.verb, 'renew');
  breakVipd(driver, 8_000);
  t.is(driver.role, 'standby', driver.reason);
  t.regex(driver.reason, /vipd could not be started/);
  t.true(driver.asked.some(({ verb }) => verb === 'release'));
});
