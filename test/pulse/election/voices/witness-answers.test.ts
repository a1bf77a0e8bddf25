// The witness in the election, told as behaviour: what it may move, and that its loss alone moves
// nothing.
import test from 'ava';
import { ms } from '../../../../src/units/duration.ts';
import type { WitnessAnswer, WitnessAsk } from '../../../../src/witness/witness.ts';
import { Driver } from '../driver.ts';

const WITNESS = { witness: { leaseMs: ms(1_000) } };
type Answer = Omit<WitnessAnswer, 'seq'>;

const grants = (ask: WitnessAsk): Answer => ({
  verdict: ask.verb === 'look' || ask.verb === 'release' ? 'seen' : 'granted',
  record: { nodeId: 1, epoch: ask.epoch, remainingMs: 1_000 },
  problem: '',
});
const fails = (): Answer => ({ verdict: 'failed', record: undefined, problem: 'nobody answers' });
const holds =
  (remainingMs: number) =>
  (ask: WitnessAsk): Answer => ({
    verdict: ask.verb === 'look' ? 'seen' : remainingMs > 0 ? 'refused' : 'granted',
    record: { nodeId: 2, epoch: { counter: 7, node: 2 }, remainingMs },
    problem: '',
  });
const grantedToPeer = (): Answer => ({
  verdict: 'stale',
  record: { nodeId: 2, epoch: { counter: 99, node: 2 }, remainingMs: 900 },
  problem: '',
});
const empty = (ask: WitnessAsk): Answer => ({
  verdict: ask.verb === 'renew' || ask.verb === 'found' ? 'granted' : 'empty',
  record: undefined,
  problem: '',
});

test('an owner renews its lease with the witness several times in each', t => {
  const driver = Driver.active(WITNESS, grants);
  const before = driver.asked.length;
  driver.run(2_000);
  const renewals = driver.asked.slice(before).filter(ask => ask.verb === 'renew').length;
  t.true(renewals >= 8 && renewals <= 12, `${renewals} renewals in two leases`);
  t.deepEqual(driver.asked.at(-1)?.epoch, 'epoch' in driver.machine.state && driver.machine.state.epoch);
});

test('a witness that is lost moves nothing while the peer is heard, and is told once', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.witness = fails;
  driver.run(60_000);
  t.is(driver.role, 'active');
  t.is(driver.events.filter(code => code === 'WITNESS_LOST').length, 1);
  driver.witness = grants;
  driver.run(1_000);
  t.true(driver.events.includes('WITNESS_BACK'));
});

test('a witness that never answers is never waited for: one question is under way, heartbeats go on', t => {
  const driver = Driver.active(WITNESS, undefined);
  t.is(driver.role, 'active');
  const sent = driver.count('send');
  driver.run(5_000);
  t.is(driver.asked.length, 1);
  t.true(driver.count('send') - sent >= 50);
});

test('an owner that loses peer and witness together lets go before its lease there has ended', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.peer = undefined;
  driver.witness = fails;
  const cutAt = driver.now;
  driver.run(1_000);
  t.is(driver.role, 'standby', driver.reason);
  t.regex(driver.reason, /neither the peer nor the witness/);
  const gone = driver.effects.find(({ at, effect }) => at >= cutAt && effect.type === 'give-up')?.at ?? Infinity;
  t.true(gone - cutAt <= 1_000 - 220 - 100 + 1, `after ${gone - cutAt} ms`);
});

test('until then its own lease stays armed: a stall must not leave the addresses for longer', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.peer = undefined;
  driver.run(2_000);
  t.is(driver.role, 'active', 'the witness agrees');
  const renewal = driver.effects.findLast(({ effect }) => effect.type === 'renew')?.effect;
  t.is(renewal?.type === 'renew' ? renewal.lease.mode : '', 'armed');
});

test('an owner that has been alone for long with the witness keeps the addresses when that one is lost, too: two faults', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.peer = undefined;
  driver.run(60_000);
  driver.witness = fails;
  driver.run(60_000);
  t.is(driver.role, 'active', driver.reason);
});

test('a witness that was lost long before the peer has no say', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.witness = fails;
  driver.run(60_000);
  driver.peer = undefined;
  driver.run(10_000);
  t.is(driver.role, 'active', driver.reason);
});

test('a peer that was told to stop is no partition: without a witness its partner goes on', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.peer = { role: 'stopping' };
  driver.run(200);
  driver.peer = undefined;
  driver.witness = fails;
  driver.run(10_000);
  t.is(driver.role, 'active', driver.reason);
});

