// Which entries are ours.
import test from 'ava';
import { FLAG, isTemplate, networkOf } from '../../../src/sync/table/entry.ts';
import { activeQuestions, scopeOf, trackedServices } from '../../../src/sync/table/scope.ts';
import type { Address } from '../../../src/units/address.ts';
import { configOf, DNS, FTP, FTP_DR, FTP6_TUN, PROXY, WEB_DR } from '../../director/fixture.ts';
import {
  CONNECTION,
  CONNECTION6,
  MARK,
  MARK6,
  maskedScope,
  raw,
  SERVER,
  scope,
  TEMPLATE,
  TEMPLATE6,
  VIP,
  VIP6,
} from '../samples.ts';

const at = (port: number) => ({ ...CONNECTION, virtualPort: port, serverPort: port });

test('templates are ours by their mark, connections by VIP and port: control, passive range, 20', t => {
  const { inScope } = scope();
  for (const entry of [TEMPLATE, TEMPLATE6, CONNECTION, CONNECTION6]) t.true(inScope(entry));
  for (const port of [20, 21, 10_000, 20_000]) t.true(inScope(at(port)), `${port}`);
  for (const port of [19, 22, 80, 9_999, 20_001]) t.false(inScope(at(port)), `${port}`);
});

test('a router that checks the other one through the VIP is no client whose entries are ours', t => {
  const { inScope, isRouter } = scope();
  for (const own of ['192.0.2.2', '198.51.100.3', '203.0.113.2', '2001:db8:1::3']) t.true(isRouter(raw(own)), own);
  t.false(isRouter(raw('192.0.2.9')));
  const client = raw('192.0.2.3');
  t.false(inScope({ ...CONNECTION, client }));
  t.false(inScope({ ...TEMPLATE, client }));
  t.true(inScope({ ...CONNECTION, client: raw('192.0.2.9') }));
});

const foreign: readonly (readonly [string, typeof CONNECTION])[] = [
  ['to another VIP', { ...CONNECTION, virtual: raw('192.0.2.101') }],
  ['with another mark', { ...CONNECTION, mark: 22 }],
  ['with another server', { ...CONNECTION, server: raw('198.51.100.99') }],
  ['to another port of its server', { ...CONNECTION, serverPort: 21 }],
  ['of another protocol', { ...CONNECTION, protocol: 17 }],
  ['without a client port', { ...CONNECTION, clientPort: 0 }],
  ['that is tunnelled', { ...CONNECTION, flags: 2 }],
  ['whose client has the other family', { ...CONNECTION, client: CONNECTION6.client }],
  ['template of another mark', { ...TEMPLATE, mark: 22, virtual: raw('0.0.0.22') }],
  ['template whose mark and address disagree', { ...TEMPLATE, mark: 22 }],
  ['template of the mark of the other family', { ...TEMPLATE, mark: MARK6, virtual: raw('0.0.0.26') }],
  ['template with another server', { ...TEMPLATE, server: raw('198.51.100.99') }],
  ['template of a plain service', { ...TEMPLATE, protocol: 6, virtual: VIP, virtualPort: 21 }],
  ['template with a port', { ...TEMPLATE, serverPort: 21 }],
];
for (const [what, entry] of foreign) {
  test(`not ours: a${isTemplate(entry) ? '' : ' connection'} ${what}`, t => {
    t.false(scope().inScope(entry));
  });
}

