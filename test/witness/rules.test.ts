// The rules of the witness' lease, as sentences and over random histories: one owner at a time, epochs that only grow, and no trust in
// what another run of Redis has left.
import test from 'ava';
import fc from 'fast-check';
import { compareEpochs, EPOCH_NONE, type Epoch, newerEpoch } from '../../src/units/epoch.ts';
import {
  type Asked,
  judge,
  recordOf,
  type StoredRecord,
  WITNESS_VERBS,
  type WitnessServer,
} from '../../src/witness/witness.ts';

const RUN = 'run1';
const at = (nowMs: number, runId = RUN): WitnessServer => ({ nowMs, runId });
const epoch = (counter: number, node: number): Epoch => ({ counter, node });
const by = (nodeId: number, verb: Asked['verb'], counter: number, leaseMs = 1_000): Asked => ({
  verb,
  nodeId,
  epoch: epoch(counter, nodeId),
  leaseMs,
});
/** What is on record after router 1 was granted epoch 5 at 10,000 ms, for one second. */
const OWNED = judge(undefined, by(1, 'renew', 5), at(10_000)).stored as StoredRecord;

test('an owner whose witness has forgotten registers anew by its renewal', t => {
  const { verdict, stored } = judge(undefined, by(1, 'renew', 5), at(10_000));
  t.is(verdict, 'granted');
  t.deepEqual(stored && recordOf(stored, at(10_400)), { nodeId: 1, epoch: epoch(5, 1), remainingMs: 600 });
});

test('a claim is never granted by a witness that has forgotten; it is after it was found empty for a lease', t => {
  t.like(judge(undefined, by(2, 'claim', 6), at(10_000)), { verdict: 'empty', stored: undefined });
  t.like(judge(undefined, by(2, 'found', 6), at(11_000)), { verdict: 'granted' });
});

test('found is refused when the owner has registered meanwhile', t => {
  t.is(judge(OWNED, by(2, 'found', 6), at(10_500)).verdict, 'refused');
});

test('while the lease runs the other is refused, whatever its epoch; from its end on it is granted', t => {
  t.is(judge(OWNED, by(2, 'claim', 99), at(10_999)).verdict, 'refused');
  t.is(judge(OWNED, by(2, 'claim', 6), at(11_000)).verdict, 'granted');
});

test('what is older than the record is stale: a claim, and a renewal of an owner that was replaced', t => {
  t.is(judge(OWNED, by(2, 'claim', 4), at(11_000)).verdict, 'stale');
  t.is(judge(OWNED, by(1, 'claim', 4), at(11_000)).verdict, 'stale', 'its own record, too: epochs only grow');
  const replaced = judge(OWNED, by(2, 'claim', 6), at(11_000)).stored;
  t.like(judge(replaced, by(1, 'renew', 5), at(11_100)), { verdict: 'stale', stored: { nodeId: 2 } });
});

test('the same epoch is granted to its owner again, to nobody else', t => {
  t.is(judge(OWNED, by(1, 'claim', 5), at(10_500)).verdict, 'granted', 'the answer was lost');
  t.is(judge(OWNED, { ...by(2, 'claim', 5), epoch: OWNED.epoch }, at(20_000)).verdict, 'stale');
  t.is(judge(OWNED, { ...by(2, 'renew', 5), epoch: OWNED.epoch }, at(20_000)).verdict, 'stale');
});

test('a release ends the lease of its own term only', t => {
  const free = judge(OWNED, by(1, 'release', 5), at(10_100)).stored;
  t.is(judge(free, by(2, 'claim', 6), at(10_101)).verdict, 'granted');
  t.is(judge(OWNED, by(1, 'release', 4), at(10_100)).stored?.untilMs, 11_000, 'a late one of an earlier term');
  t.is(judge(OWNED, by(2, 'release', 9), at(10_100)).stored?.untilMs, 11_000, 'of the other router');
  t.like(judge(undefined, by(1, 'release', 5), at(10_100)), { verdict: 'empty', stored: undefined });
});

test('what another run of Redis has left is no word, but its epoch is a floor', t => {
  const later = at(60_000, 'run2');
  t.is(judge(OWNED, by(2, 'look', 0), later).verdict, 'empty');
  t.is(judge(OWNED, by(2, 'claim', 6), later).verdict, 'empty');
  t.is(judge(OWNED, by(2, 'found', 4), later).verdict, 'stale');
  t.like(judge(OWNED, by(1, 'renew', 5), later), { verdict: 'granted', stored: { runId: 'run2' } });
});

test('a clock that is put back makes a lease count anew, not last for hours', t => {
  const { verdict, stored } = judge(OWNED, by(2, 'claim', 6), at(4_000));
  t.is(verdict, 'refused');
  t.is(stored && recordOf(stored, at(4_000)).remainingMs, 1_000);
  t.is(judge(stored, by(2, 'claim', 6), at(5_000)).verdict, 'granted');
  const free = judge(OWNED, by(1, 'release', 5), at(10_100)).stored;
  t.is(judge(free, by(2, 'claim', 6), at(4_000)).verdict, 'granted', 'what is released stays released');
});

interface Step extends Asked {
  readonly waitMs: number;
  readonly restart: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  verb: fc.constantFrom(...WITNESS_VERBS),
  nodeId: fc.constantFrom(1, 2),
  epoch: fc.record({ counter: fc.nat(12), node: fc.constantFrom(1, 2) }),
  leaseMs: fc.constant(1_000),
  waitMs: fc.oneof(fc.nat(300), fc.nat(2_000), fc.integer({ min: -5_000, max: 0 })),
  restart: fc.boolean(),
});

test('over random histories the epoch on record never goes back', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      let [stored, highest, nowMs, run] = [undefined as StoredRecord | undefined, EPOCH_NONE, 100_000, 0];
      for (const { waitMs, restart, ...asked } of steps) {
        nowMs += waitMs;
        run += restart ? 1 : 0;
        stored = judge(stored, asked, at(nowMs, `run${run}`)).stored;
        if (stored && compareEpochs(stored.epoch, highest) < 0) return false;
        highest = newerEpoch(highest, stored?.epoch ?? EPOCH_NONE);
      }
      return true;
    }),
    { numRuns: 5_000, seed: 4 },
  );
  t.pass();
});

test('over random histories nobody gets the lease by claiming while the lease of the other runs', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      let [stored, nowMs, run] = [undefined as StoredRecord | undefined, 100_000, 0];
      /** By our own count, from the moments of the grants. */
      let lease: { nodeId: number; untilMs: number } | undefined;
      for (const { waitMs, restart, ...asked } of steps) {
        // A clock that is set is the next test's.
        nowMs += Math.abs(waitMs);
        run += restart ? 1 : 0;
        const judged = judge(stored, asked, at(nowMs, `run${run}`));
        stored = judged.stored;
        const othersRuns = lease !== undefined && lease.nodeId !== asked.nodeId && lease.untilMs > nowMs;
        if (judged.verdict === 'granted') {
          if (othersRuns && asked.verb !== 'renew') return false;
          lease = { nodeId: asked.nodeId, untilMs: nowMs + asked.leaseMs };
        }
        if (asked.verb === 'release' && stored?.untilMs === 0) lease = undefined;
      }
      return true;
    }),
    { numRuns: 5_000, seed: 5 },
  );
  t.pass();
});
