import test from 'ava';
import { CALM_MS, type DriftWatch, mayRepair, NO_DRIFT, pauseMs, repaired, settled } from '../../src/director/drift.ts';
import { type At, after, ms } from '../../src/units/duration.ts';

const T0 = 1_000 as At;

function afterRepairs(count: number, at: At = T0): DriftWatch {
  let watch = NO_DRIFT;
  for (let i = 0; i < count; i += 1) watch = repaired(watch, at);
  return watch;
}

test('the first repairs come at once, later ones later and later, never later than half a minute', t => {
  t.deepEqual(
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 50].map(count => pauseMs(afterRepairs(count)) / 1_000),
    [0, 0, 0, 1, 2, 4, 8, 16, 30, 30],
  );
  const watch = afterRepairs(3);
  t.false(mayRepair(watch, after(T0, ms(999))));
  t.true(mayRepair(watch, after(T0, ms(1_000))));
});

test('the third repair in a row is the alarm, and a minute without one ends it', t => {
  t.false(afterRepairs(2).alarmed);
  const watch = afterRepairs(3);
  t.true(watch.alarmed);
  t.true(settled(watch, after(T0, ms(CALM_MS - 1))).alarmed);
  t.deepEqual(settled(watch, after(T0, CALM_MS)), NO_DRIFT);
});

test('a rival that waits for the longest pause each time stays in the row', t => {
  let [watch, now] = [NO_DRIFT, T0];
  for (let i = 0; i < 20; i += 1) {
    watch = settled(watch, now);
    t.true(mayRepair(watch, now));
    watch = repaired(watch, now);
    now = after(now, pauseMs(watch));
  }
  t.is(watch.repairs, 20);
});
