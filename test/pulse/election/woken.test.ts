// What an owner says of itself that was stopped for longer than its lease and wakes to a peer that
// serves.
import test from 'ava';
import { Driver } from './driver.ts';

const SERVES = { role: 'active', serving: true, epoch: { counter: 99, node: 2 } } as const;

test('an owner that wakes after its lease and hears the peer serve tells of the lease, and of no conflict', t => {
  const driver = Driver.active();
  driver.now += 1_000;
  driver.peer = SERVES;
  driver.run(50);
  t.is(driver.role, 'standby');
  t.true(driver.events.includes('LEASE_EXPIRED'));
  t.false(driver.events.includes('CONFLICT_LOST'), 'the addresses were gone before the peer had them');
  t.is(driver.count('give-up'), 1);
});

test('an owner within its lease that hears the peer serve under a higher epoch tells of the conflict and lets go', t => {
  const driver = Driver.active();
  driver.peer = SERVES;
  driver.run(150);
  t.is(driver.role, 'standby');
  t.true(driver.events.includes('CONFLICT_LOST'));
  t.is(driver.count('give-up'), 1);
});
