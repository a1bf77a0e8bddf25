// Mistakes about routers, LANs, their addresses, and links and times of the heartbeat.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { nodeView } from '../../src/config/node.ts';
import { type Edit, edited, SOUND, testCases, told } from './mistakes.ts';

/** SOUND with further LANs, each with a network of its own and what `more` says of it. */
function moreLans(names: readonly string[], more: (net: number) => string): Edit[] {
  const lans = names.map((name, index) => {
    const net = 16 * (index + 1);
    const own = `{ a: 203.0.113.${net + 1}/28, b: 203.0.113.${net + 2}/28 }`;
    return `  ${name}: { interface: eth${index + 10}, addresses: ${own}${more(net)} }\n`;
  });
  return [['heartbeat:\n', `${lans.join('')}heartbeat:\n`]];
}

testCases([
  {
    mistake: 'only one router',
    edits: [['  b: {}\n', '']],
    told: [
      '3:3: error: a pair has exactly two routers, found 1 (a); name two, by their host names',
      '9:10: error: there is no router "b"; write a, or add it',
      '13:30: error: there is no router "b"; write a, or add it',
      '16:10: error: there is no router "b"; write a, or add it',
      '22:10: error: there is no router "b"; write a, or add it',
    ],
  },
  {
    mistake: 'three routers',
    edits: [['  b: {}\n', '  b: {}\n  c: {}\n']],
    told: [
      '3:3: error: a pair has exactly two routers, found 3 (a, b, c); name two, by their host names',
      '10:7: error: router "c" has no address on LAN "client"; add "c: ADDRESS/PREFIX", its own fixed address on this LAN',
      '15:16: error: router "c" has no interface on LAN "servers"; add "c: INTERFACE", or write one name for both',
      '17:7: error: router "c" has no address on LAN "servers"; add "c: ADDRESS/PREFIX", its own fixed address on this LAN',
      '23:7: error: router "c" has no address on LAN "cross"; add "c: ADDRESS/PREFIX", its own fixed address on this LAN',
    ],
  },
  {
    mistake: 'a LAN without an address for one router',
    edits: [['      b: 192.0.2.3/24\n', '']],
    told: [
      '9:7: error: router "b" has no address on LAN "client"; add "b: ADDRESS/PREFIX", its own fixed address on this LAN',
    ],
  },
  {
    mistake: 'a LAN without an interface for one router',
    edits: [['{ a: eth1, b: eth9 }', '{ a: eth1 }']],
    told: [
      '14:16: error: router "b" has no interface on LAN "servers"; add "b: INTERFACE", or write one name for both',
    ],
  },
  {
    mistake: 'an address for a router that does not exist',
    edits: [['      b: 192.0.2.3/24\n', '      b: 192.0.2.3/24\n      router-z: 192.0.2.4/24\n']],
    told: ['11:17: error: there is no router "router-z"; write a or b, or add it'],
  },
  {
    mistake: 'addresses of the routers in different networks',
    edits: [['b: [203.0.113.2/30]', 'b: [203.0.113.6/30]']],
    told: [
      '23:10: error: router "b" has 203.0.113.6/30 on LAN "cross", but "a" has no address in that network; give both routers an address in the same network, with the same prefix length',
    ],
  },
  {
    mistake: 'addresses of the routers with different prefix lengths',
    edits: [['b: 192.0.2.3/24', 'b: 192.0.2.3/25']],
    told: [
      '10:10: error: router "b" has 192.0.2.3/25 on LAN "client", but "a" has no address in that network; give both routers an address in the same network, with the same prefix length',
    ],
  },
  {
    mistake: 'an IPv6 address for one router only',
    edits: [['a: [203.0.113.1/30]', 'a: [203.0.113.1/30, "2001:db8::1/64"]']],
    told: [
      '22:10: error: router "a" has 2001:db8::1/64 on LAN "cross", but "b" has no address in that network; give both routers an address in the same network, with the same prefix length',
    ],
  },
  {
    mistake: 'one own address for both routers',
    edits: [['b: 192.0.2.3/24', 'b: 192.0.2.2/24']],
    told: [
      '10:10: error: 192.0.2.2 of router "b" is already the address of router "a" on LAN "client"; give every router its own address on every LAN',
    ],
  },
  {
    mistake: 'a VIP outside the networks of its LAN, which may be meant so',
    edits: [['192.0.2.101]', '203.0.113.9]']],
    told: [
      '11:25: warning: VIP 203.0.113.9 is in no network of router "a" on LAN "client" (192.0.2.2/24): nobody reaches it without a route; route 203.0.113.9 to that LAN (on-link, so that it is resolved there), or write an address inside',
    ],
  },
  {
    mistake: 'a VIP of a family that the LAN has not',
    edits: [['192.0.2.101]', '"2001:db8::9"]']],
    told: [
      `11:25: error: VIP 2001:db8::9 is in no network of router "a" on LAN "client" (192.0.2.2/24); write an address inside it, or add an address of 2001:db8::9's network to both routers`,
    ],
  },
  {
    mistake: 'virtual addresses that no host can have',
    edits: [
      ['192.0.2.101]', '192.0.2.0, 192.0.2.255, 224.0.0.18, 127.0.0.1, 0.0.0.0, 255.255.255.255]'],
      ['gateways: [198.51.100.1]', 'gateways: [198.51.100.1, 198.51.100.255]'],
    ],
    told: [
      `11:25: error: VIP 192.0.2.0 is the network's own address of 192.0.2.0/24; write the address of one host`,
      '11:36: error: VIP 192.0.2.255 is the broadcast address of 192.0.2.0/24; write the address of one host',
      '11:49: error: VIP 224.0.0.18 is a multicast address; write the address of one host',
      '11:61: error: VIP 127.0.0.1 is a loopback address; write the address of one host',
      '11:72: error: VIP 0.0.0.0 is unspecified ("this host"); write the address of one host',
      '11:81: error: VIP 255.255.255.255 is the broadcast address; write the address of one host',
      '18:30: error: gateway 198.51.100.255 is the broadcast address of 198.51.100.0/24; write the address of one host',
    ],
  },
  {
    mistake: 'own addresses, targets and servers that no host can have',
    edits: [
      ['b: 192.0.2.3/24', 'b: [192.0.2.255/24, "2001:db8:1::/64"]'],
      ['a: 192.0.2.2/24', 'a: [192.0.2.2/24, "2001:db8:1::2/64"]'],
      ['targets: [192.0.2.1]', 'targets: [192.0.2.1, 192.0.2.0]'],
      ['198.51.100.12', '198.51.100.0'],
    ],
    told: [
      '10:11: error: own address of router "b" 192.0.2.255 is the broadcast address of 192.0.2.0/24; write the address of one host',
      `10:27: error: own address of router "b" 2001:db8:1:: is the network's own address of 2001:db8:1::/64; write the address of one host`,
      `12:26: error: target 192.0.2.0 is the network's own address of 192.0.2.0/24; write the address of one host`,
      `44:22: error: address of server "s2" 198.51.100.0 is the network's own address of 198.51.100.0/24; write the address of one host`,
    ],
  },
  {
    mistake: 'a link-local VIP, and a link-local gateway, which may be',
    edits: [
      ['vips: [192.0.2.100, 192.0.2.101]', 'vips: [192.0.2.100, "fe80::100"]'],
      ['a: 192.0.2.2/24', 'a: [192.0.2.2/24, "fe80::2/64"]'],
      ['b: 192.0.2.3/24', 'b: [192.0.2.3/24, "fe80::3/64"]'],
      ['a: 198.51.100.2/24', 'a: [198.51.100.2/24, "fe80::12/64"]'],
      ['b: 198.51.100.3/24', 'b: [198.51.100.3/24, "fe80::13/64"]'],
      ['gateways: [198.51.100.1]', 'gateways: [198.51.100.1, "fe80::1"]'],
    ],
    told: [
      '11:25: error: VIP fe80::100 is link-local, and clients cannot connect to it; write another address, such as one of a unique local network (fd00::/8)',
    ],
  },
  {
    mistake: 'a heartbeat link of link-local addresses',
    edits: [
      ['a: [203.0.113.1/30]', 'a: ["fe80::1/64"]'],
      ['b: [203.0.113.2/30]', 'b: ["fe80::2/64"]'],
    ],
    told: [
      '25:19: error: link "cross" has link-local addresses only (fe80::1/64), and heartbeats cannot use these; give both routers another address there, such as one of a unique local network (fd00::/8)',
    ],
  },
  {
    mistake: 'a target that is no host of the LAN, or one of the pair itself',
    edits: [['targets: [192.0.2.1]', 'targets: [203.0.113.9, 192.0.2.100]']],
    told: [
      '12:15: error: target 203.0.113.9 is not in a network of LAN "client"; name a host on the LAN itself; what is behind a gateway says nothing of the LAN',
      '12:28: error: target 192.0.2.100 is an address of the pair itself; name another host that always answers, like the gateway of that LAN',
    ],
  },
  {
    mistake: 'a LAN of clients without a target',
    edits: [['    targets: [192.0.2.1]\n', '']],
    told: [
      '7:5: warning: LAN "client" has no target: when it is cut off, only lost carrier tells, or a gateway or client that happens to answer; name its gateway: targets: [ADDRESS]',
    ],
  },
  {
    mistake: 'a gateway outside the networks of its LAN',
    edits: [['gateways: [198.51.100.1]', 'gateways: [198.51.100.1, 192.0.2.1]']],
    told: [
      `18:30: error: gateway 192.0.2.1 is in no network of router "a" on LAN "servers" (198.51.100.2/24); write an address inside it, or add an address of 192.0.2.1's network to both routers`,
    ],
  },
  {
    mistake: `a VIP that is a router's own address`,
    edits: [['192.0.2.101]', '192.0.2.3]']],
    told: [
      '11:25: error: VIP 192.0.2.3 is the own address of router "b" on LAN "client"; write an address that nothing else has',
    ],
  },
  {
    mistake: `a gateway that is a real server's address`,
    edits: [['gateways: [198.51.100.1]', 'gateways: [198.51.100.11]']],
    told: [
      '18:16: error: gateway 198.51.100.11 is the own address of real server "s1" of service "ftp"; write an address that nothing else has',
    ],
  },
  {
    mistake: 'a VIP written twice',
    edits: [['192.0.2.101]', '192.0.2.100]']],
    told: ['11:25: error: VIP 192.0.2.100 is already a VIP at lans.client.vips.0; write every virtual address once'],
  },
  {
    mistake: 'more virtual addresses than a claim carries',
    edits: [['192.0.2.101]', `${Array.from({ length: 63 }, (_, n) => `192.0.2.${101 + n}`).join(', ')}]`]],
    told: [
      '6:3: error: 65 VIPs and gateways in all, more than the 64 that a pair can hold; write at most 64, or use a second pair',
    ],
  },
  {
    mistake: 'two LANs whose names have the same short id',
    edits: moreLans(['lan86', 'lan110'], () => ''),
    told: [
      '25:11: error: LAN "lan110" has the same short id in heartbeats as LAN "lan86", by chance; give one of them another name',
    ],
  },
  {
    mistake: 'more LANs with virtual addresses than a heartbeat has room for',
    edits: moreLans(
      Array.from({ length: 15 }, (_, n) => `more${n}`),
      net => `, gateways: [203.0.113.${net + 3}]`,
    ),
    told: [
      '6:3: error: 17 LANs have VIPs or gateways, more than the 16 that fit into a heartbeat; use 16 at most, or a second pair',
    ],
  },
  {
    mistake: 'a link that is no LAN',
    edits: [['[client, cross]', '[client, corss]']],
    told: ['25:19: error: there is no LAN "corss"; did you mean "cross"?'],
  },
  {
    mistake: 'a link named twice',
    edits: [['[client, cross]', '[client, cross, client]']],
    told: ['25:26: error: link "client" is named twice; name each LAN once'],
  },
  {
    mistake: 'a link without addresses of one family',
    edits: [['b: [203.0.113.2/30]', 'b: ["2001:db8::2/64"]']],
    told: [
      '22:10: error: router "a" has 203.0.113.1/30 on LAN "cross", but "b" has no address in that network; give both routers an address in the same network, with the same prefix length',
      '23:10: error: router "b" has 2001:db8::2/64 on LAN "cross", but "a" has no address in that network; give both routers an address in the same network, with the same prefix length',
      '25:19: error: link "cross" has no pair of addresses of one family; give both routers an IPv4 address there, or both an IPv6 one',
    ],
  },
  {
    mistake: 'only one link',
    edits: [['[client, cross]', '[client]']],
    told: [
      '25:10: warning: only one heartbeat link: when it breaks, the routers cannot tell a dead peer from a cut cable; name a second LAN',
    ],
  },
  {
    mistake: 'only one LAN',
    edits: [
      [SOUND.slice(SOUND.indexOf('  servers:\n'), SOUND.indexOf('heartbeat:')), ''],
      ['[client, cross]', '[client]'],
      [SOUND.slice(SOUND.indexOf('services:\n')), ''],
    ],
    told: [
      '14:10: warning: LAN "client" is the only one of the pair: when it is silent, a router cannot tell a dead LAN from a dead peer; connect the routers by a second LAN, a cable between them is enough, and name it here',
    ],
  },
  {
    mistake: 'no link on a LAN with VIPs, and one target there',
    edits: [['[client, cross]', '[servers, cross]']],
    told: [
      '25:10: warning: no heartbeat link is on a LAN with VIPs, so a broken client LAN is not noticed; add "client"',
      '25:10: warning: LAN "client" has neither a heartbeat link nor two targets: the silence of one host there looks like a dead LAN; add "client", or name two hosts there that always answer: targets: [ADDRESS, ADDRESS]',
    ],
  },
  {
    mistake: 'a lease below two intervals',
    edits: [['interval: 100ms', 'interval: 120ms']],
    told: [
      '27:10: error: lease 220ms is too short for interval 120ms; write at least 240ms (lease >= 2 x interval), or a shorter interval',
    ],
  },
  {
    mistake: 'a dead time without a margin after the lease',
    edits: [['dead: 300ms', 'dead: 250ms']],
    told: [
      '28:9: error: dead 250ms leaves no margin after lease 220ms; write at least 270ms (dead >= lease + the larger of interval / 2 and 8ms)',
    ],
  },
  {
    mistake: 'a short dead time without its 8 ms',
    edits: [['  interval: 100ms\n  lease: 220ms\n  dead: 300ms', '  interval: 10ms\n  lease: 23ms\n  dead: 30ms']],
    told: [
      '28:9: error: dead 30ms leaves no margin after lease 23ms; write at least 31ms (dead >= lease + the larger of interval / 2 and 8ms)',
      '28:9: warning: dead 30ms is below 100ms, which a busy machine keeps only with real-time scheduling; run pulse by its systemd unit, which asks for it, or write 100ms or more',
    ],
  },
  {
    mistake: 'a dead time that wants real-time scheduling',
    edits: [['  interval: 100ms\n  lease: 220ms\n  dead: 300ms', '  interval: 10ms\n  lease: 22ms\n  dead: 30ms']],
    told: [
      '28:9: warning: dead 30ms is below 100ms, which a busy machine keeps only with real-time scheduling; run pulse by its systemd unit, which asks for it, or write 100ms or more',
    ],
  },
]);

