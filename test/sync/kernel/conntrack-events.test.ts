// What conntrack 1.4.7 prints, word by word as it was seen on a 6.x kernel, and what it means for IPVS's table.
import test from 'ava';
import fc from 'fast-check';
import { createFlowParser, type FlowCounts, flowOfLine } from '../../../src/sync/kernel/conntrack-events.ts';
import { usable } from '../../../src/sync/kernel/wire.ts';
import { type Entry, FLAG } from '../../../src/sync/table/entry.ts';
import { scopeOf } from '../../../src/sync/table/scope.ts';
import { configOf, PROXY } from '../../director/fixture.ts';
import {
  CLIENT,
  CLIENT6,
  CONNECTION,
  inPieces,
  MARK6,
  maskedScope,
  raw,
  SERVER6,
  scope,
  TEMPLATE,
  TEMPLATE6,
  VIP6,
} from '../samples.ts';

const TO_VIP = 'src=203.0.113.9 dst=192.0.2.100 sport=40001 dport=21';
const FROM_SERVER = 'src=198.51.100.11 dst=203.0.113.9 sport=21 dport=40001';
const ACTIVE = 'src=198.51.100.11 dst=203.0.113.9 sport=20 dport=40002';
const ACTIVE_REPLY = 'src=203.0.113.9 dst=192.0.2.100 sport=40002 dport=20';
const ACTIVE6 = 'src=2001:db8:2::11 dst=2001:db8:9::9 sport=20 dport=40002';
const ACTIVE6_REPLY = 'src=2001:db8:9::9 dst=2001:db8:1::100 sport=40002 dport=20';

const CONTROL: Entry = { ...CONNECTION, virtualPort: 21, serverPort: 21 };
const DATA: Entry = { ...CONNECTION, clientPort: 40_002, virtualPort: 20, serverPort: 20 };
const DATA6: Entry = { ...DATA, client: CLIENT6, virtual: VIP6, server: SERVER6, mark: MARK6 };
const closing = (state: number, timeoutS: number): Entry => ({ ...DATA, flags: FLAG.inactive, state, timeoutS });

function read(text: string, cuts: readonly number[] = []): { entries: Entry[]; counts: FlowCounts } {
  const parser = createFlowParser(() => scope());
  const entries = inPieces(Buffer.from(text), cuts).flatMap(piece => parser.push(piece));
  parser.end();
  return { entries, counts: parser.counts() };
}

