// Addresses as tools print them, in raw form.
import test from 'ava';
import fc from 'fast-check';
import { rawOfText } from '../../../src/sync/kernel/raw-address.ts';
import { addressOfRaw, type RawAddress, rawOf } from '../../../src/sync/table/entry.ts';
import { parseAddress } from '../../../src/units/address.ts';

test('usual spellings are read', t => {
  t.is(rawOfText('192.0.2.100'), 'c0000264' as RawAddress);
  t.is(rawOfText('2001:db8::1'), '20010db8000000000000000000000001' as RawAddress);
  t.is(rawOfText('2001:DB8:1:2:3:4:5:6'), '20010db8000100020003000400050006' as RawAddress);
  t.is(rawOfText('::'), '0'.repeat(32) as RawAddress);
  t.is(rawOfText('::1'), '1'.padStart(32, '0') as RawAddress);
  t.is(rawOfText('fe80::'), 'fe80'.padEnd(32, '0') as RawAddress);
});

const wrong = [
  '',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.4 ',
  '-1.2.3.4',
  '1.2.3.1e1',
  ':',
  ':::',
  '1:2',
];
wrong.push(
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8',
  '12345::',
  'g::',
  '::1%eth0',
  ':1::',
  '1::2:',
);
wrong.push('::ffff:192.0.2.1', `${'0:'.repeat(40)}1`, '1:2:3:4::5:6:7:8');
for (const text of wrong) {
  test(`no address: "${text}"`, t => {
    t.is(rawOfText(text), undefined);
  });
}

test('every address is read from its usual spelling', t => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Runs of zeros, which are what the short spelling leaves out.
    fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map(array => Uint8Array.from(array)),
  );
  fc.assert(
    fc.property(bytes, array => {
      const raw = Buffer.from(array).toString('hex') as RawAddress;
      const text = addressOfRaw(raw);
      t.is(rawOfText(text), raw, text);
    }),
    { numRuns: 1_000 },
  );
});

test('nothing is read that is no address elsewhere, and what is, reads the same', t => {
  const piece = fc.constantFrom(
    '::',
    ':',
    '.',
    '0',
    '1',
    'ff',
    'abcd',
    '255',
    '256',
    '%',
    ' ',
    '192.0.2.1',
    '2001:db8',
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map(pieces => pieces.join('')),
    fc.string({ maxLength: 50 }),
  );
  fc.assert(
    fc.property(text, candidate => {
      const raw = rawOfText(candidate);
      if (raw === undefined) return;
      const address = parseAddress(candidate);
      t.is(address && rawOf(address), raw, candidate);
    }),
    { numRuns: 5_000 },
  );
});
