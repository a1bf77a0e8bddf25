// What comes back from the store when a router starts: the right snapshot, what is left of each lifetime, nothing dead or foreign.
import test from 'ava';
import { type RestoreRules, restoreSteps } from '../../../src/sync/store/restore.ts';
import {
  decodeSteps,
  encodeSteps,
  runSteps,
  type SavedHeader,
  type SavedRow,
  type SavedSessions,
} from '../../../src/sync/store/saved-sessions.ts';
import type { Entry } from '../../../src/sync/table/entry.ts';
import { isTemplate } from '../../../src/sync/table/entry.ts';
import { ms } from '../../../src/units/duration.ts';
import { CONNECTION, maskedScope, raw, TEMPLATE } from '../samples.ts';
import { connection, HEADER, KEY, OTHER_SERVER, rowsOf, SERVER, template } from './entries.ts';

const MINUTE = 60_000;
const NOW = HEADER.savedAtMs;
const RULES: RestoreRules = {
  nowMs: NOW,
  maxAge: ms(30 * MINUTE),
  connections: true,
  inScope: () => true,
  isDown: () => false,
};

function snapshot(rows: Iterable<SavedRow>, header: Partial<SavedHeader> = {}): SavedSessions {
  const { buffer } = runSteps(encodeSteps({ ...HEADER, ...header }, rows, KEY));
  return runSteps(decodeSteps(buffer, { pair: HEADER.pair, keys: [KEY] }));
}
const damaged: SavedSessions = { ok: false, why: 'damaged', header: HEADER };
const restore = (snapshots: readonly SavedSessions[], rules: Partial<RestoreRules> = {}) =>
  runSteps(restoreSteps(snapshots, { ...RULES, ...rules }));

test('templates come before connections, each with what is left of its lifetime', t => {
  const done = restore([snapshot(rowsOf(100), { savedAtMs: NOW - 100_500 })]);
  t.like(done, { templates: 50, connections: 50, refused: [] });
  t.is(done.from?.ageMs as number, 100_500);
  const firstConnection = done.entries.findIndex(entry => !isTemplate(entry));
  t.is(firstConnection, 50);
  t.true(done.entries.slice(firstConnection).every(entry => !isTemplate(entry)));
  t.true(done.entries.every(entry => entry.timeoutS === 199));
  t.deepEqual({ ...done.entries[50], timeoutS: 0 }, { ...connection(0), timeoutS: 0 });
});

test('a lifetime that has ended meanwhile is over', t => {
  const rows = [9, 10, 11, 12].map(remainingS => ({ entry: connection(remainingS), remainingS }));
  const done = restore([snapshot(rows, { savedAtMs: NOW - 10_000 })]);
  t.deepEqual(
    done.entries.map(entry => entry.timeoutS),
    [1, 2],
  );
  t.is(done.skipped.expired, 2);
});

test('a saving clock that was ahead by less than a minute gives nothing more than was left', t => {
  const done = restore([snapshot([{ entry: connection(1), remainingS: 50 }], { savedAtMs: NOW + MINUTE })]);
  t.is(done.entries[0]?.timeoutS, 50);
});

test('servers that are down, services that are gone and unwanted connections are skipped and counted', t => {
  const rows = [connection(0), connection(1), connection(2, { virtualPort: 99 }), template(2)].map(entry => ({
    entry,
    remainingS: 60,
  }));
  const done = restore([snapshot(rows)], {
    inScope: (entry: Entry) => entry.virtualPort !== 99,
    isDown: server => server === OTHER_SERVER,
  });
  t.deepEqual(done.entries, [
    { ...template(2), timeoutS: 60 },
    { ...connection(0), timeoutS: 60 },
  ]);
  t.deepEqual(done.skipped, { expired: 0, outOfScope: 1, serverDown: 1, connections: 0 });
  const templates = restore([snapshot(rows)], { connections: false, isDown: server => server !== SERVER });
  t.deepEqual([templates.templates, templates.connections, templates.skipped.connections], [1, 0, 3]);
});

test('the snapshot of the newest term of ownership is used, whatever the clocks said; within a term the newest', t => {
  const old = snapshot(rowsOf(2), { epoch: { counter: 5, node: 2 }, savedAtMs: NOW });
  const first = snapshot(rowsOf(4), { epoch: { counter: 6, node: 1 }, savedAtMs: NOW - 2 * MINUTE });
  const second = snapshot(rowsOf(6), { epoch: { counter: 6, node: 1 }, savedAtMs: NOW - MINUTE });
  t.is(restore([old, first, second]).from?.index, 2);
  t.is(restore([old, first, second]).entries.length, 6);
  t.is(restore([first, old]).from?.index, 0);
});

test('a damaged newest snapshot falls back to the one before it', t => {
  const done = restore([damaged, snapshot(rowsOf(2), { savedAtMs: NOW - MINUTE })]);
  t.is(done.from?.index, 1);
  t.is(done.entries.length, 2);
  t.like(done.refused, [{ index: 0, why: 'damaged', problem: 'its checksum does not fit its content' }]);
});

test('too old, or from the future by more than a minute: refused with its age in words', t => {
  const at = (offset: number) => restore([snapshot(rowsOf(2), { savedAtMs: NOW + offset })]);
  t.is(at(-30 * MINUTE).refused.length, 0);
  t.like(at(-30 * MINUTE - 1), { from: undefined, entries: [] });
  t.is(at(-45 * MINUTE).refused[0]?.problem, 'it is 45 min old, older than max_age (30 min)');
  t.is(at(-3 * 24 * 60 * MINUTE).refused[0]?.problem, 'it is 72 h old, older than max_age (30 min)');
  t.is(at(MINUTE).refused.length, 0);
  t.like(at(MINUTE + 1), { from: undefined, entries: [] });
  t.like(at(5 * MINUTE).refused[0], { why: 'from-the-future' });
  t.regex(at(5 * MINUTE).refused[0]?.problem ?? '', /5 min from now.*clock/);
});

test('nothing in the store gives nothing', t => {
  t.like(restore([]), { from: undefined, entries: [], refused: [] });
});

test('templates of another prefix than the config has now do not come back, connections do', t => {
  const rows = [TEMPLATE, { ...TEMPLATE, client: raw('203.0.112.0') }, CONNECTION].map(entry => ({
    entry,
    remainingS: 300,
  }));
  const done = restore([snapshot(rows)], { inScope: maskedScope().inScope });
  t.like(done, { templates: 1, connections: 1, skipped: { outOfScope: 1 } });
  t.is(done.entries[0]?.client, raw('203.0.112.0'));
});
