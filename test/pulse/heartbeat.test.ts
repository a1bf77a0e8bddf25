// The heartbeat's wire format: literal bytes, and everything that must be refused.
import { createHmac } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { DATAGRAM_BYTES_MAX, decode, encode, type Heartbeat, pairIdOf, type Will } from '../../src/pulse/heartbeat.ts';
import { ms } from '../../src/units/duration.ts';

const PAIR = pairIdOf('edge');
const KEY = Buffer.alloc(32, 1);

const HEARTBEAT: Heartbeat = {
  kind: 'heartbeat',
  nodeId: 1,
  bootId: '0102030405060708',
  peerBootId: '1112131415161718',
  seq: 7,
  role: 'active',
  epoch: { counter: 42, node: 1 },
  serving: true,
  ready: true,
  hold: false,
  warm: true,
  witness: true,
  standsDown: false,
  sound: true,
  priority: 150,
  fitness: 3,
  configDigest: 'aabbccddeeff0011',
  intervalMs: ms(100),
  leaseMs: ms(220),
  deadMs: ms(300),
  sentAtUs: 123_456_789,
  echoSentAtUs: 5_000,
  echoDelayUs: 250,
  offer: { epoch: { counter: 43, node: 2 }, remainingMs: ms(90) },
  macs: [{ lan: 0, mac: '02:00:5e:00:01:02' }],
};
const WILL: Will = {
  kind: 'will',
  nodeId: 2,
  bootId: '2122232425262728',
  peerBootId: '0102030405060708',
  seq: 0,
  role: 'standby',
  epoch: { counter: 9, node: 2 },
};

test('a heartbeat is these bytes, and reads back as it was', t => {
  const bytes = encode(HEARTBEAT, PAIR, KEY);
  t.is(bytes.subarray(0, 8).toString('hex'), '544e444d0101015b', 'magic, version, kind, node, flags');
  t.is(
    bytes.subarray(16, 46).toString('hex'),
    '01020304050607081112131415161718000000000007' + '0301' + '00000000002a',
  );
  t.is(bytes.subarray(46, 62).toString('hex'), '9603' + 'aabbccddeeff0011' + '006400dc012c');
  t.is(bytes.subarray(87, 95).toString('hex'), '0100' + '02005e000102');
  t.is(bytes.length, 88 + 7 + 32);
  t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: true, message: HEARTBEAT });
});

test('a will is 78 bytes and reads back', t => {
  const bytes = encode(WILL, PAIR, KEY);
  t.is(bytes.length, 78);
  t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: true, message: WILL });
});

test('the largest heartbeat fits the limit, a larger one is refused when made', t => {
  const macs = Array.from({ length: 16 }, (_, lan) => ({ lan, mac: '02:00:5e:00:01:02' }));
  t.true(encode({ ...HEARTBEAT, macs }, PAIR, KEY).length <= DATAGRAM_BYTES_MAX);
  t.throws(() => encode({ ...HEARTBEAT, macs: [...macs, ...macs] }, PAIR, KEY), { message: /at most 16/ });
});

const good = encode(HEARTBEAT, PAIR, KEY);
const changed = (at: number, value: number) => {
  const copy = Buffer.from(good);
  copy[at] = value;
  return copy;
};
for (const [title, datagram, refusal] of [
  ['nothing', Buffer.alloc(0), 'truncated'],
  ['a heartbeat cut short', good.subarray(0, 60), 'truncated'],
  ['a heartbeat without its last byte', good.subarray(0, -1), 'forged'],
  ['a heartbeat with something behind it', Buffer.concat([good, Buffer.alloc(4)]), 'forged'],
  ['an oversized datagram', Buffer.concat([good, Buffer.alloc(300)]), 'oversized'],
  ['another protocol', changed(0, 0x55), 'not-tandem'],
  ['another version', changed(4, 2), 'version'],
  ['another pair', changed(8, (good[8] as number) ^ 1), 'wrong-pair'],
  ['a changed field', changed(46, 255), 'forged'],
  ['a changed signature', changed(good.length - 1, (good.at(-1) as number) ^ 1), 'forged'],
] as const) {
  test(`${title} is refused as ${refusal}`, t => {
    t.deepEqual(decode(datagram, PAIR, [KEY]), { ok: false, refusal });
  });
}

test('a heartbeat under the wrong key is refused; during a key rotation both keys are accepted', t => {
  const other = Buffer.alloc(32, 2);
  t.deepEqual(decode(encode(HEARTBEAT, PAIR, other), PAIR, [KEY]), { ok: false, refusal: 'forged' });
  t.true(decode(encode(HEARTBEAT, PAIR, other), PAIR, [KEY, other]).ok);
});

test('signed nonsense is malformed, not a crash', t => {
  t.deepEqual(decode(encode({ ...HEARTBEAT, nodeId: 9 }, PAIR, KEY), PAIR, [KEY]), { ok: false, refusal: 'malformed' });
  t.deepEqual(decode(encode({ ...HEARTBEAT, bootId: '0000000000000000' }, PAIR, KEY), PAIR, [KEY]), {
    ok: false,
    refusal: 'malformed',
  });
});

test('an epoch that nobody could count on from is malformed: the next one must fit into a heartbeat', t => {
  const epoch = { counter: 2 ** 48 - 1, node: 2 };
  for (const message of [
    { ...HEARTBEAT, epoch },
    { ...WILL, epoch },
    { ...HEARTBEAT, offer: { epoch, remainingMs: ms(9) } },
  ]) {
    t.deepEqual(decode(encode(message, PAIR, KEY), PAIR, [KEY]), { ok: false, refusal: 'malformed' });
  }
  const most = { ...HEARTBEAT, epoch: { counter: 2 ** 47, node: 2 } };
  t.deepEqual(decode(encode(most, PAIR, KEY), PAIR, [KEY]), { ok: true, message: most });
});

test('flags that this version does not know are ignored, those it knows stand by themselves', t => {
  const resigned = (flags: number) => {
    const bytes = encode(HEARTBEAT, PAIR, KEY);
    bytes[7] = flags;
    createHmac('sha256', KEY)
      .update(bytes.subarray(0, -32))
      .digest()
      .copy(bytes, bytes.length - 32);
    return decode(bytes, PAIR, [KEY]);
  };
  const none = {
    serving: false,
    ready: false,
    hold: false,
    warm: false,
    witness: false,
    standsDown: false,
    sound: false,
  };
  t.deepEqual(resigned(0x80), { ok: true, message: { ...HEARTBEAT, ...none } });
  t.deepEqual(resigned(0x88), { ok: true, message: { ...HEARTBEAT, ...none, warm: true } });
  t.deepEqual(resigned(0x04), { ok: true, message: { ...HEARTBEAT, ...none, hold: true } });
  t.deepEqual(resigned(0xc0), { ok: true, message: { ...HEARTBEAT, ...none, sound: true } });
});

test('no bytes make the decoder throw', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
      t.false(decode(Buffer.from(bytes), PAIR, [KEY]).ok);
    }),
    { numRuns: 2_000 },
  );
  // Nor do genuine ones with one byte changed: the signature covers all of them.
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      t.false(decode(changed(at, (good[at] as number) ^ by), PAIR, [KEY]).ok);
    }),
    { numRuns: 500 },
  );
});
