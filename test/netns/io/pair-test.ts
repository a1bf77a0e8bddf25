// What the tests of vipd have in common: it is built before the first one, each has a pair of namespaces of its own. Only for files
// that ava runs.
import test, { type ExecutionContext } from 'ava';
import { buildAll, Pair, removeBuilt } from './vipd.ts';

/** Builds vipd before the first test of the file, and removes what was built for it after the last. */
export function buildForAll(): void {
  test.before(buildAll);
  test.after.always(removeBuilt);
}

/** A test with a pair of its own. */
export function pairTest(title: string, body: (t: ExecutionContext, pair: Pair) => Promise<void>): void {
  test.serial(title, async t => {
    t.timeout(60_000);
    const pair = await Pair.make();
    try {
      await body(t, pair);
    } finally {
      await pair.close();
    }
  });
}
