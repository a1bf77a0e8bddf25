// Snapshots in a file: whole after every kind of interruption, the one before kept, and words for every fault of the disk.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import type { Config } from '../../../src/config/schema.ts';
import { createFileStore } from '../../../src/sync/store/io/file-store.ts';
import { createStore } from '../../../src/sync/store/io/session-store.ts';
import { decodeSteps, encodeSteps, runSteps, SAVED_BYTES_MAX } from '../../../src/sync/store/saved-sessions.ts';
import { HEADER, KEY, redisConfig, rowsOf } from './entries.ts';

const CHILD = fileURLToPath(new URL('store-child.js', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'tandem-store-'));
test.after.always(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;

function freshPath(): string {
  directories++;
  return join(root, `${directories}`, 'state', 'sessions.snapshot');
}
const snapshotOf = (n: number, rows = 10) =>
  runSteps(encodeSteps({ ...HEADER, savedAtMs: n }, rowsOf(rows), KEY)).buffer;

/** The numbers that snapshots were made with; an entry that is not whole is its fault. */
function numbersOf(snapshots: readonly Buffer[]): (number | string)[] {
  return snapshots.map(snapshot => {
    const decoded = runSteps(decodeSteps(snapshot, { pair: HEADER.pair, keys: [KEY] }));
    return decoded.ok ? decoded.header.savedAtMs : decoded.why;
  });
}

test('what is saved is loaded, newest first, with the one before it; the directory is made, all is root-only', async t => {
  const path = freshPath();
  const store = createFileStore(path);
  t.deepEqual(await store.load(), []);
  for (const n of [1, 2, 3]) await store.save(snapshotOf(n));
  t.deepEqual(numbersOf(await createFileStore(path).load()), [3, 2]);
  t.deepEqual(readdirSync(join(path, '..')).sort(), ['sessions.snapshot', 'sessions.snapshot.1']);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(join(path, '..')).mode & 0o777, 0o700);
});

test('a leftover of an interrupted save is removed at the next start, and is in the way of no save', async t => {
  const path = freshPath();
  const store = createFileStore(path);
  await store.save(snapshotOf(1));
  writeFileSync(`${path}.new`, 'half', { mode: 0o644 });
  await store.save(snapshotOf(2));
  t.is(statSync(path).mode & 0o777, 0o600);
  writeFileSync(`${path}.new`, 'half');
  t.deepEqual(numbersOf(await store.load()), [2, 1]);
  t.false(readdirSync(join(path, '..')).includes('sessions.snapshot.new'));
});

test('interrupted between its two renames, a save leaves the one before', async t => {
  const path = freshPath();
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(`${path}.1`, snapshotOf(1));
  t.deepEqual(numbersOf(await createFileStore(path).load()), [1]);
});

