// The probe itself: a standby tries it in calm weather, says when it sees nothing of a peer that
// serves, and takes over all the same.
import test from 'ava';
import { Driver, PEER_MAC } from '../driver.ts';

const KEPT_MS = 5_000 + 220 + 1_250 + 300;

test('a peer that serves and answers no probe makes the probe blind, once told; an answer ends it', t => {
  const driver = Driver.standby();
  driver.run(20_000);
  t.false(driver.events.includes('PROBE_BLIND'));
  driver.peerAnswers = false;
  driver.run(20_000);
  t.is(driver.events.filter(code => code === 'PROBE_BLIND').length, 2, 'one for each address');
  t.is(driver.role, 'standby');
  driver.peerAnswers = true;
  driver.run(10_000);
  t.is(driver.events.filter(code => code === 'PROBE_SEES').length, 2);
});

for (const [what, cut] of [
  ['this router', (d: Driver) => d.vipd({ type: 'link', index: 0, up: false, mac: '02:00:00:00:01:01' })],
  ['the peer', (d: Driver) => Object.assign(d, { peer: { ...d.peer, fitness: 1 } })],
] as const)
  test(`a LAN that is dead at ${what} makes no probe blind`, t => {
    const driver = Driver.standby();
    driver.run(20_000);
    cut(driver);
    driver.peerAnswers = false;
    driver.run(20_000);
    const blind = driver.events.filter(code => code === 'PROBE_BLIND').length;
    t.is(blind, what === 'the peer' ? 0 : 1, 'only the address of the LAN that works');
  });

test('a blind probe bars no takeover', t => {
  const driver = Driver.standby();
  driver.peerAnswers = false;
  driver.run(20_000);
  driver.peer = undefined;
  driver.run(450);
  t.is(driver.role, 'active', driver.reason);
});

test('an answer by ARP delays a takeover behind a filter by what a kernel may keep, once, and no takeover else', t => {
  const takenAfterMs = (seen: boolean) => {
    const driver = Driver.standby();
    driver.peerAnswers = seen;
    driver.run(20_000);
    Object.assign(driver, { peer: undefined, peerAnswers: false, arpMac: PEER_MAC });
    const at = driver.now;
    for (let ms = 0; ms < 2 * KEPT_MS && driver.role === 'standby'; ms += 50) driver.run(50);
    t.is(driver.role, 'active', driver.reason);
    return driver.now - at;
  };
  t.true(takenAfterMs(true) < 600, 'its echoes were seen: their silence counts');
  const delayed = takenAfterMs(false);
  t.true(delayed > KEPT_MS && delayed < KEPT_MS + 1_000, `${delayed}`);
});
