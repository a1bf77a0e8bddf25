import test from 'ava';
import { entryKeyOf, type RawAddress } from '../../../src/sync/table/entry.ts';
import { EntryDigest } from '../../../src/sync/table/entry-digest.ts';
import { Mirror } from '../../../src/sync/table/mirror.ts';
import {
  at,
  CLIENT,
  clientOf,
  closing,
  connection,
  MARK,
  OTHER_SERVER,
  SERVER,
  template,
} from '../stream/sync-entries.ts';

test('an entry lives for its time-out from the last word of it, and a little longer than in the kernel', t => {
  const mirror = new Mirror();
  const entry = connection({ timeoutS: 10 });
  mirror.upsert(entry, at(0));
  mirror.upsert(entry, at(5_000));
  t.truthy(mirror.get(entryKeyOf(entry), at(14_900)));
  t.truthy(mirror.get(entryKeyOf(entry), at(16_000)));
  t.is(mirror.get(entryKeyOf(entry), at(17_100)), undefined);
});

test('what is left of a time-out shrinks to one second and no further', t => {
  const mirror = new Mirror();
  mirror.upsert(connection({ timeoutS: 100 }), at(0));
  const row = mirror.get(entryKeyOf(connection()), at(0));
  t.truthy(row);
  for (const [ms, left] of [
    [0, 100],
    [30_000, 70],
    [99_500, 1],
    [101_000, 1],
  ] as const) {
    t.is(row && mirror.remainingS(row, at(ms)), left, `${ms} ms`);
  }
});

test('the sweep removes what has ended, in slices, and keeps what was refreshed', t => {
  const mirror = new Mirror();
  for (let i = 0; i < 1_000; i++) mirror.upsert(template({ client: clientOf(i), timeoutS: 100 }), at(0));
  for (let i = 0; i < 1_000; i += 2) mirror.upsert(template({ client: clientOf(i), timeoutS: 100 }), at(80_000));
  let calls = 0;
  while (!mirror.sweep(at(110_000), 50)) calls++;
  t.is(mirror.templates, 500);
  t.true(calls >= 10, `${calls} slices`);
  mirror.sweep(at(190_000), 100_000);
  t.is(mirror.size, 0);
});

test('an entry whose time-out was cut short goes early, and may be prolonged again', t => {
  const mirror = new Mirror();
  const entry = template({ timeoutS: 1_000 });
  mirror.upsert(entry, at(0));
  mirror.upsert({ ...entry, timeoutS: 1 }, at(1_000));
  mirror.upsert({ ...entry, timeoutS: 100 }, at(1_500));
  mirror.sweep(at(50_000), 1_000);
  t.is(mirror.size, 1);
  mirror.upsert({ ...entry, timeoutS: 1 }, at(50_000));
  mirror.sweep(at(55_000), 1_000);
  t.is(mirror.size, 0);
});

test('the version grows when entries come, go or move, not when they are refreshed', t => {
  const mirror = new Mirror();
  const seen: number[] = [];
  const after = (step: () => void) => {
    const before = mirror.version;
    step();
    seen.push(Math.sign(mirror.version - before));
  };
  after(() => mirror.upsert(template(), at(0)));
  after(() => mirror.upsert(template(), at(1_000)));
  after(() => mirror.upsert(closing(), at(1_000)));
  after(() => mirror.upsert(connection(), at(1_000)));
  after(() => mirror.upsert(template({ server: OTHER_SERVER }), at(2_000)));
  after(() => mirror.remove(entryKeyOf(connection())));
  t.deepEqual(seen, [1, 0, 1, 0, 1, 1]);
});

test('connections are counted for their template, established ones apart', t => {
  const mirror = new Mirror();
  mirror.upsert(connection({ clientPort: 1 }), at(0));
  mirror.upsert(connection({ clientPort: 2 }), at(0));
  mirror.upsert(closing({ clientPort: 2 }), at(0));
  mirror.upsert(connection({ client: clientOf(1) }), at(0));
  t.deepEqual(mirror.liveOf({ client: CLIENT, mark: MARK }), { established: 1, all: 2 });
  mirror.remove(entryKeyOf(connection({ clientPort: 1 })));
  mirror.sweep(at(200_000), 1_000);
  t.deepEqual(mirror.liveOf({ client: CLIENT, mark: MARK }), { established: 0, all: 0 });
});

test('templates and connections are counted by server, through every change', t => {
  const mirror = new Mirror();
  for (let i = 0; i < 10; i++) mirror.upsert(template({ client: clientOf(i) }), at(0));
  for (let i = 0; i < 4; i++) mirror.upsert(template({ client: clientOf(i), server: OTHER_SERVER }), at(0));
  mirror.upsert(connection(), at(0));
  t.deepEqual(
    [...mirror.serverRows()].sort((a, b) => a.server.localeCompare(b.server)),
    [
      { mark: MARK, server: SERVER, templates: 6, connections: 1 },
      { mark: MARK, server: OTHER_SERVER, templates: 4, connections: 0 },
    ],
  );
  mirror.sweep(at(2_000_000), 1_000);
  t.deepEqual(mirror.serverRows(), []);
});

