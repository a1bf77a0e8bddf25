// Calls in a row: the first one at once, those in the pause as one at its end.
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { atMostEvery } from '../../src/director/io/at-most-every.ts';

test('of many calls in a row the first is done at once, the others as one, and none is lost', async t => {
  let done = 0;
  const call = atMostEvery(30, () => {
    done += 1;
  });
  call();
  t.is(done, 1);
  for (let n = 0; n < 100; n += 1) call();
  t.is(done, 1);
  while (done < 2) await sleep(5);
  await sleep(100);
  t.is(done, 2);
  call();
  t.is(done, 3);
});