const cases: readonly (readonly [string, string, readonly Entry[]])[] = [
  [
    'a new connection: its template, which holds the client to its server',
    `    [NEW] tcp      6 120 SYN_SENT ${TO_VIP} [UNREPLIED] ${FROM_SERVER} id=336453310`,
    [TEMPLATE],
  ],
  [
    'an established one: template and connection',
    ` [UPDATE] tcp      6 432000 ESTABLISHED ${TO_VIP} ${FROM_SERVER} [ASSURED] id=336453310`,
    [TEMPLATE, CONTROL],
  ],
  [
    'answered: its template is known already',
    ` [UPDATE] tcp      6 60 SYN_RECV ${TO_VIP} ${FROM_SERVER} id=336453310`,
    [],
  ],
  [
    'its end: the kernel itself will tell',
    ` [UPDATE] tcp      6 120 FIN_WAIT ${TO_VIP} ${FROM_SERVER} [ASSURED] id=336453310`,
    [],
  ],
  ['gone: nothing', `[DESTROY] tcp      6 ${TO_VIP} ${FROM_SERVER} [ASSURED] id=336453310`, []],
  [
    'picked up in the middle: as established',
    `    [NEW] tcp      6 300 ESTABLISHED ${TO_VIP} [UNREPLIED] ${FROM_SERVER} id=336453310`,
    [TEMPLATE, CONTROL],
  ],
  [
    'active data in the making: nothing yet',
    `    [NEW] tcp      6 120 SYN_SENT ${ACTIVE} [UNREPLIED] ${ACTIVE_REPLY} id=2108403345`,
    [],
  ],
  [
    'active data: a connection to the VIP’s port 20',
    ` [UPDATE] tcp      6 432000 ESTABLISHED ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] id=2108403345`,
    [DATA],
  ],
  [
    'active data over IPv6',
    ` [UPDATE] tcp      6 432000 ESTABLISHED ${ACTIVE6} ${ACTIVE6_REPLY} [ASSURED] id=3633673563`,
    [DATA6],
  ],
  [
    'active data that closes: inactive, 120 s',
    ` [UPDATE] tcp      6 120 FIN_WAIT ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] id=2108403345`,
    [closing(4, 120)],
  ],
  [
    'active data, closed by both sides',
    ` [UPDATE] tcp      6 120 TIME_WAIT ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] id=2108403345`,
    [closing(4, 120)],
  ],
  [
    'active data, reset: closed, 10 s',
    ` [UPDATE] tcp      6 10 CLOSE ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] id=2108403345`,
    [closing(6, 10)],
  ],
  ['active data, gone', `[DESTROY] tcp      6 ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] id=2108403345`, [closing(6, 10)]],
  [
    'active data, gone, on kernels that tell the last state',
    `[DESTROY] tcp      6 119 TIME_WAIT ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] id=2108403345`,
    [closing(6, 10)],
  ],
  [
    'deleted by a program: the connection itself goes on',
    `[DESTROY] tcp      6 119 ESTABLISHED ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] id=2108403345 [USERSPACE] portid=4029603683`,
    [],
  ],
  ['never answered, gone', `[DESTROY] tcp      6 ${ACTIVE} [UNREPLIED] ${ACTIVE_REPLY} id=2108403345`, []],
  [
    'a line of conntrack -L',
    `tcp      6 431999 ESTABLISHED ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] mark=0 use=1 id=2108403345`,
    [DATA],
  ],
  [
    'a line of conntrack -L of a connection in the making',
    `tcp      6 59 SYN_RECV ${TO_VIP} ${FROM_SERVER} mark=0 use=1 id=2108403345`,
    [TEMPLATE],
  ],
  [
    'with -o extended',
    ` [UPDATE] ipv6     10 tcp      6 432000 ESTABLISHED ${ACTIVE6} ${ACTIVE6_REPLY} [ASSURED] id=3633673563`,
    [DATA6],
  ],
  [
    'with -o timestamp',
    `[1795444943.302832]\t [UPDATE] tcp      6 432000 ESTABLISHED ${ACTIVE} ${ACTIVE_REPLY} [ASSURED] id=2108403345`,
    [DATA],
  ],
  [
    'with accounting',
    `tcp 6 431999 ESTABLISHED ${ACTIVE} packets=3 bytes=164 ${ACTIVE_REPLY} packets=2 bytes=112 [ASSURED] mark=0 delta-time=7 use=1`,
    [DATA],
  ],
];
for (const [what, line, entries] of cases) {
  test(what, t => {
    const result = read(`${line}\n`);
    t.deepEqual(result.entries, entries);
    t.true(result.entries.every(usable));
    t.deepEqual(result.counts, { used: entries.length > 0 ? 1 : 0, foreign: entries.length > 0 ? 0 : 1, unknown: 0 });
  });
}

test('an IPv6 client’s new connection leads to the template of the IPv6 service', t => {
  const line =
    '    [NEW] tcp      6 120 SYN_SENT src=2001:db8:9::9 dst=2001:db8:1::100 sport=40001 dport=10001 [UNREPLIED] src=2001:db8:2::11 dst=2001:db8:9::9 sport=10001 dport=40001 id=1550037258\n';
  t.deepEqual(read(line).entries, [TEMPLATE6]);
});

const established = (original: string, reply: string) =>
  ` [UPDATE] tcp      6 432000 ESTABLISHED ${original} ${reply} [ASSURED] id=1\n`;
