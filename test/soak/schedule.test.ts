// The soak's schedule: same seed, same faults; every fault of every kind within its bounds.
import test from 'ava';
import { Random } from '../sim/random.ts';
import { drawFrom, faultAt, faultInWords, isGentle, KINDS, ROUGH_BLOCK } from './schedule.ts';

const first = (seed: number, count: number) => Array.from({ length: count }, (_, index) => faultAt(seed, index));

test('a seed always makes the same faults, another seed makes others', t => {
  t.deepEqual(first(7, 200), first(7, 200));
  t.notDeepEqual(first(7, 20), first(8, 20));
});

test('a fault does not depend on those before it', t => {
  t.deepEqual(faultAt(7, 150), first(7, 151)[150]);
});

test('a rough block brings every kind of fault', t => {
  const kinds = new Set(
    Array.from({ length: 20 }, (_, seed) => first(seed, ROUGH_BLOCK))
      .flat()
      .map(({ kind }) => kind),
  );
  t.deepEqual([...kinds].sort(), [...KINDS].sort());
});

test('a gentle block leaves every process alive', t => {
  const gentle = first(3, 1_000).filter((_, index) => isGentle(index));
  t.true(gentle.length > 500);
  for (const fault of gentle) {
    t.false(['power-loss', 'kill', 'sigterm', 'damage'].includes(fault.kind), faultInWords(fault));
    if (fault.kind === 'stop') t.not(fault.what, 'vipd', 'a stopped vipd is replaced');
  }
});

test('only the wanted kinds are drawn, in gentle blocks too', t => {
  const kinds = Array.from({ length: 200 }, (_, index) => faultAt(5, index, { only: ['power-loss', 'cut'] }).kind);
  t.deepEqual([...new Set(kinds)].sort(), ['cut', 'power-loss']);
});

test('random numbers spread evenly, and a range is never left', t => {
  const random = new Random(1);
  const values = Array.from({ length: 10_000 }, () => random.next());
  t.true(values.every(value => value >= 0 && value < 1));
  t.true(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length - 0.5) < 0.02);
  const draw = drawFrom(new Random(2));
  const drawn = Array.from({ length: 2_000 }, () => draw.between(10, 1_000));
  t.true(drawn.every(value => value >= 10 && value <= 1_000));
  t.true(drawn.some(value => value < 30) && drawn.some(value => value > 700));
});

test('a fault is told with everything that was drawn', t => {
  t.is(
    faultInWords({ kind: 'carrier', who: 'active', leg: 'cross', downMs: 40 }),
    'carrier who=active leg=cross downMs=40',
  );
  t.is(
    faultInWords({ kind: 'cut', who: 'standby', legs: ['clients', 'cross'], directions: ['in'], forMs: 300 }),
    'cut who=standby legs=clients+cross directions=in forMs=300',
  );
});