test('killed at random points, the newest snapshot is whole and no older than the last that was told to be safe', async t => {
  const path = freshPath();
  let acknowledged = 0;
  for (let round = 0; round < 25; round++) {
    const child = spawn(process.execPath, [CHILD, 'file', path, `${acknowledged + 1}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let told = '';
    child.stdout.setEncoding('utf8').on('data', text => {
      told += text;
    });
    await once(child.stdout, 'data');
    await sleep(Math.random() * 40);
    child.kill('SIGKILL');
    await once(child, 'close');
    acknowledged = Number(told.trim().split('\n').at(-1));
    const numbers = numbersOf(await createFileStore(path).load());
    t.true(numbers.length >= 1);
    t.true(
      numbers.every(number => typeof number === 'number'),
      `${numbers}`,
    );
    t.true(Number(numbers[0]) >= acknowledged, `${numbers} after ${acknowledged}`);
    acknowledged = Number(numbers[0]);
  }
  t.true(acknowledged >= 25);
});

test('a damaged snapshot is set aside under its time, three of them at most, and the one before is loaded', async t => {
  const path = freshPath();
  let now = Date.UTC(2026, 10, 23, 14, 30);
  const store = createFileStore(path, () => now);
  for (let n = 1; n <= 5; n++) {
    await store.save(snapshotOf(n));
    await store.save(Buffer.from(`damaged ${n}`));
    const [damaged, ...others] = await store.load();
    t.deepEqual(numbersOf(others), [n]);
    const where = await store.setAside(damaged as Buffer, 'damaged');
    t.is(where, `${path}.damaged-2026-11-23T14-3${n - 1}-00.000Z`);
    t.is(readFileSync(where, 'utf8'), `damaged ${n}`);
    t.deepEqual(numbersOf(await store.load()), [n]);
    now += 60_000;
  }
  const aside = readdirSync(join(path, '..')).filter(name => name.includes('damaged'));
  t.deepEqual(aside.map(name => name.slice(-13)).sort(), ['14-32-00.000Z', '14-33-00.000Z', '14-34-00.000Z']);
});

test('what is no file of ours is refused with words; a good one behind it is still loaded', async t => {
  const path = freshPath();
  const store = createFileStore(path);
  await store.save(snapshotOf(1));
  await store.save(snapshotOf(2));
  rmSync(path);
  symlinkSync('/etc/passwd', path);
  t.deepEqual(numbersOf(await store.load()), [1]);
  rmSync(`${path}.1`);
  await t.throwsAsync(store.load(), { message: `${path} cannot be read; it is a symbolic link: remove it` });
  rmSync(path);
  mkdirSync(path);
  await t.throwsAsync(store.load(), { message: `${path} is not a regular file; remove it` });
});

test('nothing larger than the bound is written', async t => {
  const store = createFileStore(freshPath());
  await t.throwsAsync(store.save(Buffer.alloc(SAVED_BYTES_MAX + 1)), { message: /more than a snapshot may have/ });
  t.deepEqual(await store.load(), []);
});

test('a second save while one runs is a fault of ours; close waits for the one that runs', async t => {
  const path = freshPath();
  const store = createFileStore(path);
  const first = store.save(snapshotOf(1, 50_000));
  await t.throwsAsync(store.save(snapshotOf(2)), { instanceOf: RangeError });
  await store.close();
  t.deepEqual(numbersOf(await createFileStore(path).load()), [1]);
  await first;
});

/** Runs the child on a file system of its own, in a mount namespace that goes with it. */
async function onDisk(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)('unshare', ['--mount', 'sh', '-euc', script]);
  return stdout.trim();
}

test('a full disk: a sentence, no leftover, and the snapshot before stays', async t => {
  const disk = join(root, 'full');
  mkdirSync(disk);
  const child = (rows: number) => `"${process.execPath}" "${CHILD}" once "${disk}/s" ${rows}`;
  const told = await onDisk(
    `mount -t tmpfs -o size=1m none "${disk}"; ${child(5_000)}; ${child(60_000)}; ls "${disk}"; ${child(5_000)}`,
  );
  t.deepEqual(told.split('\n'), [
    'saved',
    `${disk}/s cannot be written; the disk is full: free some space`,
    's',
    'saved',
  ]);
});

test('a read-only disk: a sentence', async t => {
  const disk = join(root, 'readonly');
  mkdirSync(disk);
  const told = await onDisk(
    `mount -t tmpfs -o size=1m,ro none "${disk}"; "${process.execPath}" "${CHILD}" once "${disk}/s" 10`,
  );
  t.regex(told, /cannot be written; the file system is read-only: mount it writable/);
});

test('the config names the store: a file in the state directory unless it says otherwise', async t => {
  const sync = (more: object, enabled = true) =>
    ({
      pair: 'p',
      sync: { enabled, port: 694, store: { type: 'file', max_age: 60_000, ...more } },
    }) as unknown as Config;
  const state = join(freshPath(), '..');
  await createStore(sync({}), state)?.save(snapshotOf(1));
  t.deepEqual(readdirSync(state), ['sessions.snapshot']);
  const elsewhere = freshPath();
  await createStore(sync({ path: elsewhere }), state)?.save(snapshotOf(2));
  t.deepEqual(numbersOf(await createFileStore(elsewhere).load()), [2]);
  t.is(createStore(sync({ type: 'redis', redis: redisConfig({}) }), state)?.type, 'redis');
  t.is(createStore(sync({ type: 'none' }), state), undefined);
  t.is(createStore(sync({}, false), state), undefined);
});