const foreign: readonly (readonly [string, string])[] = [
  ['another port of the VIP', established(TO_VIP.replace('=21', '=80'), FROM_SERVER.replace('=21', '=80'))],
  ['a VIP that the router answers itself', established(TO_VIP, FROM_SERVER.replace('198.51.100.11', '192.0.2.100'))],
  ['a server that is not one of the service', established(TO_VIP, FROM_SERVER.replace('.11', '.99'))],
  ['another port of the server', established(TO_VIP, FROM_SERVER.replace('=21', '=22'))],
  ['a client that was translated', established(TO_VIP, FROM_SERVER.replace('203.0.113.9', '203.0.113.8'))],
  [
    'a server’s own connection',
    established(ACTIVE.replace('sport=20', 'sport=2020'), ACTIVE_REPLY.replace('dport=20', 'dport=2020')),
  ],
  ['port 20 of a host that is no server', established(ACTIVE.replace('.11', '.99'), ACTIVE_REPLY)],
  ['active data to another VIP', established(ACTIVE, ACTIVE_REPLY.replace('192.0.2.100', '192.0.2.101'))],
  ['active data whose port was translated', established(ACTIVE, ACTIVE_REPLY.replace('dport=20', 'dport=1024'))],
  ['active data whose client was translated', established(ACTIVE, ACTIVE_REPLY.replace('=40002', '=40003'))],
  [
    'UDP',
    '    [NEW] udp      17 30 src=203.0.113.9 dst=192.0.2.100 sport=42695 dport=53 [UNREPLIED] src=192.0.2.100\n',
  ],
  ['a protocol without a name', '    [NEW] unknown  2 600 src=192.0.2.1 dst=224.0.0.22 [UNREPLIED] src=224.0.0.22\n'],
];
for (const [what, line] of foreign) {
  test(`not ours: ${what}`, t => {
    t.deepEqual(read(line), { entries: [], counts: { used: 0, foreign: 1, unknown: 0 } });
  });
}

const unknown: readonly (readonly [string, string])[] = [
  ['an empty line', ''],
  ['words', 'conntrack v1.4.7 (conntrack-tools): 30 flow events have been shown.'],
  ['one tuple only', ` [UPDATE] tcp 6 432000 ESTABLISHED ${ACTIVE}`],
  ['three tuples', ` [UPDATE] tcp 6 432000 ESTABLISHED ${ACTIVE} ${ACTIVE_REPLY} ${ACTIVE}`],
  ['a port over 65535', established(TO_VIP.replace('40001', '65536'), FROM_SERVER).trim()],
  ['a port of 0', established(TO_VIP.replace('40001', '0'), FROM_SERVER).trim()],
  ['an address that is none', established(TO_VIP.replace('203.0.113.9', '203.0.113.256'), FROM_SERVER).trim()],
  ['an octal address', established(TO_VIP.replace('203.0.113.9', '0203.0.113.9'), FROM_SERVER).trim()],
  ['a zone', established(TO_VIP.replace('203.0.113.9', 'fe80::1%eth0'), FROM_SERVER).trim()],
  ['an unknown event', ` [WHAT] tcp 6 432000 ESTABLISHED ${ACTIVE} ${ACTIVE_REPLY}`],
  ['a name of Object’s', ` constructor tcp 6 432000 ESTABLISHED ${ACTIVE} ${ACTIVE_REPLY}`],
  ['a line of two kilobytes', `${established(ACTIVE, ACTIVE_REPLY).trim()} ${'x'.repeat(2_000)}`],
];
for (const [what, line] of unknown) {
  test(`counted as unknown: ${what}; the next line is read`, t => {
    const { entries, counts } = read(`${line}\n${established(ACTIVE, ACTIVE_REPLY)}`);
    t.deepEqual(entries, [DATA]);
    t.deepEqual(counts, { used: 1, foreign: 0, unknown: 1 });
  });
}

test('what is read of a line, for both directions', t => {
  const flow = flowOfLine(`    [NEW] tcp      6 120 SYN_SENT ${TO_VIP} [UNREPLIED] ${FROM_SERVER} id=336453310`);
  t.like(flow, { event: 'new', state: 'SYN_SENT', answered: false, deleted: false });
  t.like(flow, { original: { source: CLIENT, sourcePort: 40_001, destinationPort: 21 } });
});

test('after a reload the next line is judged by the new config', t => {
  let current = scopeOf(configOf({ services: {}, sync: false }));
  const parser = createFlowParser(() => current);
  t.deepEqual(parser.push(Buffer.from(established(ACTIVE, ACTIVE_REPLY))), []);
  current = scope();
  t.deepEqual(parser.push(Buffer.from(established(ACTIVE, ACTIVE_REPLY))), [DATA]);
});