test('DR and TUN: the forwarding method is part of what is ours; of templates only that, and conntrack is asked for neither', t => {
  const mixed = scopeOf(
    configOf({ services: { ftp: FTP_DR, ftp6: FTP6_TUN, natted: { ...FTP, vip: '192.0.2.101' } } }),
  );
  const server = raw('192.0.2.111');
  const entry = { ...CONNECTION, server, mark: 23, flags: 3 | FLAG.noOutput };
  t.true(mixed.inScope(entry));
  t.true(mixed.inScope({ ...entry, flags: 3 | FLAG.inactive }));
  t.false(mixed.inScope({ ...entry, flags: 0 }));
  t.false(mixed.inScope({ ...entry, flags: 2 | FLAG.noOutput }));
  const template = { ...TEMPLATE, server, mark: 23, virtual: raw('0.0.0.23'), flags: FLAG.template | 3 };
  t.true(mixed.inScope(template));
  t.false(mixed.inScope({ ...template, flags: FLAG.template }));
  const six = { ...CONNECTION6, server: raw('2001:db8:9::11'), mark: 24 };
  t.true(mixed.inScope({ ...six, flags: 2 | FLAG.noOutput }));
  t.deepEqual(mixed.ofActiveServer(server), []);
  t.deepEqual(
    trackedServices(mixed.services).map(({ name }) => name),
    ['natted'],
  );
  t.deepEqual(activeQuestions(mixed.services), [['-f', 'ipv4', '--orig-port-src', '20']]);
});

test('a closing connection is ours as well', t => {
  t.true(scope().inScope({ ...CONNECTION, flags: FLAG.inactive, state: 4 }));
});

test('a server that left the config stays ours while it drains', t => {
  const gone = { ...CONNECTION, server: raw('198.51.100.13') };
  t.false(scope().inScope(gone));
  t.true(scope(new Map([['ftp', ['198.51.100.13' as Address]]])).inScope(gone));
  t.false(scope(new Map([['ftp6', ['198.51.100.13' as Address]]])).inScope(gone), 'of the right service only');
});

test('port 20 is ours only where active mode is served', t => {
  const passive = scopeOf(configOf({ services: { ftp: { ...FTP, active: false } }, sync: false }));
  t.false(passive.inScope(at(20)));
  t.is(passive.markOf(VIP, 20), undefined);
  t.deepEqual(passive.ofActiveServer(SERVER), []);
});

test('FTP and FTPS in one service: both control ports are ours, and both ports of active data', t => {
  const both = scopeOf(configOf({ services: { ftp: { ...FTP, control_port: [21, 990] } }, sync: false }));
  for (const port of [20, 21, 989, 990]) {
    t.is(both.markOf(VIP, port), MARK, `port ${port}`);
    t.true(both.inScope(at(port)), `port ${port}`);
  }
  t.is(both.markOf(VIP, 22), undefined);
  t.deepEqual(
    activeQuestions(both.services).map(question => question.at(-1)),
    ['20', '989'],
    'conntrack is asked for both',
  );
});

test('two services on one VIP are told apart by port, and on port 20 by server', t => {
  const second = { ...FTP, mark: 31, control_port: 2121, active_port: 20, passive_ports: '21000-22000' };
  const both = scopeOf(
    configOf({
      services: { ftp: FTP, other: { ...second, servers: { fs9: { address: '198.51.100.19' } } } },
      sync: false,
    }),
  );
  t.is(both.markOf(VIP, 21), MARK);
  t.is(both.markOf(VIP, 2121), 31);
  t.is(both.markOf(VIP, 21_500), 31);
  const data = { ...at(20), server: raw('198.51.100.19') };
  t.true(both.inScope({ ...data, mark: 31 }));
  t.false(both.inScope({ ...data, mark: MARK }));
});

test('a scope knows marks, time-outs and persistence of the config', t => {
  const ours = scope();
  t.is(ours.markOf(VIP, 21), MARK);
  t.is(ours.markOf(VIP6, 15_000), MARK6);
  t.is(ours.markOf(VIP, 80), undefined);
  t.is(ours.ofMark(MARK)?.name, 'ftp');
  t.is(ours.ofMark(99), undefined);
  t.is(ours.ofMark(MARK)?.persistenceS, 360);
  t.is(ours.tcpTimeoutS, 7_200);
  t.is(ours.tcpFinTimeoutS, 120);
});

