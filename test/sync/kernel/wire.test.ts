// The kernel's sync messages, byte by byte, as ip_vs_sync.c lays them out, and everything that is not one.
import test from 'ava';
import fc from 'fast-check';
import { decodeMessage, encodeMessages, usable } from '../../../src/sync/kernel/wire.ts';
import type { Entry } from '../../../src/sync/table/entry.ts';
import { anyEntry, CONNECTION, CONNECTION6, hex, TEMPLATE, TEMPLATE6 } from '../samples.ts';

/** 203.0.113.9:40001 to 192.0.2.100:10001, server 198.51.100.11, mark 21, ESTABLISHED, 7200 s, NAT. */
const V4 = '00 06 0024 00000000 0001 9c41 2711 2711 00000015 00001c20 cb007109 c0000264 c633640b';
const TEMPLATE_V4 = '00 00 0024 00001000 0001 0000 0000 0000 00000015 00000168 cb007109 00000015 c633640b';
const V6 =
  '01 06 0048 00000000 0001 9c41 2711 2711 0000001a 00001c20' +
  '20010db8000900000000000000000009 20010db8000100000000000000000100 20010db8000200000000000000000011';

function message(...entries: string[]): Buffer {
  const body = hex(entries.join(''));
  const header = hex(`00 15 0000 ${entries.length.toString(16).padStart(2, '0')} 01 0000`);
  header.writeUInt16BE(8 + body.length, 2);
  return Buffer.concat([header, body]);
}

function decoded(bytes: Buffer): readonly Entry[] {
  const result = decodeMessage(bytes);
  return result.ok ? result.entries : [];
}

/** "refusal", or what a good message held. */
function verdict(bytes: Buffer): string {
  const result = decodeMessage(bytes);
  return result.ok
    ? `${result.entries.length} entries, ${result.skipped} skipped, ${result.ignored} ignored`
    : result.refusal;
}

test('a message of the kernel is read: connection, mark template, IPv6', t => {
  t.deepEqual(decodeMessage(message(TEMPLATE_V4, V4, V6)), {
    ok: true,
    syncId: 21,
    entries: [TEMPLATE, CONNECTION, CONNECTION6],
    skipped: 0,
    ignored: 0,
  });
});

test('entries are written byte for byte as the kernel lays them out', t => {
  t.deepEqual(encodeMessages([TEMPLATE, CONNECTION, CONNECTION6], 21), [message(TEMPLATE_V4, V4, V6)]);
  t.deepEqual(encodeMessages([], 21), []);
  t.deepEqual(
    decoded(encodeMessages([TEMPLATE6], 0)[0] as Buffer).map(entry => entry.virtual),
    ['0000001a000000000000000000000000'],
  );
});

test('40 entries of IPv4 or 20 of IPv6 go into one message of 1472 bytes, and the order is kept', t => {
  const entries = Array.from({ length: 41 }, (_, i) => ({ ...CONNECTION, clientPort: 1_024 + i }));
  const messages = encodeMessages(entries, 1);
  t.deepEqual(
    messages.map(({ length }) => length),
    [8 + 40 * 36, 8 + 36],
  );
  t.deepEqual(messages.flatMap(decoded), entries);
  t.deepEqual(
    encodeMessages(
      Array.from({ length: 21 }, () => CONNECTION6),
      1,
    ).map(({ length }) => length),
    [8 + 20 * 72, 8 + 72],
  );
  const large = encodeMessages(
    Array.from({ length: 600 }, () => CONNECTION),
    1,
    65_535,
  );
  t.deepEqual(
    large.map(bytes => decoded(bytes).length),
    [255, 255, 90],
    'a message holds 255 entries, however large it may be',
  );
});

test('what a message cannot hold or a kernel may not be given is left out when it is written', t => {
  t.deepEqual(encodeMessages([CONNECTION], 1, 40), []);
  const wrong: Entry[] = [
    { ...CONNECTION, timeoutS: 0 },
    { ...CONNECTION, clientPort: 65_536 },
    { ...CONNECTION, client: 'xx' as Entry['client'] },
    { ...CONNECTION, flags: 0x600 },
  ];
  t.deepEqual(encodeMessages([...wrong, CONNECTION], 1).flatMap(decoded), [CONNECTION]);
});

