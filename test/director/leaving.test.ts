import test from 'ava';
import { leaveOf, noteLeaving } from '../../src/director/leaving.ts';
import { LEAVING_MAX, NOTHING_OWNED, parseOwned, withLeaving } from '../../src/director/owned.ts';
import { type At, ms } from '../../src/units/duration.ts';

const A = { key: '-f 21', address: '198.51.100.11' };
const B = { key: '-f 21', address: '198.51.100.12' };
const at = (n: number) => n as At;

test('each server that leaves keeps the instant at which it began; one that stays is forgotten', t => {
  const first = noteLeaving([], [A], at(1_000.7));
  t.deepEqual(first, [{ ...A, sinceMs: 1_000 }]);
  t.deepEqual(noteLeaving(first, [A, B], at(5_000)), [
    { ...A, sinceMs: 1_000 },
    { ...B, sinceMs: 5_000 },
  ]);
  t.deepEqual(noteLeaving(first, [], at(5_000)), []);
});

test('an instant that lies ahead is from before the machine was started, and begins anew', t => {
  t.deepEqual(noteLeaving([{ ...A, sinceMs: 9_000 }], [A], at(100)), [{ ...A, sinceMs: 100 }]);
});

test('the list is bounded', t => {
  const many = Array.from({ length: LEAVING_MAX + 1 }, (_, n) => ({ key: '-f 21', address: `2001:db8::${n}` }));
  t.is(noteLeaving([], many, at(0)).length, LEAVING_MAX);
});

for (const [passedMs, drainMs, finMs, leave] of [
  [0, 3_600_000, 120_000, 'stays'],
  [3_479_999, 3_600_000, 120_000, 'stays'],
  [3_480_000, 3_600_000, 120_000, 'ends'],
  [3_600_000, 3_600_000, 120_000, 'over'],
  [29_999, 60_000, 3_600_000, 'stays'],
  [30_000, 60_000, 3_600_000, 'ends'],
] as const) {
  test(`after ${passedMs} of ${drainMs} ms (closed connections last ${finMs} ms) a server ${leave}`, t => {
    const times = { drain: ms(drainMs), tcp_fin_timeout: ms(finMs) };
    t.is(leaveOf([{ ...A, sinceMs: 500 }], A, at(500 + passedMs), times), leave);
    t.is(leaveOf([{ ...A, sinceMs: 500 }], B, at(500 + passedMs), times), 'stays');
  });
}

test('the file is as before while nobody leaves, and is read with and without the list', t => {
  const none = JSON.stringify(withLeaving({ ...NOTHING_OWNED, leaving: [{ ...A, sinceMs: 1 }] }, []));
  t.is(none, JSON.stringify(NOTHING_OWNED));
  t.deepEqual(parseOwned(none), NOTHING_OWNED);
  const some = withLeaving(NOTHING_OWNED, [{ ...A, sinceMs: 1 }]);
  t.deepEqual(parseOwned(JSON.stringify(some)), some);
});
