// Every kind of mistake in a config file: its place, its words and what to write instead. Each case is the sound config below
// with one edit.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { nodeView } from '../../src/config/node.ts';

const SOUND = `pair: p1
routers:
  a: { priority: 110 }
  b: {}
lans:
  client:
    interface: eth0
    addresses:
      a: 192.0.2.2/24
      b: 192.0.2.3/24
    vips: [192.0.2.100, 192.0.2.101]
    targets: [192.0.2.1]
  servers:
    interface: { a: eth1, b: eth9 }
    addresses:
      a: 198.51.100.2/24
      b: 198.51.100.3/24
    gateways: [198.51.100.1]
  cross:
    interface: eth2
    addresses:
      a: [203.0.113.1/30]
      b: [203.0.113.2/30]
heartbeat:
  links: [client, cross]
  interval: 100ms
  lease: 220ms
  dead: 300ms
sync:
  port: 694
ipvs:
  audit: "*/30 * * * * *"
services:
  ftp:
    vip: 192.0.2.100
    servers_lan: servers
    mark: 21
    control_port: 21
    passive_ports: 10000-12000
    check:
      timeout: 8s
    servers:
      s1: { address: 198.51.100.11 }
      s2: { address: 198.51.100.12 }
`;

const SECOND_SERVICE_AFTER = '      s2: { address: 198.51.100.12 }\n';

/** SOUND with further LANs, each with a network of its own and what `more` says of it. */
function moreLans(names: readonly string[], more: (net: number) => string): Edit[] {
  const lans = names.map((name, index) => {
    const net = 16 * (index + 1);
    const own = `{ a: 203.0.113.${net + 1}/28, b: 203.0.113.${net + 2}/28 }`;
    return `  ${name}: { interface: eth${index + 10}, addresses: ${own}${more(net)} }\n`;
  });
  return [['heartbeat:\n', `${lans.join('')}heartbeat:\n`]];
}

/** SOUND with a second service, whose VIP and other fields are given. */
function second(vip: string, rest: string): Edit {
  const more = `  more:\n    vip: ${vip}\n    servers_lan: servers\n${rest}\n`;
  return [SECOND_SERVICE_AFTER, `${SECOND_SERVICE_AFTER}${more}`];
}

/** SOUND with a Redis store of these fields. */
function redis(fields: string): readonly Edit[] {
  return [['  port: 694', `  store: { type: redis, redis: { ${fields} } }`]];
}

/** SOUND with a witness of these fields. */
function witness(fields: string): readonly Edit[] {
  return [['services:\n', `witness: { ${fields} }\nservices:\n`]];
}

type Edit = readonly [from: string, to: string];

interface Case {
  readonly mistake: string;
  readonly edits: readonly Edit[];
  /** line:column: severity: what is wrong; what to write instead */
  readonly told: readonly string[];
}

