// When snapshots are saved, by whom, and what becomes of failures: the rules alone, then the saver with a store that fails, hangs and
// works on command.
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { readStore, restoredFields } from '../../../src/sync/store/io/restoring.ts';
import { createSessionSaver, type SessionSaver } from '../../../src/sync/store/io/session-saver.ts';
import { decodeSteps, encodeSteps, runSteps, type SavedHeader } from '../../../src/sync/store/saved-sessions.ts';
import { begun, dueAt, ended, mayPersist, retryMs, saverFrom, ticked } from '../../../src/sync/store/session-saver.ts';
import type { SessionStore } from '../../../src/sync/store/session-store.ts';
import { StoreError } from '../../../src/sync/store/store-error.ts';
import { type At, ms } from '../../../src/units/duration.ts';
import { HEADER, KEY, rowsOf } from './entries.ts';

const at = (n: number) => n as At;
/** A save of version 1 that took `tookMs` and ended at 10,000. */
const savedOnce = (tookMs: number, ok = true) =>
  ended(saverFrom(0), { ok, version: 1, beganAt: at(10_000 - tookMs), now: at(10_000) });

test('nothing is due while nothing changes; the first change and a tick are due at once', t => {
  t.is(dueAt(saverFrom(7), 7, at(5)), undefined);
  t.is(dueAt(saverFrom(7), 8, at(5)), at(5));
  t.is(dueAt(ticked(saverFrom(7)), 7, at(5)), at(5));
  t.is(dueAt(begun(ticked(saverFrom(7))), 7, at(5)), undefined);
});

test('a change waits for two seconds, and for twenty times the last save, after its end', t => {
  t.is(dueAt(savedOnce(10), 1, at(10_001)), undefined);
  t.is(dueAt(savedOnce(10), 2, at(10_001)), at(12_000));
  t.is(dueAt(savedOnce(1_000), 2, at(10_001)), at(30_000));
  t.is(dueAt(ticked(savedOnce(1_000)), 2, at(10_001)), at(12_000), 'the schedule is not held up that long');
});

test('a failed save is wanted again, ever later, at most a minute; a good one ends that', t => {
  t.deepEqual([0, 1, 2, 3, 5, 6, 50].map(retryMs) as number[], [0, 2_000, 4_000, 8_000, 32_000, 60_000, 60_000]);
  let state = savedOnce(10, false);
  t.is(dueAt(state, 0, at(10_001)), at(12_000), 'also when the table is as it was');
  state = ended(begun(state), { ok: false, version: 1, beganAt: at(12_000), now: at(12_000) });
  t.is(dueAt(state, 1, at(12_001)), at(16_000));
  state = ended(begun(state), { ok: true, version: 1, beganAt: at(16_000), now: at(16_000) });
  t.is(dueAt(state, 1, at(16_001)), undefined);
});

test('a change during a save is saved after it', t => {
  const state = ended(begun(saverFrom(0)), { ok: true, version: 5, beganAt: at(0), now: at(1) });
  t.is(dueAt(state, 6, at(2)), at(2_001));
});

const SAVERS: readonly (readonly [
  what: string,
  type: 'none' | 'file' | 'redis',
  of: Parameters<typeof mayPersist>[1],
  expected: boolean,
])[] = [
  ['file: the owner', 'file', { role: 'source', warm: true, alone: false }, true],
  ['file: the other router when it has all', 'file', { role: 'sink', warm: true, alone: false }, true],
  ['file: the other router with half a table', 'file', { role: 'sink', warm: false, alone: false }, false],
  ['redis: the owner', 'redis', { role: 'source', warm: true, alone: false }, true],
  ['redis: the other router', 'redis', { role: 'sink', warm: true, alone: false }, false],
  ['redis: a router alone', 'redis', { role: 'idle', warm: false, alone: true }, true],
  ['redis: nobody owns', 'redis', { role: 'idle', warm: false, alone: false }, false],
  ['none', 'none', { role: 'source', warm: true, alone: true }, false],
];
for (const [what, type, of, expected] of SAVERS) {
  test(`who saves: ${what}: ${expected ? 'yes' : 'no'}`, t => t.is(mayPersist(type, of), expected));
}

interface Rig {
  readonly saver: SessionSaver;
  readonly saves: Buffer[];
  readonly events: { readonly code: string; readonly fields: Readonly<Record<string, unknown>> }[];
  now: number;
  version: number;
  may: boolean;
  closed: boolean;
  /** What the store does with a save. */
  onSave: () => Promise<void>;
}

