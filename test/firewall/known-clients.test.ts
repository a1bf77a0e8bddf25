// Who is known to have a real server under DR and TUN, as text for nft and back.
import test from 'ava';
import { KNOWN_MAX, knowing, knownClients, parseKnown, servicesWithKnown } from '../../src/firewall/known-clients.ts';
import type { Address } from '../../src/units/address.ts';
import { configOf, FTP, FTP_DR, FTP6_TUN } from '../director/fixture.ts';

const CONFIG = configOf({ services: { ftp: FTP_DR, ftp6: FTP6_TUN, natted: { ...FTP, vip: '192.0.2.101' } } });
const a = (text: string) => text as Address;

test('only services whose servers answer by themselves have such a set', t => {
  t.deepEqual(servicesWithKnown(CONFIG), ['ftp', 'ftp6']);
});

test('what nft prints of a set is read: each client and what is left of its time', t => {
  const elements = [
    { elem: { val: '192.0.2.10', timeout: 7_200, expires: 7_100 } },
    { elem: { val: '2001:db8::9', timeout: 60, expires: 3 } },
    { elem: { val: '192.0.2.12', timeout: 60, expires: 0 } },
    { elem: { val: { prefix: { addr: '192.0.2.0', len: 24 } }, timeout: 60, expires: 5 } },
    '192.0.2.13',
  ];
  const json = JSON.stringify({ nftables: [{ metainfo: {} }, { set: { name: 'known_ftp', elem: elements } }] });
  t.deepEqual(
    [...parseKnown(json)],
    [
      [a('192.0.2.10'), 7_100],
      [a('2001:db8::9'), 3],
    ],
  );
  t.deepEqual([...parseKnown('{"nftables":[{"set":{"name":"known_ftp"}}]}')], []);
  t.throws(() => parseKnown('{}'), { message: 'nft printed no set' });
});

test('clients of the sync are known for as long as they have their server, those of the old set for what is left', t => {
  const before = new Map([
    ['ftp', new Map([[a('192.0.2.10'), 40]])],
    ['gone', new Map([[a('192.0.2.99'), 40]])],
  ]);
  const synced = new Map([
    ['ftp', [a('192.0.2.11')]],
    ['natted', [a('192.0.2.12')]],
  ]);
  t.is(
    knowing(knownClients(CONFIG, { before, synced })),
    'add element inet tandem known_ftp { 192.0.2.10 timeout 40s, 192.0.2.11 timeout 7200s }\n',
  );
  const long = configOf({ services: { ftp: { ...FTP_DR, persistence: '3h' } } });
  t.is(knowing(knownClients(long, { synced })), 'add element inet tandem known_ftp { 192.0.2.11 timeout 10800s }\n');
});

test('with a persistence_prefix a client is its network, as its template has it; a set of before the change is masked', t => {
  const services = {
    ftp: { ...FTP_DR, persistence_prefix: 24 },
    ftp6: { ...FTP6_TUN, persistence_prefix: 60 },
  };
  const before = new Map([
    [
      'ftp',
      new Map([
        [a('192.0.2.10'), 40],
        [a('192.0.2.77'), 90],
        [a('198.51.100.0'), 20],
      ]),
    ],
    ['ftp6', new Map([[a('2001:db8:5:16::9'), 40]])],
  ]);
  const synced = new Map([['ftp', [a('198.51.100.0')]]]);
  t.is(
    knowing(knownClients(configOf({ services }), { before, synced })),
    `add element inet tandem known_ftp { 192.0.2.0 timeout 90s, 198.51.100.0 timeout 7200s }
add element inet tandem known_ftp6 { 2001:db8:5:10:: timeout 40s }
`,
  );
});

test('no more clients than a set has room for, in lines that stay short', t => {
  const many = Array.from({ length: KNOWN_MAX + 1 }, (_, i) => a(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));
  const lines = knowing(knownClients(CONFIG, { synced: new Map([['ftp', many]]) }))
    .trimEnd()
    .split('\n');
  t.is(lines.join('').match(/timeout/g)?.length, KNOWN_MAX);
  t.true(lines.every(line => line.length < 40_000));
});