const CASES: readonly Case[] = [
  {
    mistake: 'an empty file',
    edits: [[SOUND, '']],
    told: ['1:1: error: the file is empty; start from conf/tandem.yaml'],
  },
  {
    mistake: 'a list instead of a map',
    edits: [[SOUND, '[1, 2]']],
    told: [
      '1:1: error: [1,2] is a list; write its fields indented below it (config of a Tandem router pair; identical on both routers)',
    ],
  },
  {
    mistake: 'broken YAML',
    edits: [['pair: p1', 'pair: "p1']],
    told: ['1:10: error: YAML: Missing closing "quote; close the quotes or brackets, or write a blank after ":"'],
  },
  {
    mistake: 'a tab as indent',
    edits: [['  b: {}', '\tb: {}']],
    told: ['4:1: error: YAML: Tabs are not allowed as indentation; indent with blanks'],
  },
  {
    mistake: 'two documents',
    edits: [['ipvs:\n', '---\nipvs:\n']],
    told: [
      '31:1: error: YAML: Source contains multiple documents; please use YAML.parseAllDocuments(); keep one document in the file',
    ],
  },
  {
    mistake: 'a key written twice',
    edits: [['  lease: 220ms', '  lease: 220ms\n  lease: 230ms']],
    told: ['28:3: error: key "lease" is already written on line 27; write each key once'],
  },
  {
    mistake: 'an alias to nothing',
    edits: [['eth0', '*nowhere']],
    told: ['7:16: error: there is no "&nowhere" above; write the value itself'],
  },
  {
    mistake: 'a misspelt key',
    edits: [['passive_ports', 'pasive_ports']],
    told: ['39:5: error: unknown key "pasive_ports"; did you mean "passive_ports"?'],
  },
  {
    mistake: 'an unknown key with no near name',
    edits: [['  dead: 300ms', '  dead: 300ms\n  quorum: 3']],
    told: [
      '29:3: error: unknown key "quorum"; delete it; known here: interval, lease, dead, alone_keep, port, links, key_file, packet_lease, auto_failback, on_isolation, on_conflict',
    ],
  },
  {
    mistake: 'a misspelt required key',
    edits: [['    vip: 192', '    vp: 192']],
    told: ['35:5: error: unknown key "vp"; did you mean "vip"?'],
  },
  {
    mistake: 'a missing required key',
    edits: [['    mark: 21\n', '']],
    told: ['34:3: error: "mark" is missing; add mark: firewall mark of the service, unique (1 to 2147483647)'],
  },
  {
    mistake: 'a missing section',
    edits: [['heartbeat:\n  links: [client, cross]\n  interval: 100ms\n  lease: 220ms\n  dead: 300ms\n', '']],
    told: ['1:1: error: "heartbeat" is missing; add heartbeat: heartbeat and election'],
  },
  {
    mistake: 'a section with nothing below it',
    edits: [['    check:\n      timeout: 8s', '    check:']],
    told: [
      '40:5: error: "check" has no value; write how a nanny checks the real servers, as an FTP client would, or delete the line',
    ],
  },
  {
    mistake: 'a key without a value',
    edits: [['  interval: 100ms', '  interval:']],
    told: [
      '26:3: error: "interval" has no value; write H: how often each router sends a heartbeat (10ms to 5s), or delete the line',
    ],
  },
  {
    mistake: 'a name with capitals',
    edits: [['pair: p1', 'pair: P1']],
    told: [
      '1:7: error: "P1" is not allowed for "pair"; write lower-case letters, digits and dashes, at most 31 characters',
    ],
  },
  {
    mistake: 'a map name that is not allowed',
    edits: [['  cross:\n', '  Cross_1:\n']],
    told: [
      '19:3: error: "Cross_1" is not allowed as a name; write lower-case letters, digits and dashes, at most 31 characters',
    ],
  },
  {
    mistake: 'a duration without a unit',
    edits: [['lease: 220ms', 'lease: 220']],
    told: ['27:10: error: 220 is a number; write a number and a unit: 50ms, 2s, 10m, 1h, 1d'],
  },
  {
    mistake: 'a duration that is none',
    edits: [['lease: 220ms', 'lease: fast']],
    told: ['27:10: error: "fast" is not a duration; write a number and a unit: 50ms, 2s, 10m, 1h, 1d'],
  },
  {
    mistake: 'a duration out of bounds',
    edits: [['interval: 100ms', 'interval: 1ms']],
    told: ['26:13: error: 1ms is out of bounds; write a duration of 10ms to 5s'],
  },
  {
    mistake: 'an address that is none',
    edits: [['vip: 192.0.2.100', 'vip: 192.0.2.300']],
    told: ['35:10: error: "192.0.2.300" is not an address; write one like 192.0.2.100 or 2001:db8::100'],
  },
  {
    mistake: 'an address without a prefix length',
    edits: [['a: 192.0.2.2/24', 'a: 192.0.2.2']],
    told: ['9:10: error: "192.0.2.2" is not an address with a prefix length; write one like 192.0.2.2/24'],
  },
  {
    mistake: 'an interface name that is too long',
    edits: [['eth2', 'averyveryverylongname']],
    told: [
      '20:16: error: "averyveryverylongname" is not allowed for "interface"; write the name of a network interface, at most 15 characters',
    ],
  },
  {
    mistake: 'an interface that is a number',
    edits: [['interface: eth2', 'interface: 2']],
    told: [
      '20:16: error: 2 is not allowed for "interface"; write the interface on this LAN: one name, or one for each router',
    ],
  },
  {
    mistake: 'a number out of bounds',
    edits: [['priority: 110', 'priority: 256']],
    told: ['3:18: error: 256 is too large; write a whole number from 1 to 255'],
  },
  {
    mistake: 'a number that is text',
    edits: [['mark: 21', 'mark: twenty']],
    told: ['37:11: error: "twenty" is a text; write a whole number from 1 to 2147483647'],
  },
  {
    mistake: 'a choice that does not exist',
    edits: [['    mark: 21', '    mark: 21\n    scheduler: wlcc']],
    told: ['38:16: error: "wlcc" is not a choice for "scheduler"; did you mean "wlc"? (rr, wrr, lc, wlc or sh)'],
  },
  {
    mistake: 'yes instead of true',
    edits: [['    mark: 21', '    mark: 21\n    active: yes']],
    told: ['38:13: error: "yes" is a text; write true or false'],
  },
  {
    mistake: 'a port range that is none',
    edits: [['10000-12000', '12000-10000']],
    told: ['39:20: error: "12000-10000" is not a port range; write first-last within 1024-65535'],
  },
  {
    mistake: 'no links',
    edits: [['[client, cross]', '[]']],
    told: ['25:10: error: 0 entries are too few; name one to four LANs'],
  },
  {
    mistake: 'too many links',
    edits: [['[client, cross]', '[client, cross, servers, client, cross]']],
    told: ['25:10: error: 5 entries are too many; name one to four LANs'],
  },
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
      '7:5: warning: LAN "client" has no target: when it is cut off, only lost carrier tells; name its gateway: targets: [ADDRESS]',
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
    mistake: 'a sync LAN, which was removed',
    edits: [['  port: 694', '  lan: cross']],
    told: [
      '30:3: error: unknown key "lan": it is gone, connection state goes over every heartbeat link, encrypted; delete it',
    ],
  },
  {
    mistake: 'a sync id, which was removed',
    edits: [['  port: 694', '  sync_id: 21']],
    told: [
      '30:3: error: unknown key "sync_id": it is gone, the stream is bound to the pair by its name and key; delete it; sync.port is its TCP port',
    ],
  },
  {
    mistake: 'services with sync switched off',
    edits: [['  port: 694', '  enabled: false']],
    told: ['30:12: warning: sync is off: running transfers do not survive a failover; write enabled: true'],
  },
  {
    mistake: 'a schedule that is none',
    edits: [['  port: 694', '  store: { schedule: sometimes }']],
    told: [
      '30:22: error: "sometimes" is neither a duration nor a cron expression; write a duration like 30s, or five or six fields like "0 30 3 * * *" (second, minute, hour, day, month, weekday)',
    ],
  },
  {
    mistake: 'an audit that is too seldom',
    edits: [['audit: "*/30 * * * * *"', 'audit: 2h']],
    told: ['32:10: error: 2h is out of bounds; write a duration of 1s to 1h'],
  },
  {
    mistake: 'an audit every so often, or at times of the day: none',
    edits: [['audit: "*/30 * * * * *"', 'audit: 10s']],
    told: [],
  },
  {
    mistake: 'a store of an unknown type',
    edits: [['  port: 694', '  store: { type: redi, redis: { host: localhost } }']],
    told: ['30:18: error: "redi" is not a choice for "type"; did you mean "redis"? (none, file or redis)'],
  },
  {
    mistake: 'a store path that is not whole',
    edits: [['  port: 694', '  store: { path: sessions }']],
    told: ['30:18: error: "sessions" is not allowed for "path"; write a whole path, from / on'],
  },
  {
    mistake: 'type redis without its section',
    edits: [['  port: 694', '  store: { type: redis }']],
    told: ['30:18: error: type is redis, but there is no "redis" section; add redis: { host: ... }'],
  },
  {
    mistake: 'fields of another type of store',
    edits: [['  port: 694', '  store: { type: none, path: /var/x, redis: { host: localhost } }']],
    told: [
      '30:30: warning: "path" is not used: type is none; write type: file, or delete it',
      '30:45: warning: "redis" is not used: type is none; write type: redis, or delete it',
    ],
  },
  {
    mistake: 'a Redis that is nowhere',
    edits: redis('database: 1'),
    told: ['30:32: error: neither host nor sentinels say where Redis is; write host: NAME, or sentinels and master'],
  },
  {
    mistake: 'host and sentinels together',
    edits: redis('host: localhost, sentinels: ["127.0.0.1:26379"], master: m'),
    told: ['30:40: error: host and sentinels exclude each other; keep one of them'],
  },
  {
    mistake: 'Sentinels without the name of the master',
    edits: redis('sentinels: ["127.0.0.1:26379", "[::1]:26379"]'),
    told: [
      '30:45: error: the Sentinels must be asked for a master by its name; add master: NAME, as "sentinel monitor NAME" has it',
    ],
  },
  {
    mistake: 'a master, or a Sentinel password, without Sentinels',
    edits: redis('host: localhost, master: m, sentinel_password_file: /s'),
    told: [
      '30:59: error: only Sentinels know a master by its name; write sentinels, or delete it',
      '30:86: error: there are no sentinels; write sentinels, or delete it',
    ],
  },
  {
    mistake: 'a Sentinel without a port',
    edits: redis('sentinels: ["127.0.0.1"], master: m'),
    told: [
      '30:46: error: "127.0.0.1" is not a host with its port; write one like 203.0.113.9:26379 or "[2001:db8::9]:26379"',
    ],
  },
  {
    mistake: 'a Redis user without a password, and half a certificate',
    edits: redis('host: localhost, username: tandem, tls: { key_file: /k }'),
    told: [
      '30:61: error: a user without a password_file; add password_file: FILE',
      '30:74: error: a certificate needs its key, and a key its certificate; write both cert_file and key_file, or neither',
    ],
  },
  {
    mistake: 'a Redis elsewhere without encryption',
    edits: redis('host: 203.0.113.9'),
    told: ['30:40: warning: sessions and password go to 203.0.113.9 unencrypted; write tls: { ca_file: FILE }'],
  },
  {
    mistake: 'Sentinels elsewhere without encryption',
    edits: redis('sentinels: ["127.0.0.1:1", "redis.example:2"], master: m'),
    told: ['30:45: warning: sessions and password go to redis.example unencrypted; write tls: { ca_file: FILE }'],
  },
  {
    mistake: 'a witness that is nowhere, and one without its Redis',
    edits: witness('lease: 1s'),
    told: [
      '33:1: error: "redis" is missing; add redis: a Redis that both routers may use; single or with Sentinel, not a cluster',
    ],
  },
  {
    mistake: 'a lease of the witness that ends with that of the VIPs, and a timeout that allows one try',
    edits: witness('redis: { host: 203.0.113.9, tls: {} }, lease: 569ms, timeout: 285ms'),
    told: [
      '33:58: error: the lease of the witness, 569ms, leaves no margin after heartbeat.lease 220ms; write at least 570ms (heartbeat.lease + 3 x interval + 50ms)',
      '33:74: error: timeout 285ms leaves no time for a second try within lease 569ms; write at most 284ms, or a longer lease',
    ],
  },
  {
    mistake: 'a witness on a router, in the clear',
    edits: witness('redis: { host: 198.51.100.3 }'),
    told: [
      '33:27: warning: the word of the witness and the password go to 198.51.100.3 unencrypted; write tls: { ca_file: FILE }',
      '33:27: warning: the witness at 198.51.100.3 is on router "b": it falls silent together with it, and helps nobody then; name a machine that is neither router',
    ],
  },
  {
    mistake: 'a witness on a VIP',
    edits: witness('redis: { host: 192.0.2.100, tls: {} }'),
    told: [
      '33:27: warning: the witness at 192.0.2.100 is on the active router: it falls silent together with it, and helps nobody then; name a machine that is neither router',
    ],
  },
  {
    mistake: 'Sentinels as a witness, one of them on a router by its name',
    edits: witness('redis: { sentinels: ["b:26379", "constructor:26379"], master: m, tls: {} }'),
    told: [
      '33:32: warning: a witness with Sentinels is best effort: Redis copies to its replicas afterwards, and a cut between the Sentinels can leave two masters; use one durable Redis (appendonly yes) for the promise in full',
      '33:33: warning: the witness at b is on router "b": it falls silent together with it, and helps nobody then; name a machine that is neither router',
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
  {
    mistake: 'a service VIP that is no VIP',
    edits: [['vip: 192.0.2.100', 'vip: 192.0.2.99']],
    told: [
      '35:10: error: 192.0.2.99 is not a VIP of any LAN; write 192.0.2.100 or 192.0.2.101, or add it to the vips of a LAN',
    ],
  },
  {
    mistake: 'a servers_lan that does not exist',
    edits: [['servers_lan: servers', 'servers_lan: server']],
    told: ['36:18: error: there is no LAN "server"; did you mean "servers"?'],
  },
  {
    mistake: 'a control port inside the passive range',
    edits: [['control_port: 21', 'control_port: 10500']],
    told: ['38:19: error: control_port 10500 lies inside passive_ports 10000-12000; write a port outside'],
  },
  {
    mistake: `a control port that is active mode's data port`,
    edits: [['control_port: 21', 'control_port: 20']],
    told: ['38:19: error: control_port 20 is the data port of active mode; write 21, or active: false'],
  },
  {
    mistake: 'a passive range in the ephemeral range',
    edits: [['10000-12000', '30000-40000']],
    told: [
      '39:20: warning: passive_ports 30000-40000 overlaps 32768-60999, which Linux uses for outgoing connections; write a range below, like 10000-20000',
    ],
  },
  {
    mistake: 'a service without servers',
    edits: [
      [
        '    servers:\n      s1: { address: 198.51.100.11 }\n      s2: { address: 198.51.100.12 }\n',
        '    servers: {}\n',
      ],
    ],
    told: ['42:14: error: service "ftp" has no real server; add at least one, by name'],
  },
  {
    mistake: 'one server address twice in a service',
    edits: [['198.51.100.12', '198.51.100.11']],
    told: ['44:22: error: server "s2" has 198.51.100.11, which is the address of "s1"; write every server once'],
  },
  {
    mistake: 'a server outside servers_lan',
    edits: [['198.51.100.12', '192.0.2.12']],
    told: [
      '44:22: error: server "s2" (192.0.2.12) is in no network of LAN "servers" (198.51.100.2/24, 198.51.100.3/24); write an address inside it, or another servers_lan',
    ],
  },
  {
    mistake: 'a server of another family than the VIP',
    edits: [['198.51.100.12', '"2001:db8::12"']],
    told: ['44:22: error: server "s2" is IPv6, the VIP 192.0.2.100 is IPv4; write an IPv4 address'],
  },
  {
    mistake: 'NAT servers without a floating gateway',
    edits: [['    gateways: [198.51.100.1]\n', '']],
    told: [
      `35:18: error: forwarding is nat, but LAN "servers" has no IPv4 gateway that floats with the VIP; add one to lans.servers.gateways, and make it the servers' default gateway`,
    ],
  },
  {
    mistake: 'NAT within one LAN: VIP, gateway, servers and clients in one network',
    edits: [
      ['    vips: [192.0.2.100, 192.0.2.101]', '    vips: [192.0.2.100, 192.0.2.101]\n    gateways: [192.0.2.254]'],
      ['servers_lan: servers', 'servers_lan: client'],
      ['address: 198.51.100.11', 'address: 192.0.2.11'],
      ['address: 198.51.100.12', 'address: 192.0.2.12'],
    ],
    told: [
      '36:10: warning: VIP 192.0.2.100 and the real servers are in one network: with nat their answers to clients of that network bypass the pair, and those clients get nothing; put the real servers into a network of their own, or serve only clients that come by a gateway which routes back through the pair',
    ],
  },
  {
    mistake: 'a check user without a password file',
    edits: [['timeout: 8s', 'timeout: 8s\n      user: probe']],
    told: [
      '42:13: warning: the check logs in as "probe" without a password_file; add password_file: FILE (root-only), or write user: anonymous',
    ],
  },
  {
    mistake: 'a default stage longer than the whole check is none: the shorter one counts',
    edits: [['timeout: 8s', 'timeout: 2s']],
    told: [],
  },
  {
    mistake: 'a server may drain for a shorter time than a transfer may take',
    edits: [['  audit: ', '  drain: 1h\n  audit: ']],
    told: [
      '32:10: warning: drain 1h is shorter than tcp_timeout 2h: transfers of a server that leaves may be cut; write at least 2h',
    ],
  },
  {
    mistake: 'a stage longer than the whole check',
    edits: [['timeout: 8s', 'timeout: 2s\n      stage_timeout: 3s']],
    told: [
      '42:22: error: stage_timeout 3s is longer than timeout 2s, the whole check; write at most 2s, or a longer timeout',
    ],
  },
  {
    mistake: 'an audit time that is no cron expression',
    edits: [['*/30 * * * * *', 'every minute']],
    told: [
      '32:10: error: "every minute" is neither a duration nor a cron expression; write a duration like 30s, or five or six fields like "0 30 3 * * *" (second, minute, hour, day, month, weekday)',
    ],
  },
  {
    mistake: 'one mark for two services',
    edits: [second('192.0.2.101', '    mark: 21\n    servers: { t1: { address: 198.51.100.21 } }')],
    told: ['48:11: error: mark 21 is already the mark of service "ftp"; write a mark of its own for every service'],
  },
  {
    mistake: 'two services with all ports in common on one VIP',
    edits: [
      second(
        '192.0.2.100',
        '    mark: 22\n    passive_ports: 11000-13000\n    servers: { t1: { address: 198.51.100.21 } }',
      ),
    ],
    told: [
      '45:3: error: control_port 21 is taken by service "ftp" on the same VIP; write another port or VIP',
      `45:3: error: active mode's port 20 is taken by service "ftp" on the same VIP; write active: false in one of them`,
      '49:20: error: passive_ports 11000-13000 overlap 10000-12000 of service "ftp" on the same VIP; write ranges apart from each other',
    ],
  },
  {
    mistake: `control ports inside each other's passive range on one VIP`,
    edits: [
      second(
        '192.0.2.100',
        '    mark: 22\n    control_port: 10001\n    active: false\n    passive_ports: 5000-6000\n    servers: { t1: { address: 198.51.100.21 } }',
      ),
      ['control_port: 21', 'control_port: 5001'],
    ],
    told: [
      '49:19: error: control_port 10001 lies in the passive_ports of service "ftp" on the same VIP; write another port',
      '51:20: error: passive_ports hold control_port 5001 of service "ftp" on the same VIP; write another range',
    ],
  },
  {
    mistake: 'one server address behind two VIPs',
    edits: [second('192.0.2.101', '    mark: 22\n    servers: { t1: { address: 198.51.100.11 } }')],
    told: [
      '49:31: error: server 198.51.100.11 already serves VIP 192.0.2.100 in service "ftp", and can announce only one; give it a second address for VIP 192.0.2.101',
    ],
  },
];

test('a sound config has no mistakes and no warnings', t => {
  const parsed = parseConfig(SOUND);
  t.true(parsed.ok);
  t.deepEqual(told(SOUND), []);
});

for (const { mistake, edits, told: expected } of CASES) {
  test(`${mistake} is told with its place and what to write instead`, t => {
    const text = edited(edits);
    t.deepEqual(told(text), expected);
    t.is(parseConfig(text).ok, !expected.some(line => line.includes(': error: ')));
  });
}

test('all mistakes are told at once, those of single fields and those between fields', t => {
  const text = edited([
    ['priority: 110', 'prioritty: 110'],
    ['lease: 220ms', 'lease: 99ms'],
    ['a: 192.0.2.2/24', 'a: 192.0.2.2/33'],
    ['mark: 21', 'mark: 0'],
    ['servers_lan: servers', 'servers_lan: serverss'],
  ]);
  t.deepEqual(told(text), [
    '3:8: error: unknown key "prioritty"; did you mean "priority"?',
    '9:10: error: "192.0.2.2/33" is not an address with a prefix length; write one like 192.0.2.2/24',
    '27:10: error: lease 99ms is too short for interval 100ms; write at least 200ms (lease >= 2 x interval), or a shorter interval',
    '36:18: error: there is no LAN "serverss"; did you mean "servers"?',
    '37:11: error: 0 is too small; write a whole number from 1 to 2147483647',
  ]);
});

test('a rule says nothing about a field that is itself a mistake', t => {
  const text = edited([['lease: 220ms', 'lease: 220']]);
  t.deepEqual(told(text), ['27:10: error: 220 is a number; write a number and a unit: 50ms, 2s, 10m, 1h, 1d']);
  const vips = edited([['vips: [192.0.2.100, 192.0.2.101]', 'vips: [192.0.2.100, 192.0.2.1000]']]);
  t.deepEqual(told(vips), [
    '11:25: error: "192.0.2.1000" is not an address; write one like 192.0.2.100 or 2001:db8::100',
  ]);
});

test('a mistake in one lan does not hide the mistakes of another', t => {
  const text = edited([
    ['interface: eth0', 'interface: [eth0]'],
    ['gateways: [198.51.100.1]', 'gateways: [192.0.2.1]'],
  ]);
  t.deepEqual(
    told(text).map(line => line.split(':', 2).join(':')),
    ['7:16', '18:16'],
  );
});

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

function edited(edits: readonly Edit[]): string {
  return edits.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the sound config has no "${from}"`);
    return text.replace(from, () => to);
  }, SOUND);
}

function told(text: string): string[] {
  const parsed = parseConfig(text);
  const mistakes = parsed.ok ? parsed.warnings : parsed.mistakes;
  return mistakes.map(
    ({ line, column, severity, problem, remedy }) => `${line}:${column}: ${severity}: ${problem}; ${remedy}`,
  );
}

test('sync and its store have defaults without the whole section', t => {
  const parsed = parseConfig(SOUND.replace('sync:\n  port: 694\n', ''));
  t.true(parsed.ok);
  if (!parsed.ok) return;
  t.deepEqual(parsed.warnings, []);
  t.deepEqual(parsed.config.sync as unknown, {
    enabled: true,
    port: 694,
    store: { type: 'file', schedule: { type: 'every', everyMs: 60_000 }, connections: true, max_age: 1_800_000 },
  });
});

const QUIET_REDIS: readonly string[] = [
  'host: localhost',
  'host: 127.0.0.9',
  'host: "::1"',
  'host: 203.0.113.9, tls: {}',
  'sentinels: ["203.0.113.9:26379", "[2001:db8::9]:1"], master: m, tls: { ca_file: /ca }',
];
for (const fields of QUIET_REDIS) {
  test(`a Redis with ${fields}: nothing to say`, t => {
    const parsed = parseConfig(redis(fields).reduce((text, [from, to]) => text.replace(from, to), SOUND));
    t.deepEqual(parsed.ok ? parsed.warnings : parsed.mistakes, []);
  });
}