// ip_vs_sched_persist: saddr & netmask; ipv6_addr_prefix().
for (const [client, prefix, network] of [
  ['203.0.113.201', 32, '203.0.113.201'],
  ['203.0.113.201', 24, '203.0.113.0'],
  ['203.0.113.201', 30, '203.0.113.200'],
  ['203.0.113.201', 27, '203.0.113.192'],
  ['203.0.113.201', 1, '128.0.0.0'],
  ['2001:db8:ffff:ffff:ffff::1', 128, '2001:db8:ffff:ffff:ffff::1'],
  ['2001:db8:ffff:ffff:ffff::1', 64, '2001:db8:ffff:ffff::'],
  ['2001:db8:ffff:ffff:ffff::1', 47, '2001:db8:fffe::'],
  ['2001:db8:ffff:ffff:ffff::1', 53, '2001:db8:ffff:f800::'],
  ['2001:db8:ffff:ffff:ffff::1', 1, '::'],
] as const) {
  test(`the network of ${client} with a prefix of ${prefix} is ${network}`, t => {
    t.is(networkOf(raw(client), prefix), raw(network));
  });
}

test('a template is ours by the prefix of its service: one of another prefix is looked up by nobody', t => {
  const { inScope } = maskedScope();
  t.false(inScope(TEMPLATE));
  t.false(inScope(TEMPLATE6));
  t.true(inScope({ ...TEMPLATE, client: raw('203.0.112.0') }));
  t.true(inScope({ ...TEMPLATE6, client: raw('2001:db8:8::') }));
  t.true(inScope(CONNECTION) && inScope(CONNECTION6), 'connections have whole addresses');
});

test('services that are not FTP: their ports, the port of their servers, and templates with persistence only', t => {
  const { inScope, ofVirtual, markOf } = scopeOf(configOf({ services: { proxy: PROXY, web: WEB_DR } }));
  const proxied = {
    ...CONNECTION,
    ...{ virtual: raw('192.0.2.101'), virtualPort: 80, server: raw('198.51.100.31'), serverPort: 8_080, mark: 81 },
  };
  t.true(inScope(proxied));
  t.false(inScope({ ...proxied, serverPort: 80 }));
  t.is(markOf(raw('192.0.2.101'), 80), 81);
  t.is(ofVirtual(raw('192.0.2.101'), 8_080), undefined);
  t.false(inScope({ ...TEMPLATE, mark: 81, virtual: raw('0.0.0.81'), server: raw('198.51.100.31') }));
  const [server, flags] = [raw('192.0.2.131'), 3 | FLAG.noOutput];
  const direct = { ...CONNECTION, virtualPort: 443, serverPort: 443, server, mark: 80, flags };
  t.true(inScope(direct));
  t.false(inScope({ ...direct, virtualPort: 20, serverPort: 20 }));
  t.true(inScope({ ...TEMPLATE, mark: 80, virtual: raw('0.0.0.80'), server, flags: FLAG.template | 3 }));
});

test('UDP: templates are told, connections only where they are asked for; a TCP service may have the same port', t => {
  const dns = { ...CONNECTION, protocol: 17, virtualPort: 53, serverPort: 53, state: 0, mark: 53 };
  const [server, template] = [raw('198.51.100.53'), { ...TEMPLATE, mark: 53, virtual: raw('0.0.0.53') }];
  const over = { kind: 'tcp', vip: DNS.vip, servers_lan: 'servers', mark: 54, ports: 53, servers: DNS.servers };
  const scopeWith = (sync: string) => scopeOf(configOf({ services: { dns: { ...DNS, sync }, over } }));
  for (const sync of ['templates', 'connections']) {
    const { inScope, ofVirtual } = scopeWith(sync);
    t.true(inScope({ ...template, server }));
    t.is(inScope({ ...dns, server }), sync === 'connections');
    t.true(inScope({ ...dns, protocol: 6, mark: 54, state: 1, server }));
    t.is(ofVirtual(raw(DNS.vip), 53)?.name, 'over');
    t.is(ofVirtual(raw(DNS.vip), 53, 17)?.name, 'dns');
    t.deepEqual(
      trackedServices(scopeWith(sync).services).map(({ name }) => name),
      ['over'],
    );
  }
});