test('a standby that hears nobody takes nothing as long as the witness says that the peer lives', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, holds(800));
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(20_000);
  t.is(driver.role, 'standby', driver.reason);
  t.true(driver.events.includes('WITNESS_REFUSES'));
  driver.witness = holds(0);
  driver.run(100);
  t.is(driver.role, 'active', driver.reason);
  t.regex(driver.reason, /the witness grants it/);
  t.deepEqual(
    driver.asked.findLast(ask => ask.verb === 'renew')?.epoch,
    { counter: 8, node: 1 },
    'its epoch is the granted one',
  );
});

test('a standby that loses peer and witness together takes nothing: it is probably cut off itself', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, holds(800));
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.witness = fails;
  driver.run(60_000);
  t.is(driver.role, 'standby', driver.reason);
});

test('what the peer said of the witness counts, too', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, fails);
  driver.run(60_000);
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(10_000);
  t.is(driver.role, 'standby', 'the peer had it, so the peer may still be renewing there');
});

test('a witness that both had lost long ago does not bar a failover', t => {
  const driver = Driver.standby(WITNESS, {}, fails);
  driver.run(60_000);
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(1_000);
  t.is(driver.role, 'active', driver.reason);
});

test('an empty witness is told, and grants a claim only after one lease', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, holds(800));
  driver.witness = empty;
  driver.peer = undefined;
  driver.peerAnswers = false;
  const emptiedAt = driver.now;
  driver.run(5_000);
  t.true(driver.events.includes('WITNESS_AMNESIA'));
  t.is(driver.role, 'active', driver.reason);
  const found = driver.effects.find(({ effect }) => effect.type === 'witness' && effect.ask.verb === 'found')?.at ?? 0;
  t.true(found - emptiedAt >= 1_000, `asked after ${found - emptiedAt} ms`);
});

test('the last will needs no grant', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, holds(800));
  driver.hearWill();
  t.is(driver.role, 'active', driver.reason);
});

test('an owner that has no vipd, and whose lease has ended, releases it there: the peer may wait for that, unheard', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.send({ type: 'vipd-gone', how: 'exit 1' });
  const before = driver.asked.length;
  driver.run(1_000);
  t.is(driver.role, 'active', 'a vipd may come back');
  t.true(driver.asked.slice(before).some(ask => ask.verb === 'release'));
  t.not(driver.asked.at(-1)?.verb, 'renew');
});

test('who has handed over releases its lease there', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.send({ type: 'handover', cold: false });
  driver.run(10);
  driver.peer = { role: 'active', serving: true, epoch: { counter: 2, node: 2 } };
  driver.run(1_000);
  t.is(driver.role, 'standby', driver.reason);
  t.true(driver.asked.some(ask => ask.verb === 'release'));
});

test('an owner that hears no peer lets go when the witness has granted the addresses to it', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.peer = undefined;
  driver.run(500);
  driver.witness = grantedToPeer;
  driver.run(300);
  t.is(driver.role, 'standby', driver.reason);
});

test('who took over by the last will of a peer that is silent since is not cut off, even before the witness knows of it', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, holds(800));
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.witness = undefined;
  driver.hearWill();
  driver.run(5_000);
  t.is(driver.role, 'active', driver.reason);
});

test('an owner whom the peer does not hear lets go as well, although it hears the peer', t => {
  const driver = Driver.active(WITNESS, grants);
  driver.unechoed = [0, 1];
  driver.run(500);
  t.is(driver.role, 'active', 'as long as the witness keeps it the owner');
  driver.witness = grantedToPeer;
  driver.run(300);
  t.is(driver.role, 'standby', driver.reason);
});

test('where nobody serves, the witness is asked: its word is newer than the peer’s', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, holds(800));
  driver.peer = { role: 'standby', serving: false, witness: true };
  driver.peerAnswers = false;
  driver.run(5_000);
  t.is(driver.role, 'standby', 'somebody is the owner there');
  driver.witness = grants;
  driver.run(3_000);
  t.is(driver.role, 'active', driver.reason);
});

test('a peer that cannot claim has not claimed: nobody is asked', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, holds(800));
  driver.peer = { role: 'standby', serving: false, witness: true, ready: false };
  driver.peerAnswers = false;
  driver.run(3_000);
  t.is(driver.role, 'active', driver.reason);
});

test('a grant ends with a later refusal', t => {
  const driver = Driver.standby(WITNESS, { witness: true }, holds(800));
  let claims = 0;
  driver.witness = ask => {
    if (ask.verb !== 'claim') return holds(800)(ask);
    claims += 1;
    return claims === 1 ? grants(ask) : holds(800)(ask);
  };
  driver.peer = undefined;
  driver.peerAnswers = false;
  driver.run(5_000);
  t.true(claims > 1);
  t.is(driver.role, 'standby', driver.reason);
});
