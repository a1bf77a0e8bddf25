import test from 'ava';
import fc from 'fast-check';
import {
  type Control,
  FRAME_BYTES_MAX,
  FRAME_ENTRIES_MAX,
  type Id,
  readEntries,
  readFrame,
  readResyncBegin,
  readResyncEnd,
  writeChecks,
  writeControl,
  writeDrains,
  writeEntries,
  writeResyncBegin,
  writeResyncEnd,
} from '../../../src/sync/stream/frame.ts';
import type { RawAddress } from '../../../src/sync/table/entry.ts';
import type { Digest } from '../../../src/sync/table/entry-digest.ts';
import { clientOf, connection, template } from './sync-entries.ts';

const STREAM = '0123456789abcdef' as Id;
const DIGEST = 'fedcba9876543210' as Digest;

const MESSAGES: Control[] = [
  { type: 'hello', version: 1, node: 2, instance: STREAM, kernel: '6.1.0', templates: 3, connections: 4, met: false },
  { type: 'role', n: 3, role: 'source', epoch: { counter: 7, node: 2 }, stream: STREAM },
  { type: 'ping', at: 12.5, stream: null, seq: 0 },
  { type: 'pong', at: 12.5 },
  { type: 'request', stream: STREAM, have: 0 },
  { type: 'ack', stream: STREAM, seq: 4, received: 6 },
  { type: 'need', stream: STREAM, from: 4, to: 9 },
  { type: 'verified', stream: STREAM, resync: 1, ok: true, count: 5, digest: DIGEST, by: 'counts', repaired: 0 },
  { type: 'takes', frames: ['checks', 'something-later'] },
  { type: 'reload', word: { says: 'ask', id: STREAM, step: 'apply', digest: DIGEST, withinMs: 60_000 } },
  { type: 'hook-sent', word: { hook: 'oncall', dedup: 'p1/SERVER_DOWN/ftp/ftp1' } },
  { type: 'bye', why: 'the director ends' },
];

test('every control message comes out as it went in', t => {
  for (const message of MESSAGES) t.deepEqual(readFrame(writeControl(message)), { type: 'control', message });
});

test('a control message with a field more, less or of another kind is refused', t => {
  for (const message of MESSAGES) {
    for (const name of Object.keys(message)) {
      const { [name as 'type']: _, ...less } = message;
      const other = { ...message, [name]: { nested: 1 } };
      for (const wrong of [less, other]) {
        t.is(readFrame(writeControl(wrong as unknown as Control)).type, 'refused', `${message.type} ${name}`);
      }
    }
    t.is(readFrame(writeControl({ ...message, more: 1 } as unknown as Control)).type, 'refused', message.type);
  }
});

test('the hello of another version is told from nonsense', t => {
  const hello = { ...(MESSAGES[0] as Control), version: 2, more: true } as unknown as Control;
  t.deepEqual(readFrame(writeControl(hello)), { type: 'refused', refusal: 'version' });
});

test('a frame has its layout byte for byte', t => {
  const frame = writeEntries('bulk', STREAM, 0x010203040506, [template()]);
  t.is(frame.subarray(0, 16).toString('hex'), '0201' + '0123456789abcdef' + '010203040506');
  t.is(frame.readUInt16BE(18), frame.length - 16, 'then one sync message with its length');
});

test('the entries of a full frame come out as they went in, IPv4 and IPv6, and fit', t => {
  const six = (n: number) => n.toString(16).padStart(32, '2') as RawAddress;
  const entries = Array.from({ length: FRAME_ENTRIES_MAX }, (_, i) =>
    i % 2 === 0
      ? connection({ client: clientOf(i), clientPort: 1 + i })
      : connection({ client: six(i), virtual: six(1), server: six(2), clientPort: 1 + i }),
  );
  const frame = writeEntries('live', STREAM, 1, entries);
  t.true(frame.length <= FRAME_BYTES_MAX);
  const read = readFrame(frame);
  if (read.type !== 'numbered') return t.fail();
  t.deepEqual(readEntries(read.frame.payload), { entries, invalid: 0 });
  return undefined;
});

test('what surrounds a resync comes out as it went in', t => {
  const begin = readFrame(writeResyncBegin(STREAM, 1, { resync: 3, entries: 5 }));
  const end = readFrame(writeResyncEnd(STREAM, 2, { resync: 3, count: 5, digest: DIGEST }));
  if (begin.type !== 'numbered' || end.type !== 'numbered') return t.fail();
  t.deepEqual(readResyncBegin(begin.frame.payload), { resync: 3, entries: 5 });
  t.deepEqual(readResyncEnd(end.frame.payload), { resync: 3, count: 5, digest: DIGEST });
  t.is(readResyncEnd(begin.frame.payload), undefined);
  return undefined;
});