const SEQUENCE = `01 18 ${'00'.repeat(24)}`;
const withOptions = (entry: string, options: string) => {
  const bytes = hex(entry + options);
  bytes.writeUInt16BE(bytes.length, 2);
  return bytes.toString('hex').padEnd(Math.ceil(bytes.length / 4) * 8, '0');
};
/** The last entry of a message has no padding. */
const unpadded = (bytes: Buffer, padding: number) => {
  const cut = Buffer.from(bytes.subarray(0, bytes.length - padding));
  cut.writeUInt16BE(cut.length, 2);
  return cut;
};

test('optional parameters are walked over, padded to 4 bytes between entries', t => {
  t.deepEqual(decoded(message(withOptions(V4, SEQUENCE), V6)), [CONNECTION, CONNECTION6]);
  t.deepEqual(decoded(unpadded(message(V6, withOptions(V4, SEQUENCE)), 2)), [CONNECTION6, CONNECTION]);
  t.deepEqual(decoded(message(withOptions(V4, '02 02 6162 03 03 736970'), V4)), [CONNECTION, CONNECTION]);
  t.deepEqual(decoded(message(withOptions(V4, '4c 01 00'), V4)), [CONNECTION, CONNECTION], 'unknown, not mandatory');
});

const badOptions: readonly (readonly [string, string])[] = [
  ['a sequence of the wrong length', '01 04 00000000'],
  ['a sequence twice', SEQUENCE + SEQUENCE],
  ['a length of 0', '02 00'],
  ['a value past the end of its entry', '02 20 6162'],
  ['a type without its length', '02'],
  ['an unknown mandatory one', '0c 01 00'],
  ['an engine name of 17 bytes', `03 11 ${'61'.repeat(17)}`],
];
for (const [what, options] of badOptions) {
  test(`an entry with ${what} among its options is skipped, the next one is read`, t => {
    t.is(verdict(message(withOptions(V4, options), V6)), '1 entries, 1 skipped, 0 ignored');
  });
}

const edited = (entry: string, at: number, bytes: string): string => {
  const buffer = hex(entry);
  hex(bytes).copy(buffer, at);
  return buffer.toString('hex');
};

const skipped: readonly (readonly [string, string])[] = [
  ['a state that TCP has not', edited(V4, 8, '000b')],
  ['a state that templates have not', edited(TEMPLATE_V4, 8, '0002')],
  ['a forwarding method that does not exist', edited(V4, 4, '00000005')],
  ['no time-out, which would mean the default', edited(V4, 20, '00000000')],
  ['a time-out of a century', edited(V4, 20, 'bbf81e00')],
  ['no client port', edited(V4, 10, '0000')],
  ['no virtual port', edited(V4, 12, '0000')],
  ['no server port', edited(V4, 14, '0000')],
  ['no client', edited(V4, 24, '00000000')],
  ['no server', edited(V4, 32, '00000000')],
  ['a template with a client port', edited(TEMPLATE_V4, 10, '9c41')],
];
for (const [what, entry] of skipped) {
  test(`an entry with ${what} is skipped and counted`, t => {
    t.is(verdict(message(entry, V4)), '1 entries, 1 skipped, 0 ignored');
  });
}

test('UDP is read, in the one state that it has', t => {
  const datagrams = edited(edited(V4, 1, '11'), 8, '0000');
  t.is(decoded(message(datagrams))[0]?.protocol, 17);
  t.is(verdict(message(edited(datagrams, 8, '0001'), datagrams)), '1 entries, 1 skipped, 0 ignored');
});

test('SCTP and templates that the kernel has given up are nobody’s mistake', t => {
  const ignored = [edited(V4, 1, '84'), edited(TEMPLATE_V4, 12, 'ffff'), edited(V4, 1, '00')];
  t.is(verdict(message(...ignored, V4)), '1 entries, 0 skipped, 3 ignored');
});

test('flags that a backup does not take in are masked: synced, hashed, conntrack, sequence numbers', t => {
  const [entry] = decoded(message(edited(V4, 4, '000107e0')));
  t.is(entry?.flags, 0x180);
});

