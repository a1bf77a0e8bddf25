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
  version: 1,
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
  readsVersion2: false,
  priority: 150,
  fitness: 3,
  failedChecks: undefined,
  configDigest: 'aabbccddeeff0011',
  intervalMs: ms(100),
  leaseMs: ms(220),
  deadMs: ms(300),
  sentAtUs: 123_456_789,
  echoSentAtUs: 5_000,
  echoDelayUs: 250,
  offer: { epoch: { counter: 43, node: 2 }, remainingMs: ms(90) },
  units: undefined,
  mayHold: undefined,
  macs: [{ lan: 0, mac: '02:00:5e:00:01:02' }],
};
/** The same in version 2, which counts units, and where a LAN has an id of two bytes. */
const SECOND: Heartbeat = {
  ...HEARTBEAT,
  version: 2,
  readsVersion2: true,
  failedChecks: 2,
  units: 3,
  mayHold: true,
  macs: [{ lan: 0xfedc, mac: '02:00:5e:00:01:02' }],
};
const WILL: Will = {
  kind: 'will',
  version: 1,
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

test('in version 2 it is these bytes: failed fitness checks, units, more flags, and a LAN of two bytes', t => {
  const bytes = encode(SECOND, PAIR, KEY);
  t.is(bytes.subarray(0, 8).toString('hex'), '544e444d020101db', 'magic, version, kind, node, flags');
  t.true(bytes.subarray(8, 87).equals(encode(HEARTBEAT, PAIR, KEY).subarray(8, 87)), 'the rest is where it was');
  t.is(bytes.subarray(87, 99).toString('hex'), '02' + '03' + '01' + '01' + 'fedc' + '02005e000102');
  t.is(bytes.length, 91 + 8 + 32);
  t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: true, message: SECOND });
  bytes[87] = 0xff;
  sign(bytes);
  bytes[89] = 0xfe;
  sign(bytes);
  const message = { ...SECOND, failedChecks: 255, mayHold: false };
  t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: true, message }, 'flags that are not known are ignored');
});

test('more units than there are addresses are malformed, and cannot be said', t => {
  for (const [units, ok] of [
    [0, true],
    [64, true],
    [65, false],
    [255, false],
  ] as const) {
    const bytes = encode(SECOND, PAIR, KEY);
    bytes[88] = units;
    sign(bytes);
    const message = { ...SECOND, units };
    t.deepEqual(decode(bytes, PAIR, [KEY]), ok ? { ok, message } : { ok, refusal: 'malformed' }, `${units}`);
    if (ok) t.deepEqual(encode(message, PAIR, KEY), bytes);
    else t.throws(() => encode(message, PAIR, KEY), { message: /at most 64 units/ });
  }
});

test('a will is 78 bytes in both versions and reads back', t => {
  for (const version of [1, 2] as const) {
    const bytes = encode({ ...WILL, version }, PAIR, KEY);
    t.is(bytes.length, 78);
    t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: true, message: { ...WILL, version } });
  }
});

for (const message of [HEARTBEAT, SECOND]) {
  test(`version ${message.version}: the largest heartbeat fits the limit, a larger one is refused when made`, t => {
    const macs = Array.from({ length: 16 }, (_, i) => ({ lan: 255 - i, mac: '02:00:5e:00:01:02' }));
    const largest = { ...message, macs };
    const bytes = encode(largest, PAIR, KEY);
    t.true(bytes.length <= DATAGRAM_BYTES_MAX, `${bytes.length}`);
    t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: true, message: largest });
    t.throws(() => encode({ ...message, macs: [...macs, ...macs] }, PAIR, KEY), { message: /at most 16/ });
  });

  test(`version ${message.version}: signed, but shorter or longer than it says, is malformed`, t => {
    const whole = encode(message, PAIR, KEY).subarray(0, -32);
    for (let length = 46; length <= 224; length += 1) {
      if (length === whole.length) continue;
      const bytes = Buffer.alloc(length + 32);
      whole.copy(bytes, 0, 0, Math.min(length, whole.length));
      sign(bytes);
      t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: false, refusal: 'malformed' }, `${length} bytes`);
    }
    for (let count = 0; count <= 255; count += 1) {
      if (count === 1) continue;
      const bytes = encode(message, PAIR, KEY);
      bytes[message.version === 1 ? 87 : 90] = count;
      sign(bytes);
      t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: false, refusal: 'malformed' }, `${count} MACs`);
    }
  });
}

test('one version is not taken for the other: the length tells', t => {
  for (const [message, version] of [
    [HEARTBEAT, 2],
    [SECOND, 1],
  ] as const) {
    const bytes = encode(message, PAIR, KEY);
    bytes[4] = version;
    sign(bytes);
    t.deepEqual(decode(bytes, PAIR, [KEY]), { ok: false, refusal: 'malformed' });
  }
});

/** Signs what a test has changed. */
function sign(bytes: Buffer): void {
  createHmac('sha256', KEY)
    .update(bytes.subarray(0, -32))
    .digest()
    .copy(bytes, bytes.length - 32);
}

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
  ['version 0', changed(4, 0), 'version'],
  ['a later version', changed(4, 3), 'version'],
  ['another version', changed(4, 2), 'forged'],
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

test('each flag stands by itself', t => {
  const resigned = (flags: number) => {
    const bytes = encode(HEARTBEAT, PAIR, KEY);
    bytes[7] = flags;
    sign(bytes);
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
    readsVersion2: false,
  };
  t.deepEqual(resigned(0x00), { ok: true, message: { ...HEARTBEAT, ...none } });
  t.deepEqual(resigned(0x80), { ok: true, message: { ...HEARTBEAT, ...none, readsVersion2: true } });
  t.deepEqual(resigned(0x08), { ok: true, message: { ...HEARTBEAT, ...none, warm: true } });
  t.deepEqual(resigned(0x04), { ok: true, message: { ...HEARTBEAT, ...none, hold: true } });
  t.deepEqual(resigned(0x40), { ok: true, message: { ...HEARTBEAT, ...none, sound: true } });
});

test('no bytes make the decoder throw', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
      t.false(decode(Buffer.from(bytes), PAIR, [KEY]).ok);
    }),
    { numRuns: 2_000 },
  );
  // Nor do those that the key's owner has signed.
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 3), fc.uint8Array({ minLength: 46, maxLength: 224 }), (version, body) => {
      const bytes = Buffer.concat([body, Buffer.alloc(32)]);
      bytes.write('TNDM', 0, 'latin1');
      bytes[4] = version;
      PAIR.copy(bytes, 8);
      sign(bytes);
      const decoded = decode(bytes, PAIR, [KEY]);
      if (decoded.ok) t.deepEqual(decode(encode(decoded.message, PAIR, KEY), PAIR, [KEY]), decoded);
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