test('a frame cut at any byte is refused or has fewer entries, and nothing throws', t => {
  const frame = writeEntries('live', STREAM, 1, [template(), connection(), connection({ clientPort: 9 })]);
  for (let length = 0; length < frame.length; length++) {
    const read = readFrame(frame.subarray(0, length));
    if (read.type === 'numbered') t.true((readEntries(read.frame.payload)?.entries.length ?? 0) === 0);
  }
});

test('what nannies say goes in as many messages as it takes, each within the bound of a control message', t => {
  const words = Array.from({ length: 300 }, (_, n) => ({
    service: 'ftp',
    server: `fs${n}`,
    state: 'down' as const,
    stage: 'login' as const,
    problem: n % 2 === 0 ? '' : '\u0007\u{1F6D1}'.repeat(66),
  }));
  const read = writeChecks(words).map(readFrame);
  const found = read.flatMap(frame => {
    if (frame.type === 'control' && frame.message.type === 'checks') return frame.message.words;
    t.fail(JSON.stringify(frame));
    return [];
  });
  t.deepEqual(found, words);
  t.true(read.length > 1);
  t.deepEqual(writeChecks([]), []);
});

test('a word on a server may have fields of a later version, and none without its bound', t => {
  const word = { service: 'ftp', server: 'fs1', state: 'up', stage: null, problem: '' };
  const typeOf = (changes: object) =>
    readFrame(
      Buffer.concat([Buffer.of(1), Buffer.from(JSON.stringify({ type: 'checks', words: [{ ...word, ...changes }] }))]),
    ).type;
  t.is(typeOf({ later: 1 }), 'control');
  t.is(typeOf({ server: 'x'.repeat(65) }), 'refused');
  t.is(typeOf({ problem: 'x'.repeat(201) }), 'refused');
  t.is(typeOf({ state: 'fine' }), 'refused');
});

test('drains go in as many messages as it takes; one without a bound in a field is refused', t => {
  const words = Array.from({ length: 100 }, (_, n) => ({
    ...{ service: 'ftp', server: `fs${n}`, counter: n + 1, router: 'r1', drained: n % 2 === 0 },
    ...{ spanMs: 60_000, leftMs: 59_000, since: '2026-11-29T06:00:00.000Z', reason: '\u0007'.repeat(200), who: 'jo' },
  }));
  const read = writeDrains(words).map(readFrame);
  const found = read.flatMap(frame =>
    frame.type === 'control' && frame.message.type === 'drains' ? frame.message.words : [],
  );
  t.deepEqual(found, words);
  const typeOf = (changes: object) =>
    readFrame(
      Buffer.concat([
        Buffer.of(1),
        Buffer.from(JSON.stringify({ type: 'drains', words: [{ ...words[0], ...changes }] })),
      ]),
    ).type;
  t.is(typeOf({ later: 1, reason: '' }), 'control');
  t.is(typeOf({ counter: 2 ** 53, reason: '' }), 'refused');
  t.is(typeOf({ leftMs: -1, reason: '' }), 'refused');
});

test('no bytes make the reader throw', t => {
  const first = fc.constantFrom(1, 2, 2, 2, 3, 0x7b);
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(first, fc.nat(4), bytes, (type, kind, rest) => {
      const read = readFrame(Buffer.from([type, kind, ...rest]));
      if (read.type !== 'numbered') return;
      readEntries(read.frame.payload);
      readResyncBegin(read.frame.payload);
      readResyncEnd(read.frame.payload);
    }),
    { numRuns: 3_000 },
  );
  const good = writeEntries('live', STREAM, 1, [template(), connection()]);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
      const broken = Buffer.from(good);
      broken[at] = value;
      const read = readFrame(broken);
      if (read.type === 'numbered') readEntries(read.frame.payload);
    }),
    { numRuns: 3_000 },
  );
  t.is(readFrame(Buffer.alloc(FRAME_BYTES_MAX + 1, 2)).type, 'refused');
  t.is(readFrame(Buffer.alloc(0)).type, 'refused');
  t.is(readFrame(Buffer.concat([Buffer.of(1), Buffer.alloc(5_000, 0x5b)])).type, 'refused', 'deep nesting');
});
