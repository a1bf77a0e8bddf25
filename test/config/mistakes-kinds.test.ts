// Mistakes about services that are not FTP.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { type Edit, SOUND, testCases } from './mistakes.ts';

/** SOUND with a second service of kind tcp, which begins at line 45. */
function web(...lines: readonly string[]): Edit {
  const after = '      s2: { address: 198.51.100.12 }\n';
  const service = [
    'vip: 192.0.2.100',
    'servers_lan: servers',
    'mark: 80',
    'servers: { w1: { address: 198.51.100.13 } }',
  ];
  return [after, `${after}  web:\n${[...lines, ...service].map(line => `    ${line}\n`).join('')}`];
}

testCases([
  { mistake: 'a service of ports of its own: nothing', edits: [web('kind: tcp', 'ports: [80, 443]')], told: [] },
  {
    mistake: 'a port of its own on the servers: nothing',
    edits: [web('kind: tcp', 'ports: 80', 'server_port: 8080', 'check: { port: 8080 }')],
    told: [],
  },
  {
    mistake: 'an unknown kind',
    edits: [web('kind: tcpp', 'ports: 80')],
    told: ['46:11: error: "tcpp" is not a choice for "kind"; did you mean "tcp"? (ftp, tcp or udp)'],
  },
  {
    mistake: 'ports without a kind',
    edits: [web('ports: 80'), ['control_port: 21', 'control_port: 2121\n    active: false']],
    told: [
      '46:3: error: passive_ports 10000-20000 overlap 10000-12000 of service "ftp" on the same VIP; write ranges apart from each other',
      '47:5: error: unknown key "ports": a service without kind is FTP; write kind: tcp or udp, or delete it',
    ],
  },
  {
    mistake: 'a service of ports without any',
    edits: [web('kind: tcp')],
    told: [
      '45:3: error: "ports" is missing; add ports: what clients come to on the VIP: a port, a range, or a list of both, such as [80, 443] for HTTP with HTTPS; all of a client goes to one server with persistence',
    ],
  },
  {
    mistake: 'a range that ends before it begins',
    edits: [web('kind: tcp', 'ports: [80, 9000-8000]')],
    told: [
      '47:12: error: "9000-8000" is no port or range; write a port, a range like 8000-8100, or a list of up to 16',
    ],
  },
  {
    mistake: 'a port that another service has',
    edits: [web('kind: tcp', 'ports: [20-22, 11000-11005]')],
    told: [
      '47:12: error: port 20, 21, 11000-11005 of the VIP is taken by service "ftp", too; write another port or VIP',
    ],
  },
  {
    mistake: 'a check by UDP with what only TCP has',
    edits: [web('kind: udp', 'ports: 53', 'check: { type: send_expect, send: x, tls: implicit }')],
    told: ['48:47: error: check.tls is not there over UDP; delete it'],
  },
  {
    mistake: 'a UDP service on a port that another one has over TCP: nothing',
    edits: [web('kind: udp', 'ports: 21', 'sync: connections')],
    told: [],
  },
  {
    mistake: 'another port on the servers by DR',
    edits: [web('kind: tcp', 'ports: 80', 'server_port: 8080', 'forwarding: dr')],
    told: [
      '48:18: error: server_port 8080 needs nat: with dr the real servers are given the packets as the client sent them; let the servers listen on the port of the VIP, and delete it',
    ],
  },
  {
    mistake: 'another port on the servers for several',
    edits: [web('kind: tcp', 'ports: [80, 443]', 'server_port: 8080')],
    told: ['48:18: error: server_port 8080 is one port, and clients come to 80, 443; write a service for each'],
  },
  {
    mistake: 'another port on the servers with persistence',
    edits: [web('kind: tcp', 'ports: 80', 'server_port: 8080', 'persistence: 5m')],
    told: [
      `48:18: error: server_port 8080 is not used with persistence: IPVS then keeps the client's port; write persistence: off, or let the servers listen on the port of the VIP`,
    ],
  },
  {
    mistake: 'a check of a port that clients do not come to',
    edits: [web('kind: tcp', 'ports: [80, 443]', 'check: { port: 22 }')],
    told: [
      '48:20: error: check.port 22 is no port of the service on its real servers, so its clients do not go there; write one of 80, 443, or a check of type http or send_expect',
    ],
  },
  {
    mistake: 'a check of another type',
    edits: [web('kind: tcp', 'ports: 80', 'check: { type: conect }')],
    told: [
      '48:20: error: "conect" is not a choice for "type"; did you mean "connect"? (connect, banner, send_expect, http, tls or icmp)',
    ],
  },
  {
    mistake: 'a prefix of a persistence that is off',
    edits: [web('kind: tcp', 'ports: 80', 'persistence_prefix: 24')],
    told: ['48:25: warning: persistence_prefix says nothing with persistence: off; delete it, or write a persistence'],
  },
]);

test('without a word a service is FTP, and of others neither persistence nor check need any', t => {
  const [from, to] = web('kind: tcp', 'ports: [443, 80, "8000-8010", 8011]');
  const parsed = parseConfig(SOUND.replace(from, to));
  if (!parsed.ok) return t.fail(JSON.stringify(parsed.mistakes));
  const { ftp, web: other } = parsed.config.services;
  t.is(ftp?.kind, 'ftp');
  if (other?.kind !== 'tcp') return t.fail('it is of kind tcp');
  t.deepEqual(other.ports, [
    { first: 80, last: 80 },
    { first: 443, last: 443 },
    { first: 8_000, last: 8_011 },
  ]);
  t.is(other.persistence, undefined);
  t.is(other.check.type, 'connect');
});
