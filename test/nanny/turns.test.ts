import test from 'ava';
import fc from 'fast-check';
import { CHECKS_AT_ONCE_MAX, enqueue, mayBegin } from '../../src/nanny/turns.ts';
import { ms } from '../../src/units/duration.ts';

test('a queue stays in order, those of one time as they came', t => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), times => {
      const queue: { at: number; number: number }[] = [];
      for (const [number, at] of times.entries()) enqueue(queue, { at, number }, item => item.at);
      const sorted = times.map((at, number) => ({ at, number })).sort((a, b) => a.at - b.at);
      t.deepEqual(queue, sorted);
    }),
  );
});

test('only some checks begin in a turn, none beyond the places, and none after a long turn', t => {
  t.true(mayBegin(0, undefined) > 1);
  t.true(mayBegin(0, undefined) < 100);
  t.is(mayBegin(100, ms(1)), mayBegin(0, undefined));
  t.is(mayBegin(CHECKS_AT_ONCE_MAX - 1, ms(1)), 1);
  t.is(mayBegin(CHECKS_AT_ONCE_MAX, ms(1)), 0);
  t.is(mayBegin(100, ms(500)), 0);
});

test('with nothing running a long turn was something else, and checks begin', t => {
  t.true(mayBegin(0, ms(500)) > 0);
});
