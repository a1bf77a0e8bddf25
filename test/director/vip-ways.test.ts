// The ways by which the VIP is checked on each server of DR and TUN: rules, routes and tunnels, and that none is left behind.
import test from 'ava';
import type { Run } from '../../src/command/io/run-command.ts';
import { createVipWays } from '../../src/director/io/vip-ways.ts';
import {
  additionLines,
  PORTS_PER_WAY,
  parseDevices,
  parseRules,
  removalLines,
  routeLines,
  type VipWay,
  WAYS_MAX,
  waysOf,
} from '../../src/director/vip-ways.ts';
import { configOf, FTP, FTP_DR, FTP6_TUN } from './fixture.ts';

const config = configOf({ services: { ftp: { ...FTP, vip: '192.0.2.101' }, direct: FTP_DR, six: FTP6_TUN } });
const look = { config, node: 'r2', names: new Map([['c0', 'wan0']]), checked: new Set(['ftp', 'direct', 'six']) };
const WAYS = waysOf(look);

test('each server of DR and TUN has a table and ports of its own; NAT has none', t => {
  t.deepEqual(
    WAYS.map(({ service, server, table, ports, source, device }) => [
      service,
      server,
      table,
      ports.first,
      source,
      device,
    ]),
    [
      ['direct', 'fs1', 21_000, 61_000, '192.0.2.3', 'wan0'],
      ['direct', 'fs2', 21_001, 61_128, '192.0.2.3', 'wan0'],
      ['six', 'fs1', 21_002, 61_256, '2001:db8:1::3', 'tandem-way2'],
    ],
  );
  t.deepEqual(waysOf({ ...look, checked: new Set(['ftp']) }), []);
  t.true(61_000 + WAYS_MAX * PORTS_PER_WAY <= 65_536);
});

test('the lines of each family', t => {
  t.deepEqual(additionLines(WAYS.slice(1), 4), [
    'rule add pref 20999 to 192.0.2.100 ipproto tcp sport 61128-61255 lookup 21001',
  ]);
  t.deepEqual(routeLines(WAYS.slice(1), 4), [
    'route replace unreachable 192.0.2.100 metric 9999 table 21001',
    'route replace 192.0.2.100 via 192.0.2.112 dev wan0 table 21001',
  ]);
  t.deepEqual(additionLines(WAYS, 6), [
    'link add tandem-way2 type ip6tnl mode ip6ip6 local 2001:db8:1::3 remote 2001:db8:9::11',
    'link set tandem-way2 up',
    'rule add pref 20999 to 2001:db8:1::100 ipproto tcp sport 61256-61383 lookup 21002',
  ]);
  t.deepEqual(routeLines(WAYS, 6).slice(1), ['route replace 2001:db8:1::100 dev tandem-way2 table 21002']);
  t.deepEqual(removalLines({ tables: { 4: [21_000, 21_000], 6: [] }, devices: ['tandem-way2'] }, 4), [
    'rule del pref 20999',
    'rule del pref 20999',
    'route flush table 21000',
    'link del tandem-way2',
  ]);
});

test('rules and devices of others are not ours', t => {
  const rules = [
    { priority: 0, table: 'local' },
    { priority: 20_999, table: '21000' },
    { priority: 20_998, table: '21001' },
    null,
  ];
  t.deepEqual(parseRules(JSON.stringify(rules)), [21_000]);
  const links = ['lo', 'tandem-way0', 'tandem-sync0', 'tandem-way', 'xtandem-way1'].map(ifname => ({ ifname }));
  t.deepEqual(parseDevices(JSON.stringify(links)), ['tandem-way0']);
  t.throws(() => parseRules('{}'));
  t.throws(() => parseDevices('{}'));
});

/** An `ip` that keeps rules and devices, and nothing else. */
function fakeIp(tables: { 4: number[]; 6: number[] }, devices: string[]) {
  const fake = { tables, devices, batches: [] as string[], refuse: '' };
  const run: Run = async (_program, args, options) => {
    const family = args.includes('-6') ? 6 : 4;
    const done = (stdout: string) => ({ status: 0, stdout, stderr: '' });
    if (args.includes('rule')) {
      const rules = fake.tables[family].map(table => ({ priority: 20_999, table: `${table}` }));
      return done(rules.length === 0 ? '' : JSON.stringify(rules));
    }
    if (args.includes('link')) return done(JSON.stringify(fake.devices.map(ifname => ({ ifname }))));
    for (const line of (options?.input ?? '').split('\n')) {
      fake.batches.push(line);
      if (fake.refuse !== '' && line.includes(fake.refuse))
        return { status: 1, stdout: '', stderr: 'RTNETLINK answers: no' };
      if (line.startsWith('rule del')) fake.tables[family].shift();
      if (line.startsWith('rule add')) fake.tables[family].push(Number(line.split(' ').at(-1)));
      if (line.startsWith('link add')) fake.devices.push(line.split(' ')[2] as string);
      if (line.startsWith('link del')) fake.devices.splice(fake.devices.indexOf(line.split(' ')[2] as string), 1);
    }
    return done('');
  };
  return { fake, ways: createVipWays(run) };
}

test('what a killed director left is taken away at the start, by one that needs no ways, too', async t => {
  const { fake, ways } = fakeIp({ 4: [21_000, 21_007], 6: [21_002] }, ['tandem-way2']);
  t.is(await ways.ensure([]), undefined);
  t.deepEqual([fake.tables, fake.devices], [{ 4: [], 6: [] }, []]);
  const before = fake.batches.length;
  await ways.ensure([]);
  t.is(fake.batches.length, before);
});

test('ways come, stay, come back when somebody takes them, and go', async t => {
  const { fake, ways } = fakeIp({ 4: [], 6: [] }, []);
  const all = { 4: [21_000, 21_001], 6: [21_002] };
  t.is(await ways.ensure(WAYS), undefined);
  t.deepEqual([fake.tables, fake.devices], [all, ['tandem-way2']]);
  fake.batches.length = 0;
  await ways.ensure(WAYS);
  t.true(
    fake.batches.every(line => line.startsWith('route replace') || line === ''),
    'routes only, which are idempotent',
  );
  fake.tables[4].pop();
  await ways.ensure(WAYS);
  t.deepEqual([fake.tables, fake.devices], [all, ['tandem-way2']]);
  await ways.ensure(WAYS.slice(0, 1) as VipWay[]);
  t.deepEqual([fake.tables, fake.devices], [{ 4: [21_000], 6: [] }, []]);
  await ways.ensure([]);
  t.deepEqual([fake.tables, fake.devices], [{ 4: [], 6: [] }, []]);
});

test('what the kernel refuses is said, and tried again', async t => {
  const { fake, ways } = fakeIp({ 4: [], 6: [] }, []);
  fake.refuse = 'link add';
  t.regex((await ways.ensure(WAYS)) ?? '', /ip refused `link add tandem-way2 .*RTNETLINK answers: no/);
  fake.refuse = '';
  t.is(await ways.ensure(WAYS), undefined);
  t.deepEqual(fake.devices, ['tandem-way2']);
});