test('the output may be cut at any byte', t => {
  const text = established(TO_VIP, FROM_SERVER) + established(ACTIVE6, ACTIVE6_REPLY);
  for (let cut = 1; cut < text.length; cut++) t.deepEqual(read(text, [cut]).entries, [TEMPLATE, CONTROL, DATA6]);
});

test('any text, cut anywhere, is read without an exception, and gives only usable entries in scope', t => {
  const ours = scope();
  const word = fc.constantFrom(
    ...[
      '[NEW]',
      '[UPDATE]',
      '[DESTROY]',
      '[UNREPLIED]',
      '[USERSPACE]',
      '[1.2]',
      'ipv4',
      '2',
      'tcp',
      '6',
      '120',
      'CLOSE',
    ],
    ...[
      'ESTABLISHED',
      TO_VIP,
      FROM_SERVER,
      ACTIVE,
      ACTIVE_REPLY,
      'src=',
      'dst=::',
      'sport=20',
      'dport=-1',
      '=',
      '\n',
      'é',
    ],
  );
  const text = fc.oneof(
    fc.array(word, { maxLength: 40 }).map(words => words.join(' ')),
    fc.string({ maxLength: 1_500, unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 1, max: 40 })), (noise, cuts) => {
      const { entries } = read(`${noise}\n${established(ACTIVE, ACTIVE_REPLY)}`, cuts);
      t.true(entries.every(entry => usable(entry) && ours.inScope(entry)));
      t.deepEqual(entries.at(-1), DATA);
    }),
    { numRuns: 1_000 },
  );
});

test('active data of FTPS come from port 989, and go by that port of the VIP', t => {
  const ftps = scopeOf(
    configOf({
      services: {
        ftp: {
          vip: '192.0.2.100',
          servers_lan: 'servers',
          mark: 21,
          control_port: [21, 990],
          servers: { fs1: { address: '198.51.100.11' } },
        },
      },
      sync: false,
    }),
  );
  const parser = createFlowParser(() => ftps);
  const text = ` [UPDATE] tcp      6 432000 ESTABLISHED ${ACTIVE.replace('sport=20', 'sport=989')} ${ACTIVE_REPLY.replace('dport=20', 'dport=989')} [ASSURED] id=1\n`;
  const [entry] = parser.push(Buffer.from(text));
  t.like(entry, { virtualPort: 989, serverPort: 989, clientPort: 40_002 });
});

test('the template of a service with a prefix has the network of the client, in both families', t => {
  const parser = createFlowParser(() => maskedScope());
  const to6 = 'src=2001:db8:9::9 dst=2001:db8:1::100 sport=40001 dport=21';
  const from6 = 'src=2001:db8:2::11 dst=2001:db8:9::9 sport=21 dport=40001';
  const line = (there: string, back: string) =>
    Buffer.from(` [UPDATE] tcp      6 432000 ESTABLISHED ${there} ${back} [ASSURED] id=1\n`);
  t.deepEqual(parser.push(line(TO_VIP, FROM_SERVER)), [{ ...TEMPLATE, client: raw('203.0.112.0') }, CONTROL]);
  const [template, connection] = parser.push(line(to6, from6));
  t.deepEqual(template, { ...TEMPLATE6, client: raw('2001:db8:8::') });
  t.is(connection?.client, CLIENT6);
});

test('a service with another port on its servers, without persistence: its connection, and no template', t => {
  const proxy = scopeOf(configOf({ services: { proxy: PROXY } }));
  const flow = (serverPort: number) =>
    ` [UPDATE] tcp      6 432000 ESTABLISHED src=203.0.113.9 dst=192.0.2.101 sport=40001 dport=80 src=198.51.100.31 dst=203.0.113.9 sport=${serverPort} dport=40001 [ASSURED] id=3\n`;
  const parser = createFlowParser(() => proxy);
  const ends = { virtual: raw('192.0.2.101'), virtualPort: 80, server: raw('198.51.100.31'), serverPort: 8_080 };
  t.deepEqual(parser.push(Buffer.from(flow(8_080))), [{ ...CONNECTION, ...ends, mark: 81 }]);
  t.deepEqual(parser.push(Buffer.from(flow(80))), []);
});