const refused: readonly (readonly [string, Buffer, string])[] = [
  ['nothing', Buffer.alloc(0), 'too-short'],
  ['half a header', hex('0015 0008'), 'too-short'],
  ['a size that is not its own', hex('00 15 0009 00 01 0000'), 'size'],
  ['the old version', hex('01 15 0008 00 01 0000'), 'version'],
  ['a version to come', hex('00 15 0008 00 02 0000'), 'version'],
  ['spare bytes in use', hex('00 15 0008 00 01 0100'), 'version'],
  ['more entries than bytes', hex('00 15 0008 ff 01 0000'), 'cut'],
  ['an entry smaller than its addresses', message(edited(V4, 2, '0020')), 'cut'],
  ['an entry of size 0', message(edited(V4, 2, '0000')), 'cut'],
  ['an entry larger than the message', message(edited(V4, 2, '0fff')), 'cut'],
  ['an IPv6 entry of IPv4 size', message(edited(V4, 0, '01')), 'cut'],
  ['an entry of an unknown type', message(edited(V4, 0, '02')), 'entry-type'],
  ['an entry of another version', message(edited(V4, 2, '1024')), 'entry-version'],
  ['bytes after the last entry', withCount(1, message(V4, V4)), 'trailing'],
];
for (const [what, bytes, refusal] of refused) {
  test(`a message with ${what} is refused whole`, t => {
    t.is(verdict(bytes), refusal);
  });
}

function withCount(count: number, bytes: Buffer): Buffer {
  bytes.writeUInt8(count, 4);
  return bytes;
}

test('a message longer than UDP carries is refused', t => {
  t.is(verdict(Buffer.alloc(70_000)), 'too-long');
});

test('usable: the bounds themselves are in, one beyond is out', t => {
  t.true(usable({ ...CONNECTION, clientPort: 65_535, virtualPort: 65_535, serverPort: 1, state: 10 }));
  t.true(usable({ ...CONNECTION, mark: 0xffff_ffff, timeoutS: 2_592_000 }));
  t.true(usable({ ...CONNECTION, clientPort: 0, flags: 0x800 }), 'a client port that is still to come');
  t.false(usable({ ...CONNECTION, timeoutS: 2_592_001 }));
  t.false(usable({ ...CONNECTION, timeoutS: 1.5 }));
  t.false(usable({ ...CONNECTION, mark: -1 }));
  t.false(usable({ ...CONNECTION, flags: Number.NaN }));
  t.false(usable({ ...CONNECTION, server: TEMPLATE6.server }), 'two families');
  t.false(usable({ ...CONNECTION, client: CONNECTION.client.toUpperCase().replace('CB', 'CG') as Entry['client'] }));
});

test('whatever is written is read back the same, in any number of messages', t => {
  fc.assert(
    fc.property(
      fc.array(anyEntry, { maxLength: 120 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 80, max: 4_000 }),
      (entries, syncId, bytesMax) => {
        const messages = encodeMessages(entries, syncId, bytesMax);
        t.true(messages.every(({ length }) => length <= bytesMax));
        t.true(messages.every(bytes => decodeMessage(bytes).ok));
        t.deepEqual(messages.flatMap(decoded), entries);
      },
    ),
  );
});

test('any bytes at all are read without an exception, and give only usable entries', t => {
  const check = (bytes: Buffer) => {
    const result = decodeMessage(bytes);
    if (!result.ok) return;
    t.true(result.entries.every(usable));
    t.is(result.entries.length + result.skipped + result.ignored, bytes.readUInt8(4));
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), array => check(Buffer.from(array))),
    { numRuns: 2_000 },
  );
  // Random bytes hardly ever have the right size: good headers with random entries, and good messages with a few bytes changed.
  const framedNoise = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 1_464 }));
  fc.assert(
    fc.property(framedNoise, ([count, array]) => {
      const bytes = Buffer.concat([hex('00 15 0000 00 01 0000'), array]);
      bytes.writeUInt16BE(bytes.length, 2);
      bytes.writeUInt8(count, 4);
      check(bytes);
    }),
    { numRuns: 2_000 },
  );
  const damage = fc.array(fc.tuple(fc.nat(10_000), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(anyEntry, { minLength: 1, maxLength: 20 }), damage, (entries, changes) => {
      for (const good of encodeMessages(entries, 21)) {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        check(bytes);
      }
    }),
    { numRuns: 1_000 },
  );
});
