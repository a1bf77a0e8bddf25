// A short turn of the fuzzer with new seeds every time; a longer one by hand (see sync-bytes.ts).
import test from 'ava';
import { fuzz } from './sync-bytes.ts';

test('damaged messages, tables, events and frames give nothing that may not reach a kernel', t => {
  const seed = Date.now() % 1_000_000_000;
  t.true(fuzz(3, seed) > 0, `seed ${seed}`);
});
