// Mistakes about where real servers are and how their packets come and go.
import { type Edit, testCases } from './mistakes.ts';

const SERVERS = '      s1: { address: 198.51.100.11 }\n      s2: { address: 198.51.100.12 }\n';
const DIRECT: readonly Edit[] = [
  ['    servers_lan: servers\n', '    forwarding: dr\n'],
  [SERVERS, '      s1: { address: 192.0.2.111 }\n'],
];
const TUNNEL: readonly Edit[] = [
  ['    servers_lan: servers\n', '    forwarding: tun\n'],
  [SERVERS, '      s1: { address: 203.0.113.211 }\n'],
];
const sorry = (address: string): Edit => ['    mark: 21', `    mark: 21\n    sorry_server: { address: ${address} }`];
const second = (forwarding: string, address: string): Edit => [
  SERVERS,
  `${SERVERS}  more:\n    vip: 192.0.2.101\n    forwarding: ${forwarding}\n    mark: 22\n    servers: { s1: { address: ${address} } }\n`,
];

/** A second DR service for the server of the first one. */
const twoVips = (port: string, more: string, check: string): readonly Edit[] => [
  DIRECT[0] as Edit,
  ['      timeout: 8s\n', `      timeout: 8s\n${check}`],
  [
    SERVERS,
    `      s1: { address: 192.0.2.111 }\n  more:\n    vip: 192.0.2.101\n    forwarding: dr\n    mark: 22\n    control_port: ${port}\n${more}    servers: { s1: { address: 192.0.2.111 } }\n`,
  ],
];

