// What syn-log says, as entries.
import test from 'ava';
import { createSynParser } from '../../../src/sync/kernel/syn-reports.ts';
import { FLAG, isTemplate, TCP_STATES } from '../../../src/sync/table/entry.ts';
import { scopeOf } from '../../../src/sync/table/scope.ts';
import { configOf, FTP_DR, FTP6_TUN } from '../../director/fixture.ts';
import { raw } from '../samples.ts';

const SCOPE = scopeOf(configOf({ services: { ftp: FTP_DR, ftp6: FTP6_TUN } }));
const read = (text: string) => {
  const parser = createSynParser(() => SCOPE);
  return { entries: parser.push(Buffer.from(text)), counts: parser.counts() };
};

test('a SYN is a template, so that the client keeps its server, and a connection that is opening', t => {
  const { entries, counts } = read('23 192.0.2.112 203.0.113.9 40001 192.0.2.100 10001\n');
  t.deepEqual(counts, { used: 1, foreign: 0, unknown: 0, lost: 0 });
  const [template, connection] = entries;
  t.like(template, { client: raw('203.0.113.9'), server: raw('192.0.2.112'), mark: 23, timeoutS: 360 });
  t.is(template?.flags, FLAG.template | 3);
  t.deepEqual(connection, {
    protocol: 6,
    client: raw('203.0.113.9'),
    clientPort: 40_001,
    virtual: raw('192.0.2.100'),
    virtualPort: 10_001,
    server: raw('192.0.2.112'),
    serverPort: 10_001,
    flags: 3 | FLAG.noOutput | FLAG.inactive,
    state: TCP_STATES.indexOf('SYN_RECV'),
    mark: 23,
    timeoutS: 60,
  });
});

test('with a persistence_prefix the template has the network of the client, the connection has the client', t => {
  const masked = scopeOf(configOf({ services: { ftp: { ...FTP_DR, persistence_prefix: 24 } } }));
  const parser = createSynParser(() => masked);
  const entries = parser.push(Buffer.from('23 192.0.2.112 203.0.113.9 40001 192.0.2.100 10001\n'));
  t.deepEqual(
    entries.map(({ client }) => client),
    [raw('203.0.113.0'), raw('203.0.113.9')],
  );
  t.true(entries.every(entry => masked.inScope(entry)));
});

test('lines come in pieces, of active mode and of tunnels, too', t => {
  const parser = createSynParser(() => SCOPE);
  t.deepEqual(parser.push(Buffer.from('23 192.0.2.111 203.0.113.9 4000')), []);
  const rest = '1 192.0.2.100 20\n24 2001:db8:9::11 2001:db8:5::9 40002 2001:db8:1::100 21\n';
  const entries = parser.push(Buffer.from(rest)).filter(entry => !isTemplate(entry));
  t.deepEqual(
    entries.map(({ server, virtualPort, clientPort }) => [server, virtualPort, clientPort]),
    [
      [raw('192.0.2.111'), 20, 40_001],
      [raw('2001:db8:9::11'), 21, 40_002],
    ],
  );
});

for (const [what, line, counted] of [
  ['of an unknown mark', '99 192.0.2.111 203.0.113.9 40001 192.0.2.100 21', 'foreign'],
  ['to another server', '23 192.0.2.119 203.0.113.9 40001 192.0.2.100 21', 'foreign'],
  ['to another VIP', '23 192.0.2.111 203.0.113.9 40001 192.0.2.101 21', 'foreign'],
  ['to another port', '23 192.0.2.111 203.0.113.9 40001 192.0.2.100 80', 'foreign'],
  ['from port 0', '23 192.0.2.111 203.0.113.9 0 192.0.2.100 21', 'foreign'],
  ['with a bad address', '23 192.0.2.111 203.0.113.900 40001 192.0.2.100 21', 'unknown'],
  ['without its prefix', '192.0.2.111 203.0.113.9 40001 192.0.2.100 21', 'unknown'],
  ['that is no line of syn-log', 'Segmentation fault', 'unknown'],
  ['too long', `23 ${'1'.repeat(300)}`, 'unknown'],
  ['that was lost', 'lost', 'lost'],
] as const) {
  test(`a SYN ${what} makes no entry and is counted`, t => {
    const { entries, counts } = read(`${line}\n`);
    t.deepEqual(entries, []);
    t.deepEqual(counts, { used: 0, foreign: 0, unknown: 0, lost: 0, [counted]: 1 });
  });
}
