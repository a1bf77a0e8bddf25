// A process of its own for the tests of the stores: saves snapshots until it is killed, or tries once on a disk with a fault.
import { argv, stdout } from 'node:process';
import { createFileStore } from '../../../src/sync/store/io/file-store.ts';
import { createRedisStore } from '../../../src/sync/store/io/redis-store.ts';
import { encodeSteps, runSteps } from '../../../src/sync/store/saved-sessions.ts';
import type { SessionStore } from '../../../src/sync/store/session-store.ts';
import { HEADER, KEY, redisConfig, rowsOf } from './entries.ts';

const snapshotOf = (n: number, rows: number) =>
  runSteps(encodeSteps({ ...HEADER, savedAtMs: n }, rowsOf(rows), KEY)).buffer;

/** Saves numbers `from`, `from` + 1 … and writes each to stdout once it is safe. */
async function saveForEver(store: SessionStore, from: number, rows: number): Promise<never> {
  for (let n = from; ; n++) {
    await store.save(snapshotOf(n, rows));
    stdout.write(`${n}\n`);
  }
}

async function saveOnce(store: SessionStore, rows: number): Promise<void> {
  try {
    await store.save(snapshotOf(1, rows));
    stdout.write('saved\n');
  } catch (error) {
    stdout.write(`${(error as Error).message}\n`);
  }
}

const [, , mode, where, number, rows] = argv;
if (mode === 'file') await saveForEver(createFileStore(where ?? ''), Number(number), 2_000);
else if (mode === 'redis') {
  const config = redisConfig({ port: Number(where) });
  await saveForEver(createRedisStore({ config, pair: HEADER.pair, maxAgeMs: 60_000 }), Number(number), Number(rows));
} else await saveOnce(createFileStore(where ?? ''), Number(number));
