// The snapshot format: what goes in comes out, and whatever else the bytes are, they are refused with the right word.
import { performance } from 'node:perf_hooks';
import test from 'ava';
import fc from 'fast-check';
import {
  decodeSteps,
  encodeSteps,
  readHeader,
  runSteps,
  SAVED_ROWS_MAX,
  type SavedRow,
  type SavedSessions,
  sealKey,
} from '../../../src/sync/store/saved-sessions.ts';
import type { Entry, RawAddress } from '../../../src/sync/table/entry.ts';
import { connection, connection6, HEADER, KEY, rowsOf, template } from './entries.ts';

const encode = (rows: Iterable<SavedRow>, header = HEADER) => runSteps(encodeSteps(header, rows, KEY)).buffer;
const decode = (buffer: Buffer, pair = HEADER.pair, keys: readonly Buffer[] = [KEY]): SavedSessions =>
  runSteps(decodeSteps(buffer, { pair, keys }));
const whyOf = (decoded: SavedSessions) => (decoded.ok ? 'ok' : decoded.why);

const FEW: readonly SavedRow[] = [
  { entry: template(1), remainingS: 300 },
  { entry: connection(1), remainingS: 7_000 },
  { entry: connection6(1), remainingS: 1 },
];

test('what is encoded is decoded: header, counts, rows in their order', t => {
  const decoded = decode(encode(FEW));
  t.true(decoded.ok);
  if (!decoded.ok) return;
  t.deepEqual(decoded.header, HEADER);
  t.deepEqual(decoded.counts, { templates: 1, connections: 2 });
  t.deepEqual([...decoded.rows()], [...FEW]);
  t.deepEqual([...decoded.rows()], [...FEW], 'rows can be read again');
  t.deepEqual(readHeader(encode(FEW)), HEADER);
});

const raw = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(a => Buffer.from(a).toString('hex') as RawAddress);
const entryOf = (bytes: number): fc.Arbitrary<Entry> =>
  fc.record({
    protocol: fc.nat(0xff),
    client: raw(bytes),
    clientPort: fc.nat(0xffff),
    virtual: raw(bytes),
    virtualPort: fc.nat(0xffff),
    server: raw(bytes),
    serverPort: fc.nat(0xffff),
    flags: fc.nat(0x7fff_ffff),
    state: fc.nat(0xffff),
    mark: fc.nat(0x7fff_ffff),
    timeoutS: fc.nat(0x7fff_ffff),
  });
const row = fc.record({ entry: fc.oneof(entryOf(4), entryOf(16)), remainingS: fc.nat(0x7fff_ffff) });

test('any rows come back as they were', t => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 40 }), rows => {
      const decoded = decode(encode(rows));
      if (!decoded.ok) throw new Error(decoded.why);
      t.deepEqual([...decoded.rows()], rows);
    }),
    { numRuns: 300, seed: 21 },
  );
});

test('a snapshot cut at any byte is refused as damaged', t => {
  const whole = encode(FEW);
  for (let length = 0; length < whole.length; length++) {
    t.is(whyOf(decode(whole.subarray(0, length))), 'truncated', `${length} of ${whole.length} bytes`);
  }
});

test('every single flipped bit is noticed', t => {
  const whole = encode(FEW);
  const seen = new Set<string>();
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = Buffer.from(whole);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    const why = whyOf(decode(flipped));
    if (why === 'ok') t.fail(`bit ${bit}`);
    seen.add(why);
  }
  // Of the seal alone: the content is what was saved, but nobody of ours vouches for it.
  t.deepEqual([...seen].sort(), ['damaged', 'foreign-key', 'not-a-snapshot', 'truncated', 'version']);
});

test('decoding never throws, whatever the bytes', t => {
  const whole = encode(FEW);
  const place = fc.nat(whole.length - 1);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), place, place, (bytes, from, to) => {
      decode(Buffer.from(bytes));
      const mixed = Buffer.concat([whole.subarray(0, from), Buffer.from(bytes), whole.subarray(to)]);
      const decoded = decode(mixed);
      if (decoded.ok && !mixed.equals(whole)) throw new Error('accepted');
    }),
    { numRuns: 2_000, seed: 21 },
  );
  t.pass();
});

test('of another pair, key or version: refused with that word, and its header is told', t => {
  const buffer = encode(FEW);
  t.like(decode(buffer, 'other'), { ok: false, why: 'foreign-pair', header: HEADER });
  t.like(decode(buffer, HEADER.pair, [Buffer.alloc(32, 8)]), { ok: false, why: 'foreign-key', header: HEADER });
  t.true(decode(buffer, HEADER.pair, [Buffer.alloc(32, 8), KEY]).ok, 'an older key of the pair is good');
  const next = Buffer.from(buffer);
  next.writeUInt16BE(2, 8);
  t.like(decode(next), { ok: false, why: 'version', header: undefined });
  t.is(whyOf(decode(Buffer.concat([buffer, buffer]))), 'damaged');
});

test('the key of snapshots is not the key of the pair', t => {
  const pairKey = Buffer.alloc(32, 1);
  t.false(sealKey(pairKey).equals(pairKey));
  t.true(sealKey(pairKey).equals(sealKey(pairKey)));
});

test('names and instances that do not fit are a fault of ours', t => {
  t.throws(() => encode(FEW, { ...HEADER, pair: 'x'.repeat(32) }), { instanceOf: RangeError });
  t.throws(() => encode(FEW, { ...HEADER, instance: 'abc' }), { instanceOf: RangeError });
  t.throws(() => encode([{ entry: { ...connection(1), server: connection6(1).server }, remainingS: 1 }]), {
    instanceOf: RangeError,
  });
});

/** Runs steps and tells how long most of them (19 of 20) stayed below: the others also pay for what else the machine does. */
function paces<T>(steps: Generator<void, T>): { value: T; mostMs: number; steps: number } {
  const times: number[] = [];
  for (;;) {
    const before = performance.now();
    const step = steps.next();
    times.push(performance.now() - before);
    if (!step.done) continue;
    times.sort((a, b) => a - b);
    return { value: step.value, mostMs: times[Math.floor(times.length * 0.95)] ?? 0, steps: times.length };
  }
}

test('a large table is encoded and decoded in many short steps, so that the event loop is never held up', t => {
  const { value, mostMs, steps } = paces(encodeSteps(HEADER, rowsOf(200_000), KEY));
  t.true(steps >= 400);
  t.true(mostMs < 20, `${mostMs} ms`);
  t.like(value, { templates: 100_000, connections: 100_000, omitted: 0 });
  const read = paces(decodeSteps(value.buffer, { pair: HEADER.pair, keys: [KEY] }));
  t.true(read.value.ok);
  t.true(read.steps >= 30);
  t.true(read.mostMs < 20, `${read.mostMs} ms`);
});

test('rows beyond the bound are left out and counted', t => {
  const one = { entry: connection(1), remainingS: 5 };
  const endless = function* (): Generator<SavedRow> {
    for (let n = 0; n < SAVED_ROWS_MAX + 7; n++) yield one;
  };
  const { connections, omitted, buffer } = runSteps(encodeSteps(HEADER, endless(), KEY));
  t.deepEqual([connections, omitted], [SAVED_ROWS_MAX, 7]);
  t.is(whyOf(decode(buffer)), 'ok');
});
