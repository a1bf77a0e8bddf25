// When a soak says that a process grows, and when it does not.
import test from 'ava';
import { Random } from '../sim/random.ts';
import { growthOf, type Sample, verdictOn } from './growth.ts';
import { newLife, reportsOf, tellingReports } from './lives.ts';

const BOUND = { gainedMax: 100, samplesMin: 12, spanMsMin: 60_000 };
/** A look every 4 s, a role change at every second one. */
const samples = (count: number, value: (index: number) => number): Sample[] =>
  Array.from({ length: count }, (_, index) => ({
    at: index * 4_000,
    changes: Math.floor(index / 2),
    value: value(index),
  }));

test('a steady rise is a leak, told by the hour and by the role change', t => {
  const growth = growthOf(
    samples(101, index => 5_000 + index),
    0,
  );
  t.is(Math.round(growth.perHour), 900);
  t.is(Math.round(growth.perChange * 10) / 10, 2);
  t.is(verdictOn(growth, { ...BOUND, gainedMax: 99 }), 'leak');
  t.is(verdictOn(growth, { ...BOUND, gainedMax: 101 }), 'steady', 'less than the bound is noise');
});

test('noise around a level is none, nor is a single peak, nor a fall', t => {
  const random = new Random(3);
  t.is(
    verdictOn(
      growthOf(
        samples(200, () => 5_000 + 2_000 * random.next()),
        0,
      ),
      BOUND,
    ),
    'steady',
  );
  t.is(
    verdictOn(
      growthOf(
        samples(200, index => (index === 199 ? 90_000 : 5_000)),
        0,
      ),
      BOUND,
    ),
    'steady',
  );
  t.is(
    verdictOn(
      growthOf(
        samples(200, index => 50_000 - 100 * index),
        0,
      ),
      BOUND,
    ),
    'steady',
  );
});

test('a rise under noise is still seen', t => {
  const random = new Random(4);
  const growth = growthOf(
    samples(200, index => 5_000 + 20 * index + 1_000 * random.next()),
    0,
  );
  t.is(verdictOn(growth, BOUND), 'leak', JSON.stringify(growth));
});

test('what rises only while it warms up is no leak', t => {
  const warming = samples(200, index => 5_000 + 1_000 * Math.min(index, 15));
  t.is(verdictOn(growthOf(warming, 15), BOUND), 'steady');
});

test('what fills up, always more slowly, is no leak; what goes on in the later half is one', t => {
  const fills = growthOf(
    samples(200, index => 5_000 + 300 * (1 - Math.exp(-index / 30))),
    0,
  );
  t.is(verdictOn(fills, BOUND), 'steady', `gained ${fills.gained}, of that ${fills.gainedLater} in the later half`);
  const goesOn = growthOf(
    samples(200, index => 5_000 + 300 * (1 - Math.exp(-index / 30)) + index),
    0,
  );
  t.is(verdictOn(goesOn, BOUND), 'leak');
});

test('too few looks say nothing', t => {
  t.is(
    verdictOn(
      growthOf(
        samples(11, index => 1_000 * index),
        0,
      ),
      BOUND,
    ),
    'too short',
  );
  t.is(verdictOn(growthOf([], 0), BOUND), 'too short');
  const brief = growthOf(
    samples(100, index => 1_000 * index),
    0,
  );
  t.is(verdictOn(brief, { ...BOUND, spanMsMin: brief.spanMs + 1 }), 'too short');
});

test('a long run is thinned, not cut: its end counts', t => {
  const growth = growthOf(
    samples(5_000, index => index),
    0,
  );
  t.is(growth.samples, 400);
  t.is(growth.last, 4_999);
  t.is(Math.round(growth.gained), 4_999);
});

test('of all lives the one that leaks is told, else the one that was looked at most', t => {
  const steady = newLife(10, 'vipd', 'r1');
  steady.samples.descriptors.push(...samples(300, () => 12));
  const leaking = newLife(11, 'vipd', 'r2');
  leaking.samples.descriptors.push(...samples(400, index => 12 + index));
  t.deepEqual(
    tellingReports([steady, leaking], false).map(({ pid, metric, verdict }) => ({ pid, metric, verdict })),
    [{ pid: 11, metric: 'descriptors', verdict: 'leak' }],
  );
  t.is(tellingReports([steady], false)[0]?.pid, 10);
});

test('the first third of a life is its warm-up, and what is left must last ten minutes', t => {
  const life = newLife(12, 'pulse', 'r1');
  life.samples.heapKib.push(...samples(300, index => 10_000 + 500 * Math.min(index, 90)));
  t.is(reportsOf(life, false)[0]?.verdict, 'steady');
  t.is(reportsOf(life, false)[0]?.growth.samples, 200);
  const short = newLife(13, 'pulse', 'r1');
  short.samples.heapKib.push(...samples(200, index => 10_000 + 500 * index));
  t.is(reportsOf(short, false)[0]?.verdict, 'too short');
});