function rigOf(): Rig {
  const rig = { saves: [], events: [], now: 1_000, version: 1, may: true, closed: false } as unknown as Rig;
  rig.onSave = async () => undefined;
  const store: SessionStore = {
    type: 'redis',
    save: async snapshot => {
      await rig.onSave();
      rig.saves.push(snapshot);
    },
    load: async () => [],
    setAside: async () => '',
    close: async () => {
      rig.closed = true;
    },
  };
  const { savedAtMs, ...about } = HEADER;
  const saver = createSessionSaver({
    store,
    schedule: { type: 'cron', expression: '0 0 0 1 1 *' },
    key: () => KEY,
    about: () => about,
    rows: () => rowsOf(4),
    version: () => rig.version,
    mayPersist: () => rig.may,
    onEvent: (code, fields) => void rig.events.push({ code, fields }),
    now: () => at(rig.now),
    wallMs: () => savedAtMs + rig.now,
  });
  return Object.assign(rig, { saver });
}

/** Time for the saver to look and to save. */
const aLook = () => sleep(600);
const codes = (rig: Rig) => rig.events.splice(0).map(event => event.code);

test('saves begin only when told, then follow changes, two seconds apart; the newest state is what is saved', async t => {
  const rig = rigOf();
  rig.version = 2;
  rig.saver.tick();
  await aLook();
  t.is(rig.saves.length, 0, 'an empty table must not replace what is still to be restored');
  rig.saver.begin();
  await aLook();
  t.is(rig.saves.length, 0, 'what was restored is in the store already');
  rig.version = 3;
  await aLook();
  t.is(rig.saves.length, 1);
  rig.version = 4;
  await aLook();
  t.is(rig.saves.length, 1);
  rig.version = 5;
  rig.now += 2_000;
  await aLook();
  t.is(rig.saves.length, 2);
  const decoded = runSteps(decodeSteps(rig.saves[1] as Buffer, { pair: HEADER.pair, keys: [KEY] }));
  t.like(decoded, { ok: true, header: { ...HEADER, savedAtMs: HEADER.savedAtMs + rig.now } });
  t.like(rig.saver.status(), { type: 'redis', templates: 2, connections: 2, problem: '' });
  t.deepEqual(codes(rig), ['STORE_SAVED', 'STORE_SAVED']);
  await rig.saver.close();
  t.is(rig.saves.length, 2, 'nothing has changed since');
  t.true(rig.closed);
});

test('a tick saves also what has not changed, since lifetimes have; a router that may not save does not', async t => {
  const rig = rigOf();
  rig.saver.begin();
  rig.may = false;
  rig.saver.tick();
  rig.version = 2;
  await aLook();
  t.is(rig.saves.length, 0);
  rig.may = true;
  await aLook();
  t.is(rig.saves.length, 1);
  rig.now += 2_000;
  rig.saver.tick();
  await aLook();
  t.is(rig.saves.length, 2);
  await rig.saver.close();
});

test('one save at a time, however much changes meanwhile', async t => {
  const rig = rigOf();
  let running = 0;
  let most = 0;
  rig.onSave = async () => {
    most = Math.max(most, ++running);
    await sleep(400);
    running--;
  };
  rig.saver.begin();
  for (let round = 0; round < 6; round++) {
    rig.version++;
    rig.now += 2_000;
    rig.saver.tick();
    await sleep(150);
  }
  await rig.saver.close();
  t.is(most, 1);
  t.true(rig.saves.length >= 2);
});

test('a problem is told once, with the next try, until it is over; other words are told again', async t => {
  const rig = rigOf();
  const failing = (message: string) => async () => {
    throw new StoreError('failed', message);
  };
  rig.onSave = failing('the disk is full');
  rig.saver.begin();
  rig.version = 2;
  await aLook();
  t.is(rig.saver.status().problem, 'the disk is full');
  t.like(rig.events[0], {
    code: 'STORE_PROBLEM',
    fields: { doing: 'save', problem: 'the disk is full', retryMs: 2_000 },
  });
  t.deepEqual(codes(rig), ['STORE_PROBLEM']);
  rig.now += 2_000;
  await aLook();
  t.deepEqual(codes(rig), []);
  rig.onSave = failing('the disk is broken');
  rig.now += 4_000;
  await aLook();
  t.deepEqual(codes(rig), ['STORE_PROBLEM']);
  rig.onSave = async () => undefined;
  rig.now += 8_000;
  await aLook();
  t.deepEqual(codes(rig), ['STORE_OK', 'STORE_SAVED']);
  t.is(rig.saver.status().problem, '');
  t.deepEqual([rig.saver.saved, rig.saver.failed], [1, 3]);
  await rig.saver.close();
});