testCases([
  { mistake: 'DR on the LAN of the VIP: none', edits: DIRECT, told: [] },
  {
    mistake: 'DR on another LAN: none',
    edits: [['    servers_lan: servers\n', '    servers_lan: servers\n    forwarding: dr\n']],
    told: [],
  },
  { mistake: 'TUN to anywhere: none', edits: TUNNEL, told: [] },
  {
    mistake: 'NAT without the LAN of the servers',
    edits: [['    servers_lan: servers\n', '']],
    told: [
      '34:3: error: service "ftp" forwards by nat and has no servers_lan; add the LAN that its real servers are on',
    ],
  },
  {
    mistake: 'DR to a server that is not on-link',
    edits: [
      ['    servers_lan: servers\n', '    forwarding: dr\n'],
      [SERVERS, '      s1: { address: 198.51.100.11 }\n'],
    ],
    told: [
      '43:22: error: server "s1" (198.51.100.11) is in no network of LAN "client" (192.0.2.2/24, 192.0.2.3/24); write an address inside it, or another servers_lan, or forwarding: tun',
    ],
  },
  {
    mistake: 'a LAN for tunnelled servers',
    edits: [['    servers_lan: servers\n', '    servers_lan: servers\n    forwarding: tun\n']],
    told: ['36:18: error: with tun the real servers may be anywhere, and servers_lan says nothing; delete it'],
  },
  {
    mistake: 'a router as a real server of DR',
    edits: [DIRECT[0] as Edit, [SERVERS, '      s1: { address: 192.0.2.3 }\n']],
    told: [
      '43:22: error: server "s1" is router "b" itself: as a real server of dr it would keep the VIP all the time, and a router that has lost the VIP must not have it; put the server on another machine',
    ],
  },
  {
    mistake: 'one server in a NAT and in a TUN service',
    edits: [second('tun', '198.51.100.11')],
    told: [
      '49:31: error: server 198.51.100.11 is in service "ftp" with nat, whose answers go through the pair, and here with tun, whose answers must not: its default route can be only one of them; forward both services alike, or give the server two addresses and a route for each',
    ],
  },
  {
    mistake: 'one server of two DR services with two VIPs, whose checks ask for PASV',
    edits: twoVips('21', '', ''),
    told: [
      '49:31: error: server 192.0.2.111 serves VIP 192.0.2.100 in service "ftp" on the same control port, and its PASV can name only one address to the checks; write check: { data: epsv } in both, or give it another control_port here',
    ],
  },
  {
    mistake: 'one server of two DR services with two VIPs, one of them behind a 1:1 NAT',
    edits: twoVips('21', '    announce: 203.0.113.77\n    check: { data: epsv }\n', '      data: epsv\n'),
    told: [
      '52:31: error: server 192.0.2.111 serves VIP 192.0.2.100 in service "ftp" on the same control port, and its PASV can name only one address to the checks; give it another control_port here, or delete announce and write check: { data: epsv } in both',
    ],
  },
  {
    mistake: 'one server of two DR services with two VIPs, checked by EPSV: none',
    edits: twoVips('21', '    check: { data: epsv }\n', '      data: epsv\n'),
    told: [],
  },
  {
    mistake: 'one server of two DR services with two VIPs, on two ports: none',
    edits: twoVips('2121', '    active_port: 2120\n', ''),
    told: [],
  },
  {
    mistake: 'a router as a real server of NAT',
    edits: [[SERVERS, '      s1: { address: 198.51.100.3 }\n']],
    told: [
      '43:22: error: server "s1" is router "b" itself: when the other one is active, its answers leave past the pair, and its clients get nothing; put the server on another machine',
    ],
  },
  {
    mistake: 'an IPv6 server of an IPv4 VIP in a tunnel',
    edits: [TUNNEL[0] as Edit, [SERVERS, '      s1: { address: "2001:db8::11" }\n']],
    told: [
      '43:22: error: server "s1" is IPv6, the VIP 192.0.2.100 is IPv4: IPVS mixes families by tunnel only, and not while its sync runs; write an IPv4 address',
    ],
  },
  {
    mistake: 'a sorry server that DR cannot give packets to',
    edits: [...DIRECT, sorry('198.51.100.9')],
    told: [
      '38:30: error: the sorry server 198.51.100.9 is in no network of LAN "client"; write an address inside it: with dr it gets its packets there',
    ],
  },
  { mistake: 'a sorry server by a tunnel, anywhere: none', edits: [...TUNNEL, sorry('203.0.113.9')], told: [] },
  {
    mistake: 'a router as the sorry server of DR',
    edits: [...DIRECT, sorry('192.0.2.3')],
    told: [
      '38:30: error: the sorry server is router "b" itself: as a real server of dr it would keep the VIP all the time, and a router that has lost the VIP must not have it; put the server on another machine',
    ],
  },
  {
    mistake: 'the sorry server of a NAT service as a real server of a TUN one',
    edits: [sorry('198.51.100.99'), second('tun', '198.51.100.99')],
    told: [
      '50:31: error: server 198.51.100.99 is in service "ftp" with nat, whose answers go through the pair, and here with tun, whose answers must not: its default route can be only one of them; forward both services alike, or give the server two addresses and a route for each',
    ],
  },
  {
    mistake: "ipvsadm's word for DR",
    edits: [['    servers_lan: servers\n', '    servers_lan: servers\n    forwarding: gate\n']],
    told: ['37:17: error: "gate" is not a choice for "forwarding"; did you mean "dr"? (nat, dr or tun)'],
  },
  {
    mistake: "keepalived's spelling of a method",
    edits: [['    servers_lan: servers\n', '    servers_lan: servers\n    forwarding: TUN\n']],
    told: ['37:17: error: "TUN" is not a choice for "forwarding"; did you mean "tun"? (nat, dr or tun)'],
  },
  {
    mistake: 'a link-local server by a tunnel',
    edits: [TUNNEL[0] as Edit, [SERVERS, '      s1: { address: "fe80::7" }\n']],
    told: [
      '43:22: error: server "s1" is IPv6, the VIP 192.0.2.100 is IPv4: IPVS mixes families by tunnel only, and not while its sync runs; write an IPv4 address',
      '43:22: error: server "s1" has the link-local address fe80::7, which IPVS refuses; write its other address',
    ],
  },
]);
