// What the status says is wrong with the sync: what is wrong at once, what only when it lasts, what is over.
import test from 'ava';
import { NOTHING_WATCHED, type SyncLook, syncProblems, watchSync } from '../../src/director/sync-watch.ts';
import type { Snapshot } from '../../src/feed/message.ts';
import type { SyncStatus } from '../../src/status/sync-status.ts';
import type { At } from '../../src/units/duration.ts';
import { sampleSnapshot } from '../cli/samples.ts';
import { syncStatus } from './fixture.ts';

type Peer = NonNullable<Snapshot['peer']>;

function heard(changes: Partial<Peer> = {}): Snapshot {
  const { peer } = sampleSnapshot();
  return sampleSnapshot({ peer: { ...(peer as Peer), ...changes } });
}

/** The problems at each of the seconds given, looked at once a second from 0 on. */
function problemsAt(
  seconds: readonly number[],
  at: (second: number) => { status: SyncStatus; pulse?: Snapshot | null },
): Record<number, readonly string[]> {
  const found: Record<number, readonly string[]> = {};
  let watch = NOTHING_WATCHED;
  for (let second = 0; second <= Math.max(...seconds); second += 1) {
    const look: SyncLook = { pulse: heard(), ...at(second), now: (second * 1_000) as At };
    watch = watchSync(watch, look);
    if (seconds.includes(second)) found[second] = syncProblems(watch, look);
  }
  return found;
}

test('a sync without a fault has no problems', t => {
  t.deepEqual(
    problemsAt([30], () => ({ status: syncStatus() })),
    { 30: [] },
  );
  t.deepEqual(
    problemsAt([30], () => ({ status: syncStatus({ role: 'source' }) })),
    { 30: [] },
  );
});

test('a standby is cold without a word for 10 s, and a new cold begins anew', t => {
  const found = problemsAt([9, 10, 11, 20, 21], second => ({ status: syncStatus({ warm: second === 11 }) }));
  t.deepEqual(found[9], []);
  t.regex(found[10]?.join() ?? '', /^sync: router-a is cold: a failover to it now breaks running transfers/);
  t.deepEqual([found[11], found[20], found[21]], [[], [], []]);
});

test('the owner says that its standby is cold, by the word of its heartbeats', t => {
  const status = syncStatus({ role: 'source' });
  const found = problemsAt([10], () => ({ status, pulse: heard({ warm: false }) }));
  t.regex(found[10]?.join() ?? '', /^sync: router-b is cold/);
  t.deepEqual(problemsAt([30], () => ({ status, pulse: heard({ warm: false, silent: true }) }))[30], []);
});

test('a missing link is a problem only while the pulse of the peer is heard', t => {
  const status = syncStatus({ links: [{ lan: 'cross', connected: false, rttMs: null }] });
  const found = problemsAt([9, 10], () => ({ status }));
  t.deepEqual(found[9], []);
  t.regex(found[10]?.join() ?? '', /^sync: no link to the director of router-b, although its pulse is heard; .*TCP/);
  for (const pulse of [heard({ silent: true }), sampleSnapshot({ peer: null }), null]) {
    t.deepEqual(problemsAt([30], () => ({ status, pulse }))[30], []);
  }
});

test('a lag of more than a second is told at once while streaming, not during a resync, and without a number that moves', t => {
  const lagging = (lagMs: number, phase: SyncStatus['phase'] = 'streaming') =>
    problemsAt([0], () => ({ status: syncStatus({ lagMs, phase }) }))[0];
  t.deepEqual(lagging(1_000), []);
  t.regex(lagging(1_001)?.join() ?? '', /more than 1 s apart/);
  t.deepEqual(lagging(1_001), lagging(9_000));
  t.deepEqual(lagging(9_000, 'resync'), []);
});

test('a loss is told for a minute, a counter of work never', t => {
  const found = problemsAt([0, 5, 64, 65], second => ({
    status: syncStatus({ counters: { lost_events: second < 5 ? 0 : 2, published: second * 100 } }),
  }));
  t.deepEqual(found[0], []);
  t.regex(found[5]?.join() ?? '', /^sync: in the last minute lost_events has grown \(times that the kernel/);
  t.is(found[64]?.length, 1);
  t.deepEqual(found[65], []);
});

test('what the store and the sync itself say is passed on; with the sync off there is nothing else to say', t => {
  const store = { ...syncStatus().store, type: 'redis' as const, problem: 'connection refused; is redis there?' };
  const status = syncStatus({ store, problems: ['sync: conntrack is not installed'] });
  t.deepEqual(problemsAt([0], () => ({ status }))[0], [
    'sync: conntrack is not installed',
    'sync store (redis): connection refused; is redis there?',
  ]);
  const off = syncStatus({ phase: 'off', warm: false, lagMs: 9_000, links: [], counters: { lost_events: 9 } });
  t.deepEqual(problemsAt([30], () => ({ status: off }))[30], []);
});