test('the timings of the defaults and of 10/22/30 keep the margins', t => {
  const fast = edited([
    ['  interval: 100ms\n  lease: 220ms\n  dead: 300ms', '  interval: 10ms\n  lease: 22ms\n  dead: 30ms'],
  ]);
  t.true(parseConfig(fast).ok);
  const standard = edited([['  interval: 100ms\n  lease: 220ms\n  dead: 300ms\n', '']]);
  const parsed = parseConfig(standard);
  t.true(parsed.ok);
  if (parsed.ok) t.like(parsed.config.heartbeat, { interval: 100, lease: 220, dead: 300 });
});

test('a pair may have as many virtual addresses as vipd can hold', t => {
  const vips = Array.from({ length: 62 }, (_, n) => `192.0.2.${101 + n}`);
  t.deepEqual(told(edited([['192.0.2.101]', `${vips.join(', ')}]`]])), []);
});

test('first and last address of a /31 and a /32 are addresses of hosts', t => {
  const text = edited([
    ['a: [203.0.113.1/30]', 'a: 203.0.113.0/31'],
    ['b: [203.0.113.2/30]', 'b: 203.0.113.1/31'],
  ]);
  t.deepEqual(told(text), []);
});

test('a link that has link-local addresses beside others uses the others', t => {
  const parsed = parseConfig(
    edited([
      ['a: [203.0.113.1/30]', 'a: ["fe80::1/64", "2001:db8:3::1/64"]'],
      ['b: [203.0.113.2/30]', 'b: ["fe80::2/64", "2001:db8:3::2/64"]'],
    ]),
  );
  t.true(parsed.ok);
  if (!parsed.ok) return;
  const [, cross] = nodeView(parsed.config, 'a').links;
  t.like(cross, { local: '2001:db8:3::1', remote: '2001:db8:3::2' });
});

test('a routed VIP is probed from an own address of its family', t => {
  const parsed = parseConfig(edited([['192.0.2.101]', '203.0.113.77]']]));
  t.true(parsed.ok);
  if (!parsed.ok) return;
  const routed = nodeView(parsed.config, 'b').addresses.find(({ address }) => (address as string) === '203.0.113.77');
  t.is(routed?.own as string | undefined, '192.0.2.3');
});

test('both families on one LAN are no mistake when both routers have them', t => {
  const text = edited([
    ['a: 192.0.2.2/24', 'a: [192.0.2.2/24, "2001:db8:1::2/64"]'],
    ['b: 192.0.2.3/24', 'b: [192.0.2.3/24, "2001:db8:1::3/64"]'],
    ['vips: [192.0.2.100, 192.0.2.101]', 'vips: [192.0.2.100, 192.0.2.101, "2001:DB8:1:0::64"]'],
  ]);
  t.deepEqual(told(text), []);
});
