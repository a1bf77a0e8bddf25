// Which addresses are served together.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { nodeView } from '../../src/config/node.ts';
import { unitsOf } from '../../src/config/units.ts';

const LANS = `pair: p
routers: { r1: {}, r2: {} }
lans:
  client:
    interface: c0
    addresses: { r1: [192.0.2.2/24, "2001:db8:1::2/64"], r2: [192.0.2.3/24, "2001:db8:1::3/64"] }
    vips: [192.0.2.100, "2001:db8:1::100", 192.0.2.101, 192.0.2.102]
  servers:
    interface: s0
    addresses: { r1: [198.51.100.2/24, "2001:db8:2::2/64"], r2: [198.51.100.3/24, "2001:db8:2::3/64"] }
    gateways: [198.51.100.1, "2001:db8:2::1"]
  others:
    interface: o0
    addresses: { r1: 203.0.113.2/24, r2: 203.0.113.3/24 }
    gateways: [203.0.113.1]
heartbeat: { links: [client, servers] }
`;

function unitsIn(services: string): string[][] {
  const parsed = parseConfig(`${LANS}${services}`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
  const { addresses } = nodeView(parsed.config, 'r1');
  return unitsOf(parsed.config, addresses).map(unit => unit.map(index => addresses[index]?.address ?? ''));
}

test('a VIP is served together with the gateways of its family on the LANs of its services’ servers', t => {
  const units = unitsIn(`services:
  a: { vip: 192.0.2.100, servers_lan: servers, mark: 1, servers: { one: { address: 198.51.100.11 } } }
  six: { vip: "2001:db8:1::100", servers_lan: servers, mark: 2, servers: { two: { address: "2001:db8:2::11" } } }
  c: { vip: 192.0.2.101, servers_lan: servers, mark: 3, control_port: 2121, active_port: 20, passive_ports: 20001-21000,
       servers: { three: { address: 198.51.100.12 } } }
  d: { vip: 192.0.2.101, servers_lan: others, mark: 4, control_port: 2122, active: false, passive_ports: 21001-22000,
       servers: { four: { address: 203.0.113.11 } } }
`);
  t.deepEqual(units, [
    ['192.0.2.100', '198.51.100.1'],
    ['2001:db8:1::100', '2001:db8:2::1'],
    ['192.0.2.101', '198.51.100.1', '203.0.113.1'],
    ['192.0.2.102'],
  ]);
});

test('a VIP whose servers answer by themselves needs no gateway', t => {
  const units = unitsIn(`services:
  a: { vip: 192.0.2.100, forwarding: dr, mark: 1, servers: { one: { address: 192.0.2.11 } } }
  b: { vip: 192.0.2.101, forwarding: dr, servers_lan: servers, mark: 2, servers: { one: { address: 198.51.100.11 } } }
  c: { vip: 192.0.2.102, forwarding: tun, mark: 3, servers: { one: { address: 203.0.113.211 } } }
`);
  t.deepEqual(units.slice(0, 4), [['192.0.2.100'], ['2001:db8:1::100'], ['192.0.2.101'], ['192.0.2.102']]);
});

test('a gateway that no service needs is held by itself', t => {
  t.deepEqual(unitsIn('').slice(4), [['198.51.100.1'], ['2001:db8:2::1'], ['203.0.113.1']]);
});
