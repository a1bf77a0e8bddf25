// Trying out the kernel: whether it takes entries is waited for, whether they go in time is not.
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { type Trial, tryKernel } from '../../../src/sync/kernel/io/kernel-trial.ts';
import type { Entry } from '../../../src/sync/table/entry.ts';

const ROWS = {
  4: 'IP  00000001 0000 7FFFFFFE 0000 00000002 0000 NONE 60',
  6: 'IP  0100:0000:0000:0000:0000:0000:0000:0001 0000 7fff:fffe:0000:0000:0000:0000:0000:0000 0000',
} as const;
const LIVES_MS = 300;

/** A kernel of these families: an entry goes `LIVES_MS` after it was told to, or stays. */
function kernelOf(families: readonly (4 | 6)[], goes = true) {
  const ends = new Map<4 | 6, number>();
  const closing = new AbortController();
  return {
    closing,
    signal: closing.signal,
    has: () => families.filter(family => (ends.get(family) ?? 0) > Date.now()),
    readTable: async function readTable() {
      return `Pro FromIP\n${this.has()
        .map(family => ROWS[family])
        .join('\n')}\n`;
    },
    injector: {
      inject: async (entries: readonly Entry[]) => {
        for (const { client, timeoutS } of entries)
          ends.set(client.length === 8 ? 4 : 6, Date.now() + (timeoutS === 1 && goes ? LIVES_MS : 60_000));
        return { dropped: 0 };
      },
    },
  };
}

type Fake = ReturnType<typeof kernelOf>;
const tried = (fake: Fake) => tryKernel({ ...fake, readTable: () => fake.readTable() }, 1_472, 0);
const wholeOf = async ({ whole }: { readonly whole: Promise<Trial> | undefined }) => (await whole)?.found.expiry;

test('a kernel that takes entries is told of at once, and that they go in time once they have', async t => {
  const fake = kernelOf([4, 6]);
  const trying = await tried(fake);
  t.deepEqual(fake.has(), [4, 6], 'they are there yet');
  t.like(trying.trial, { injection: true, problems: [] });
  t.is(trying.trial.found.expiry, undefined);
  t.is(await wholeOf(trying), 'works');
  t.deepEqual(fake.has(), []);
});

test('who closes ends the wait for entries that do not go, and learns nothing of it', async t => {
  const fake = kernelOf([4, 6], false);
  const trying = await tried(fake);
  fake.closing.abort();
  const whole = await Promise.race([trying.whole, sleep(2_000)]);
  t.deepEqual(whole, trying.trial);
});