test('an old owner that comes last once is no problem; one that keeps coming is', async t => {
  const rig = rigOf();
  rig.onSave = async () => {
    throw new StoreError('older-epoch', 'it stays');
  };
  rig.saver.begin();
  rig.version = 2;
  await aLook();
  t.deepEqual(codes(rig), []);
  rig.now += 2_000;
  await aLook();
  t.deepEqual(codes(rig), ['STORE_PROBLEM']);
  await rig.saver.close();
});

test('a change just before the end is saved; a store that hangs holds the end up for three seconds at most', async t => {
  const rig = rigOf();
  rig.saver.begin();
  rig.version = 2;
  await rig.saver.close();
  t.is(rig.saves.length, 1);
  t.like(rig.events.at(-1)?.fields, { reason: 'stop' });

  const hanging = rigOf();
  hanging.onSave = () => new Promise<void>(() => undefined);
  hanging.saver.begin();
  hanging.version = 2;
  const began = performance.now();
  await hanging.saver.close();
  t.true(performance.now() - began < 4_500);
  t.true(performance.now() - began > 2_500);
});

test('a header that does not fit is a problem like any other, not the end of the process', async t => {
  const rig = rigOf();
  rig.onSave = async () => undefined;
  const bad = createSessionSaver({
    store: {
      type: 'file',
      save: async () => undefined,
      load: async () => [],
      setAside: async () => '',
      close: async () => undefined,
    },
    schedule: { type: 'cron', expression: '0 0 0 1 1 *' },
    key: () => KEY,
    about: () => ({ ...HEADER, instance: 'x' }),
    rows: () => [],
    version: () => rig.version,
    mayPersist: () => true,
    onEvent: (code, fields) => void rig.events.push({ code, fields }),
    now: () => at(rig.now),
    wallMs: () => 0,
  });
  bad.begin();
  bad.tick();
  await aLook();
  t.deepEqual(codes(rig), ['STORE_PROBLEM']);
  await bad.close();
});

function storeWith(snapshots: readonly Buffer[] | Error, aside: string[]): SessionStore {
  return {
    type: 'file',
    save: async () => undefined,
    load: async () => {
      if (snapshots instanceof Error) throw snapshots;
      return snapshots;
    },
    setAside: async (_, why) => {
      aside.push(why);
      return '/aside';
    },
    close: async () => undefined,
  };
}
const encoded = (header: Partial<SavedHeader> = {}) =>
  runSteps(encodeSteps({ ...HEADER, ...header }, rowsOf(4), KEY)).buffer;
const RULES = {
  nowMs: HEADER.savedAtMs,
  maxAge: ms(60_000),
  connections: true,
  inScope: () => true,
  isDown: () => false,
};

async function read(snapshots: readonly Buffer[] | Error) {
  const aside: string[] = [];
  const events: Rig['events'] = [];
  const onEvent = (code: string, fields: Readonly<Record<string, unknown>>) => void events.push({ code, fields });
  const done = await readStore({ store: storeWith(snapshots, aside), pair: HEADER.pair, keys: [KEY], onEvent }, RULES);
  return { done, aside, events };
}

test('at the start: a damaged snapshot is set aside and told, the one before it is used', async t => {
  const { done, aside, events } = await read([Buffer.from('x'.repeat(300)), encoded()]);
  t.true(done.ok && done.restore.from?.index === 1 && done.restore.entries.length === 4);
  t.deepEqual(aside, ['not-a-snapshot']);
  t.deepEqual(events, [
    { code: 'STORE_DAMAGED', fields: { store: 'file', why: 'not-a-snapshot', setAside: '/aside' } },
  ]);
  if (!done.ok) return;
  t.like(restoredFields('file', done.restore), {
    templates: 2,
    connections: 2,
    savedBy: 'router-a',
    ageS: 0,
    expired: 0,
  });
});

test('at the start: what is refused is told with its reason, unless a newer one is in use', async t => {
  const old = encoded({ savedAtMs: HEADER.savedAtMs - 61_000 });
  const refused = await read([old]);
  t.true(refused.done.ok && refused.done.restore.from === undefined);
  t.deepEqual(refused.aside, []);
  t.like(refused.events[0], { code: 'STORE_REFUSED', fields: { why: 'too-old', savedBy: 'router-a' } });
  t.deepEqual((await read([encoded(), old])).events, []);
});

test('at the start: a store that does not answer is a problem worth another try', async t => {
  const { done, events } = await read(new StoreError('failed', 'Redis does not run'));
  t.deepEqual(done, { ok: false, problem: 'Redis does not run' });
  t.like(events[0], { code: 'STORE_PROBLEM', fields: { doing: 'load', problem: 'Redis does not run' } });
});
