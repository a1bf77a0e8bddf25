// /proc/net/ip_vs_conn, as the kernel prints it and as nobody should.
import test from 'ava';
import fc from 'fast-check';
import { createTableParser, type TableCounts } from '../../../src/sync/kernel/proc-table.ts';
import { usable } from '../../../src/sync/kernel/wire.ts';
import { type Entry, FLAG } from '../../../src/sync/table/entry.ts';
import { scopeOf } from '../../../src/sync/table/scope.ts';
import { configOf, DNS } from '../../director/fixture.ts';
import { CONNECTION, CONNECTION6, inPieces, raw, scope, TEMPLATE, TEMPLATE6 } from '../samples.ts';

const HEAD = 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n';
/** Written by the format strings of ip_vs_conn_seq_show. */
const LINES = [
  'TCP CB007109 9C41 C0000264 2711 C633640B 2711 ESTABLISHED    7199\n',
  'IP  CB007109 0000 00000015 0000 C633640B 0000 ASSURED         353\n',
  'TCP 2001:0db8:0009:0000:0000:0000:0000:0009 9C41 2001:0db8:0001:0000:0000:0000:0000:0100 2711 2001:0db8:0002:0000:0000:0000:0000:0011 2711 FIN_WAIT         12\n',
  'IP  2001:0db8:0009:0000:0000:0000:0000:0009 0000 0000:001a:0000:0000:0000:0000:0000:0000 0000 2001:0db8:0002:0000:0000:0000:0000:0011 0000 NONE              9\n',
].join('');
const ENTRIES: readonly Entry[] = [
  { ...CONNECTION, timeoutS: 7_199 },
  { ...TEMPLATE, timeoutS: 353 },
  { ...CONNECTION6, timeoutS: 12, state: 4, flags: FLAG.inactive },
  { ...TEMPLATE6, timeoutS: 9, state: 0 },
];

function read(text: string, cuts: readonly number[] = []): { entries: Entry[]; counts: TableCounts } {
  const parser = createTableParser(scope());
  const entries = inPieces(Buffer.from(text, 'latin1'), cuts).flatMap(piece => parser.push(piece));
  parser.end();
  return { entries, counts: parser.counts() };
}

test('connections and templates of both families are read; flags and marks come from the config', t => {
  const { entries, counts } = read(HEAD + LINES);
  t.deepEqual(entries, ENTRIES);
  t.deepEqual(counts, { entries: 4, foreign: 0, invalidated: 0, unknown: 0 });
});

test('the text may be cut at any byte', t => {
  for (let cut = 1; cut < HEAD.length + LINES.length; cut++) {
    t.deepEqual(read(HEAD + LINES, [cut]).entries, ENTRIES);
  }
  t.deepEqual(
    read(
      HEAD + LINES,
      Array.from({ length: 2_000 }, () => 1),
    ).entries,
    ENTRIES,
  );
});

test('what a persistence engine adds to a line is read over', t => {
  const line = 'TCP CB007109 9C41 C0000264 2711 C633640B 2711 ESTABLISHED    7199 sip call-id-1\n';
  t.deepEqual(read(line).entries, ENTRIES.slice(0, 1));
});

test('an entry about to end keeps a second: none would mean the default', t => {
  const [entry] = read(LINES.replace('7199', '   0')).entries;
  t.is(entry?.timeoutS, 1);
  t.true(entry && usable(entry));
});

test('a template that the kernel has given up is passed over and counted', t => {
  const line = 'IP  CB007109 0000 00000015 FFFF C633640B FFFF ASSURED         353\n';
  t.deepEqual(read(line), { entries: [], counts: { entries: 0, foreign: 0, invalidated: 1, unknown: 0 } });
});

test('port 65535 of a passive range is a port like any other', t => {
  const line = 'TCP CB007109 FFFF C0000264 2711 C633640B 2711 ESTABLISHED    7199\n';
  t.is(read(line).entries[0]?.clientPort, 65_535);
});

