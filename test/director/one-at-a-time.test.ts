import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { oneAtATime } from '../../src/director/io/one-at-a-time.ts';

function counting() {
  const seen = { begun: 0, atOnce: 0, most: 0 };
  const work = oneAtATime(async () => {
    seen.begun++;
    seen.most = Math.max(seen.most, ++seen.atOnce);
    await sleep(20);
    seen.atOnce--;
    return `run ${seen.begun}`;
  });
  return { seen, work };
}

test('calls while one runs share the next run, and no two run at once', async t => {
  const { seen, work } = counting();
  t.deepEqual(await Promise.all([work.run(), work.run(), work.run()]), ['run 1', 'run 2', 'run 2']);
  t.is(await work.run(), 'run 3');
  t.is(seen.most, 1);
});

test('closing waits for what runs; what waited, and what comes later, is refused', async t => {
  const { seen, work } = counting();
  const calls = [work.run(), work.run()];
  await work.close('no');
  t.is(seen.atOnce, 0);
  t.deepEqual(await Promise.all([...calls, work.run()]), ['run 1', 'no', 'no']);
  t.is(seen.begun, 1);
});

test('work that fails does not stand in the way of the next', async t => {
  let fails = true;
  const work = oneAtATime(async () => {
    await sleep(5);
    if (fails) throw new Error('once');
    return 'fine';
  });
  const first = work.run();
  const second = work.run();
  await t.throwsAsync(first, { message: 'once' });
  fails = false;
  t.is(await second, 'fine');
});
