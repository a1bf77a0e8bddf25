// The rate limiter as a function of time: what passes, what is counted, when the end of a flood is told.
import test from 'ava';
import { admit, createRate, eventKeyOf, flushRate, RATE_DEFAULTS, sweep } from '../../src/log/rate.ts';

const KEY = { code: 'LINK_DOWN', about: 'lan=client' };

test('the first five in ten seconds pass, the sixth is counted', t => {
  const rate = createRate();
  const passed = Array.from({ length: 8 }, (_, n) => admit(rate, KEY, n * 100));
  t.deepEqual(passed, [true, true, true, true, true, false, false, false]);
});

test('events that stay below the limit pass for ever and are forgotten in between', t => {
  const rate = createRate();
  for (let at = 0; at < 200_000; at += 2_500) {
    t.true(admit(rate, KEY, at), `at ${at}`);
    t.deepEqual(sweep(rate, at), []);
  }
  t.deepEqual(sweep(rate, 300_000), []);
  t.is(rate.entries.size, 0);
});

test('another key is not held back by a flood', t => {
  const rate = createRate();
  for (let n = 0; n < 50; n += 1) admit(rate, KEY, n);
  t.true(admit(rate, { code: 'LINK_DOWN', about: 'lan=pair' }, 60));
  t.true(admit(rate, { code: 'LINK_UP', about: 'lan=client' }, 60));
});

test('the end of a flood is told once, with the count, after a quiet window', t => {
  const rate = createRate();
  for (let n = 0; n < 105; n += 1) admit(rate, KEY, n * 10);
  t.deepEqual(sweep(rate, 9_999), []);
  t.deepEqual(sweep(rate, 10_000), [], 'the window in which it flooded is not its end');
  t.deepEqual(sweep(rate, 20_000), [{ ...KEY, count: 100, firstAt: 50, lastAt: 1_040, ended: true }]);
  t.deepEqual(sweep(rate, 30_000), []);
  t.true(admit(rate, KEY, 30_000), 'after the end events pass again');
});

test('a flood that goes on is summed up every minute, and its end still comes', t => {
  const rate = createRate();
  const told: { at: number; count: number; ended: boolean }[] = [];
  for (let at = 0; at <= 150_000; at += 100) {
    if (at <= 125_000) admit(rate, KEY, at);
    if (at % 1_000 === 0)
      told.push(...sweep(rate, at).map(summary => ({ at, count: summary.count, ended: summary.ended })));
  }
  t.deepEqual(
    told.map(line => line.ended),
    [false, false, true],
  );
  t.is(told.reduce((sum, line) => sum + line.count, 0) + RATE_DEFAULTS.passMax, 1_251);
});

test('a hostile number of keys is pooled by code and the map stays bounded', t => {
  const rate = createRate({ keysMax: 16 });
  for (let n = 0; n < 10_000; n += 1) admit(rate, { code: 'REFUSED', about: `address=198.51.100.${n}` }, n / 10);
  t.true(rate.entries.size <= 17);
  t.is(
    flushRate(rate).reduce((sum, summary) => sum + summary.count, 0),
    10_000 - 16 - 5,
  );
});

test('what is still counted is told when the process ends, in the order of the last occurrences', t => {
  const rate = createRate({ passMax: 1 });
  for (const at of [0, 1, 2]) admit(rate, { code: 'UP', about: '' }, at);
  for (const at of [0, 1]) admit(rate, { code: 'DOWN', about: '' }, at);
  t.deepEqual(
    flushRate(rate).map(summary => [summary.code, summary.count]),
    [
      ['DOWN', 1],
      ['UP', 2],
    ],
  );
  t.is(rate.entries.size, 0);
});

test('measurements do not make a repetition look new, names do; the catalogue may say otherwise', t => {
  t.deepEqual(eventKeyOf('X', {}, { lan: 'a', ms: 1 }), eventKeyOf('X', {}, { lan: 'a', ms: 2 }));
  t.notDeepEqual(eventKeyOf('X', {}, { lan: 'a' }), eventKeyOf('X', {}, { lan: 'b' }));
  t.is(eventKeyOf('X', { identity: ['ms'] }, { lan: 'a', ms: 2 }).about, 'ms=2');
});
