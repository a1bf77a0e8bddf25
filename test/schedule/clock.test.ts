import test from 'ava';
import fc from 'fast-check';
import { newSeconds, SECONDS_MAX, stepBetween } from '../../src/schedule/clock.ts';

const HOUR_MS = 3_600_000;
const at = (wallMs: number, monotonicMs: number) => ({ wallMs, monotonicMs });

for (const [title, wallMs, monotonicMs, step] of [
  ['both clocks go on', 1_000, 1_000, 0],
  ['a time service slews', 1_500, 1_000, 0],
  ['the process stood still', 90_000, 90_000, 0],
  ['an hour back', 1_000 - HOUR_MS, 1_000, -HOUR_MS],
  ['a week forward', 7 * 24 * HOUR_MS, 1_000, 7 * 24 * HOUR_MS - 1_000],
  ['a year forward while the process stood still', 365 * 24 * HOUR_MS, 60_000, 365 * 24 * HOUR_MS - 60_000],
] as const) {
  test(`${title}: a step of ${step} ms`, t => {
    t.is(stepBetween(at(10_000, 5), at(10_000 + wallMs, 5 + monotonicMs)), step);
  });
}

for (const [title, before, now, seconds] of [
  ['no new second', at(10_200, 0), at(10_900, 700), []],
  ['one', at(10_200, 0), at(11_200, 1_000), [11]],
  ['a late look finds all', at(10_200, 0), at(13_100, 2_900), [11, 12, 13]],
  ['a step back', at(HOUR_MS, 0), at(10_500, 1_000), [10]],
  ['a step forward', at(10_500, 0), at(HOUR_MS, 1_000), [3_600]],
] as const) {
  test(`seconds to look at, ${title}`, t => {
    t.deepEqual(newSeconds(before, now), [...seconds]);
  });
}

test('whatever the clocks do, few seconds are looked at, and in steady time each exactly once', t => {
  const clock = fc.integer({ min: -1e13, max: 1e13 });
  fc.assert(
    fc.property(clock, clock, fc.nat(1e10), (from, to, passed) => {
      const seconds = newSeconds(at(from, 0), at(to, passed));
      t.true(seconds.length <= SECONDS_MAX);
      t.true(seconds.every(second => second <= Math.floor(to / 1_000)));
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50_000 }), { maxLength: 30 }), pauses => {
      let now = at(1_700_000_000_123, 77);
      const seen: number[] = [];
      for (const pause of pauses) {
        const next = at(now.wallMs + pause, now.monotonicMs + pause);
        seen.push(...newSeconds(now, next));
        now = next;
      }
      t.deepEqual(
        seen,
        Array.from({ length: Math.floor(now.wallMs / 1_000) - 1_700_000_000 }, (_, n) => 1_700_000_001 + n),
      );
    }),
  );
});