test('a walk sees templates first, and all that is there from its beginning to its end, whatever else changes', t => {
  const mirror = new Mirror();
  for (let i = 0; i < 100; i++) {
    mirror.upsert(connection({ client: clientOf(i) }), at(0));
    mirror.upsert(template({ client: clientOf(i) }), at(0));
  }
  const cursor = mirror.cursor();
  const seen: string[] = [];
  for (let step = 0; !cursor.done; step++) {
    for (const row of cursor.next(7, at(0))) seen.push(row.key);
    mirror.remove(entryKeyOf(template({ client: clientOf(99 - step) })));
    mirror.upsert(template({ client: clientOf(1_000 + step) }), at(0));
  }
  const lastTemplate = seen.findLastIndex(key => key.startsWith('t'));
  t.true(seen.slice(0, lastTemplate + 1).every(key => key.startsWith('t')));
  t.is(new Set(seen).size, seen.length);
  for (let i = 0; i < 50; i++) t.true(seen.includes(entryKeyOf(template({ client: clientOf(i) }))));
  t.is(seen.filter(key => key.startsWith('c')).length, 100);
});

test('a full table refuses what is new, unless something else is about to end', t => {
  const mirror = new Mirror(3);
  for (let i = 0; i < 3; i++) mirror.upsert(template({ client: clientOf(i) }), at(0));
  t.is(mirror.upsert(template({ client: clientOf(9), timeoutS: 5 }), at(1_000)), 'full');
  t.is(mirror.upsert(template({ client: clientOf(1) }), at(1_000)), 'refreshed');
  mirror.upsert(template({ client: clientOf(2), timeoutS: 5 }), at(1_000));
  t.is(mirror.upsert(template({ client: clientOf(9) }), at(1_000)), 'new');
  t.is(mirror.size, 3);
  t.is(mirror.get(entryKeyOf(template({ client: clientOf(2) })), at(1_000)), undefined);
  t.is(mirror.refused, 2);
});

test('rows that a new generation did not name are stale', t => {
  const mirror = new Mirror();
  for (let i = 0; i < 4; i++) mirror.upsert(template({ client: clientOf(i) }), at(0));
  mirror.beginGeneration();
  mirror.upsert(template({ client: clientOf(2) }), at(0));
  const stale = mirror
    .cursor()
    .next(10, at(0))
    .filter(row => mirror.isStale(row));
  t.is(stale.length, 3);
});

test('the number of rows about to end is told', t => {
  const mirror = new Mirror();
  for (let i = 0; i < 10; i++) mirror.upsert(template({ client: clientOf(i), timeoutS: 10 + i }), at(0));
  mirror.sweep(at(9_000), 1_000);
  t.is(mirror.expiring(at(9_000), 3_500), 3);
});

test('a digest does not depend on the order, and tells every other set apart', t => {
  const of = (...entries: Parameters<EntryDigest['add']>[0][]) => {
    const digest = new EntryDigest();
    for (const entry of entries) digest.add(entry);
    return digest.value;
  };
  const [a, b, c] = [template(), connection(), connection({ clientPort: 2 })];
  t.is(of(a, b, c), of(c, a, b));
  t.not(of(a, b), of(a, c));
  t.not(of(a, b), of(a, { ...b, server: OTHER_SERVER }));
  t.not(of(a, b), of(a, b, b));
  t.is(of(a), of({ ...a, timeoutS: 1, state: 0 }), 'time and state are no part of it');
  const seen = new Set<string>();
  for (let i = 0; i < 20_000; i++) seen.add(of(connection({ client: clientOf(i), clientPort: 1 + (i % 60_000) })));
  t.is(seen.size, 20_000);
});

test('connections count for the template of their network, also after a change of the prefix', t => {
  const mirror = new Mirror();
  const prefixes = (prefix: number) => new Map([[MARK, prefix]]);
  const network = (client: string) => mirror.liveOf({ client: client as RawAddress, mark: MARK });
  t.false(mirror.setPrefixes(prefixes(24)), 'nothing is counted yet');
  mirror.upsert(connection({ client: 'c6336407' as RawAddress }), at(0));
  mirror.upsert(connection({ client: 'c6336408' as RawAddress }), at(0));
  mirror.upsert(closing({ client: 'c6336508' as RawAddress }), at(0));
  t.deepEqual(network('c6336400'), { established: 2, all: 2 });
  t.deepEqual(network('c6336500'), { established: 0, all: 1 });
  t.false(mirror.setPrefixes(prefixes(24)), 'the same again');
  t.true(mirror.setPrefixes(prefixes(20)));
  for (const row of mirror.cursor().next(100, at(1))) mirror.recount(row);
  t.deepEqual(network('c6336000'), { established: 2, all: 3 });
  t.deepEqual(network('c6336400'), { established: 0, all: 0 });
  mirror.remove(entryKeyOf(connection({ client: 'c6336407' as RawAddress })));
  t.deepEqual(network('c6336000'), { established: 1, all: 2 });
});