const foreign: readonly (readonly [string, string])[] = [
  ['UDP', 'UDP CB007109 9C41 C0000264 2711 C633640B 2711 UDP             299\n'],
  ['SCTP', 'SCTP CB007109 9C41 C0000264 2711 C633640B 2711 ESTABLISHED    299\n'],
  ['a protocol without a name', 'IP_47 CB007109 0000 C0000264 0000 C633640B 0000 ERR!             9\n'],
  ['ICMPv6', 'ICMPv6 CB007109 0000 C0000264 0000 C633640B 0000 ERR!             9\n'],
  ['another VIP', 'TCP CB007109 9C41 C0000265 2711 C633640B 2711 ESTABLISHED    7199\n'],
  ['another port', 'TCP CB007109 9C41 C0000264 0050 C633640B 0050 ESTABLISHED    7199\n'],
  ['another server', 'TCP CB007109 9C41 C0000264 2711 C6336463 2711 ESTABLISHED    7199\n'],
  ['another mark', 'IP  CB007109 0000 00000016 0000 C633640B 0000 ASSURED         353\n'],
  ['a plain service’s template', 'TCP CB007109 0000 C0000264 0015 C633640B 0015 ASSURED         353\n'],
];
for (const [what, line] of foreign) {
  test(`not ours, and no cause for concern: ${what}`, t => {
    t.deepEqual(read(line), { entries: [], counts: { entries: 0, foreign: 1, invalidated: 0, unknown: 0 } });
  });
}

const unknown: readonly (readonly [string, string])[] = [
  ['words', 'what is this\n'],
  ['an empty line', '\n'],
  ['a port of three digits', 'TCP CB007109 9C4 C0000264 2711 C633640B 2711 ESTABLISHED    7199\n'],
  ['a state that is not TCP’s', 'TCP CB007109 9C41 C0000264 2711 C633640B 2711 BUG!    7199\n'],
  ['a state that is not a template’s', 'IP  CB007109 0000 00000015 0000 C633640B 0000 ESTABLISHED 353\n'],
  ['no time-out', 'TCP CB007109 9C41 C0000264 2711 C633640B 2711 ESTABLISHED\n'],
  ['a line without its end', 'TCP CB007109 9C41 C0000264 2711 C633640B 2711 ESTABLISHED    7199'],
  ['a line of a kilobyte', `${'TCP '.repeat(256)}\n`],
];
for (const [what, line] of unknown) {
  test(`counted as unknown: ${what}; the next line is read`, t => {
    const { entries, counts } = read(`${line}${line.endsWith('\n') ? LINES : ''}`, [100, 100, 100]);
    t.deepEqual(entries, line.endsWith('\n') ? ENTRIES : []);
    t.is(counts.unknown, 1);
  });
}

test('a line without an end takes no memory', t => {
  const parser = createTableParser(scope());
  for (let i = 0; i < 1_000; i++) t.deepEqual(parser.push(Buffer.alloc(65_536, 0x41)), []);
  t.deepEqual(parser.push(Buffer.from(`\n${LINES}`)), ENTRIES);
  t.is(parser.counts().unknown, 1);
});

test('any bytes, cut anywhere, are read without an exception, and give only usable entries in scope', t => {
  const ours = scope();
  const token = fc.constantFrom(
    ...['TCP ', 'IP  ', 'CB007109 ', '00000015 ', 'C0000264 ', 'C633640B ', '9C41 ', '0000 ', '2711 ', 'FFFF '],
    ...['ESTABLISHED ', 'ASSURED ', 'NONE ', '7199', '\n', '99999999999', ':', 'é'],
  );
  const text = fc.oneof(
    fc.array(token, { maxLength: 60 }).map(tokens => tokens.join('')),
    fc.uint8Array({ maxLength: 2_000 }).map(array => Buffer.from(array).toString('latin1')),
  );
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 1, max: 40 })), (noise, cuts) => {
      const { entries } = read(`${noise}\n${LINES}`, cuts);
      t.true(entries.every(entry => usable(entry) && ours.inScope(entry)));
      t.deepEqual(entries.slice(-4), ENTRIES);
    }),
    { numRuns: 1_000 },
  );
});

test('UDP connections of a service that syncs them are read, as the inactive ones that they are to IPVS; of others not', t => {
  const line = 'UDP CB007109 9C41 C0000264 0035 C6336435 0035 UDP             299\n';
  const entry = { ...CONNECTION, protocol: 17, state: 0, virtualPort: 53, serverPort: 53, mark: 53, timeoutS: 299 };
  const readBy = (sync: string) => {
    const parser = createTableParser(scopeOf(configOf({ services: { dns: { ...DNS, sync } } })));
    const entries = parser.push(Buffer.from(line));
    return { entries, counts: parser.counts() };
  };
  const { entries } = readBy('connections');
  t.deepEqual(entries, [{ ...entry, flags: FLAG.inactive, server: raw('198.51.100.53') }]);
  t.true(entries.every(usable));
  t.is(readBy('templates').counts.foreign, 1);
});
