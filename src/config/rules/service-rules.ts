// Rules about services and real servers: VIPs, marks, ports, server addresses. Pure; sources:
// docs/internals/director.md, and the kernel's default net.ipv4.ip_local_port_range.
import { type Address, addressOf, contains, familyOf, prefixOf } from '../../units/address.ts';
import { formatDuration } from '../../units/duration.ts';
import { ownAddresses } from '../node.ts';
import type { Config, ServiceConfig } from '../schema.ts';
import { choice, error, type Finding, type Path, type Rule, scheduleProblem, unknownName, warning } from './finding.ts';
import { vipLists } from './network-rules.ts';

/** Ports that Linux uses for its own outgoing connections, unless told otherwise. */
const EPHEMERAL = { first: 32_768, last: 60_999 } as const;
/** Bounds the rules that compare services with each other. */
const SERVICES_MAX = 256;
/** Source port of active mode's data connections, RFC 959 section 3.2. */
const FTP_DATA_PORT = 20;

type Named = readonly [name: string, service: ServiceConfig];

/** A rule about each service. */
function ofEach(says: string, check: (named: Named, config: Config) => Finding[]): Rule {
  return { says, check: config => servicesOf(config).flatMap(named => check(named, config)) };
}

/** A rule about services beside each other. */
function ofAll(says: string, check: (services: readonly Named[]) => Finding[]): Rule {
  return { says, check: config => check(servicesOf(config)) };
}

/** All services; none when there are too many, which is told by a rule of its own. */
function servicesOf(config: Config): Named[] {
  const services = Object.entries(config.services);
  return services.length > SERVICES_MAX ? [] : services;
}

export const SERVICE_RULES: readonly Rule[] = [
  { says: `There are at most ${SERVICES_MAX} services.`, check: tooMany },
  ofEach('The `vip` of a service is one of the `vips` of a LAN.', vipOfLan),
  ofEach(
    '`control_port` is outside `passive_ports`, and is not 20 with `active: true`. Warning: `passive_ports` overlaps 32768-60999.',
    ports,
  ),
  ofEach('A service has at least one real server, and no address twice.', serverList),
  ofEach(
    '`servers_lan` is a LAN, and every real server is inside one of its networks and of the family of the VIP.',
    serversOnLan,
  ),
  ofEach('The LAN `servers_lan` has a gateway of the family of the VIP.', natGateway),
  ofEach('Warning: VIP and real servers in one network.', oneLan),
  ofEach('Warning: a check user other than `anonymous` without `password_file`.', checkUser),
  ofAll('Every service has a `mark` of its own.', marksOnce),
  ofAll('Ports of services on one VIP do not overlap (port 20 counts with `active: true`).', portsOfOneVip),
  ofAll('The address of a real server serves one IPv4 VIP only.', oneVipPerServer),
  {
    says: 'Warning: `ipvs.drain` below `ipvs.tcp_timeout` may cut transfers of a server that leaves.',
    check: config => (tooMany(config).length > 0 ? [] : drainTime(config)),
  },
  {
    says: '`ipvs.audit` is a duration or a cron expression.',
    check: config => (tooMany(config).length > 0 ? [] : scheduleProblem(['ipvs', 'audit'], config.ipvs.audit)),
  },
];

function tooMany(config: Config): Finding[] {
  const { length } = Object.keys(config.services);
  if (length <= SERVICES_MAX) return [];
  return [error(['services'], `${length} services, more than a pair can hold`, `write at most ${SERVICES_MAX}`)];
}

const at = (name: string, ...rest: Path): Path => ['services', name, ...rest];

function vipOfLan([name, { vip }]: Named, config: Config): Finding[] {
  const vips = Object.values(config.lans).flatMap(lan => lan.vips);
  if (vips.includes(vip)) return [];
  const remedy =
    vips.length > 0 ? `write ${choice(vips)}, or add it to the vips of a LAN` : 'add it to the vips of a LAN';
  return [error(at(name, 'vip'), `${vip} is not a VIP of any LAN`, remedy, vipLists(config))];
}

function ports([name, service]: Named): Finding[] {
  const { control_port: control, passive_ports: passive, active } = service;
  const findings: Finding[] = [];
  const range = `${passive.first}-${passive.last}`;
  if (control >= passive.first && control <= passive.last) {
    const problem = `control_port ${control} lies inside passive_ports ${range}`;
    findings.push(error(at(name, 'control_port'), problem, 'write a port outside', [at(name, 'passive_ports')]));
  }
  if (active && control === FTP_DATA_PORT) {
    const problem = `control_port ${FTP_DATA_PORT} is the data port of active mode`;
    findings.push(error(at(name, 'control_port'), problem, 'write 21, or active: false', [at(name, 'active')]));
  }
  if (passive.first <= EPHEMERAL.last && passive.last >= EPHEMERAL.first) {
    const problem = `passive_ports ${range} overlaps ${EPHEMERAL.first}-${EPHEMERAL.last}, which Linux uses for outgoing connections`;
    findings.push(warning(at(name, 'passive_ports'), problem, 'write a range below, like 10000-20000'));
  }
  return findings;
}

/** At least one server, and no address twice in a service. */
function serverList([name, { servers }]: Named): Finding[] {
  const entries = Object.entries(servers);
  if (entries.length === 0) {
    return [error(at(name, 'servers'), `service "${name}" has no real server`, 'add at least one, by name')];
  }
  const seen = new Map<Address, string>();
  return entries.flatMap(([server, { address }]) => {
    const other = seen.get(address);
    seen.set(address, server);
    if (other === undefined) return [];
    const problem = `server "${server}" has ${address}, which is the address of "${other}"`;
    const basis = [at(name, 'servers', other)];
    return [error(at(name, 'servers', server, 'address'), problem, 'write every server once', basis)];
  });
}

function serversOnLan([name, service]: Named, config: Config): Finding[] {
  const lan = config.lans[service.servers_lan];
  const lanPath = at(name, 'servers_lan');
  if (!lan) return [unknownName(lanPath, 'LAN', service.servers_lan, Object.keys(config.lans), ['lans'])];
  const networks = Object.keys(config.routers).flatMap(router => ownAddresses(lan, router));
  const addresses: Path = ['lans', service.servers_lan, 'addresses'];
  return Object.entries(service.servers).flatMap(([server, { address }]) => {
    const path = at(name, 'servers', server, 'address');
    if (familyOf(address) !== familyOf(service.vip)) {
      const problem = `server "${server}" is IPv${familyOf(address)}, the VIP ${service.vip} is IPv${familyOf(service.vip)}`;
      return [error(path, problem, `write an IPv${familyOf(service.vip)} address`, [at(name, 'vip')])];
    }
    if (networks.length === 0 || networks.some(own => contains(own, address))) return [];
    const known = [...new Set(networks.map(own => `${addressOf(own)}/${prefixOf(own)}`))].join(', ');
    const problem = `server "${server}" (${address}) is in no network of LAN "${service.servers_lan}" (${known})`;
    return [error(path, problem, 'write an address inside it, or another servers_lan', [lanPath, addresses])];
  });
}

/**
 * NAT needs the servers' answers to come back through the pair, so their default gateway must float
 * with the VIP.
 */
function natGateway([name, service]: Named, config: Config): Finding[] {
  const lan = config.lans[service.servers_lan];
  const family = familyOf(service.vip);
  if (!lan || lan.gateways.some(gateway => familyOf(gateway) === family)) return [];
  const problem = `forwarding is nat, but LAN "${service.servers_lan}" has no IPv${family} gateway that floats with the VIP`;
  const remedy = `add one to lans.${service.servers_lan}.gateways, and make it the servers' default gateway`;
  const basis: Path[] = [['lans', service.servers_lan, 'gateways'], at(name, 'vip')];
  return [error(at(name, 'servers_lan'), problem, remedy, basis)];
}

/**
 * A client in the servers' own network is answered straight away, from the wrong address, past the
 * pair.
 */
function oneLan([name, service]: Named, config: Config): Finding[] {
  const { servers_lan: serversLan, vip } = service;
  const lan = config.lans[serversLan];
  if (!lan) return [];
  const networks = Object.keys(config.routers).flatMap(router => ownAddresses(lan, router));
  if (!networks.some(own => contains(own, vip))) return [];
  const problem = `VIP ${vip} and the real servers are in one network: with nat their answers to clients of that network bypass the pair, and those clients get nothing`;
  const remedy = `put the real servers into a network of their own, or serve only clients that come by a gateway which routes back through the pair`;
  const basis: Path[] = [at(name, 'servers_lan'), ['lans', serversLan, 'addresses']];
  return [warning(at(name, 'vip'), problem, remedy, basis)];
}

function checkUser([name, { check }]: Named): Finding[] {
  if (check.user === 'anonymous' || check.password_file !== undefined) return [];
  const problem = `the check logs in as "${check.user}" without a password_file`;
  const remedy = 'add password_file: FILE (root-only), or write user: anonymous';
  return [warning(at(name, 'check', 'user'), problem, remedy, [at(name, 'check', 'password_file')])];
}

function marksOnce(services: readonly Named[]): Finding[] {
  const seen = new Map<number, string>();
  return services.flatMap(([name, { mark }]) => {
    const other = seen.get(mark);
    seen.set(mark, name);
    if (other === undefined) return [];
    const problem = `mark ${mark} is already the mark of service "${other}"`;
    return [error(at(name, 'mark'), problem, 'write a mark of its own for every service', [at(other, 'mark')])];
  });
}

/** Every pair of services on one VIP: their control, passive and active ports must be disjoint. */
function portsOfOneVip(services: readonly Named[]): Finding[] {
  return services.flatMap((second, index) =>
    services
      .slice(0, index)
      .filter(([, first]) => first.vip === second[1].vip)
      .flatMap(first => sharedPorts(first, second)),
  );
}

function sharedPorts([firstName, first]: Named, [name, second]: Named): Finding[] {
  const findings: Finding[] = [];
  const other = `service "${firstName}" on the same VIP`;
  const say = (field: string, problem: string, remedy: string): void => {
    const basis = [at(firstName), at(name, 'vip'), at(name, field)];
    findings.push(error(at(name, field), problem, remedy, basis));
  };
  const inside = (port: number, range: ServiceConfig['passive_ports']) => port >= range.first && port <= range.last;
  if (second.control_port === first.control_port) {
    say('control_port', `control_port ${second.control_port} is taken by ${other}`, 'write another port or VIP');
  }
  if (inside(second.control_port, first.passive_ports)) {
    say(
      'control_port',
      `control_port ${second.control_port} lies in the passive_ports of ${other}`,
      'write another port',
    );
  }
  const [a, b] = [first.passive_ports, second.passive_ports];
  if (inside(first.control_port, b)) {
    say('passive_ports', `passive_ports hold control_port ${first.control_port} of ${other}`, 'write another range');
  }
  if (a.first <= b.last && b.first <= a.last) {
    const problem = `passive_ports ${b.first}-${b.last} overlap ${a.first}-${a.last} of ${other}`;
    say('passive_ports', problem, 'write ranges apart from each other');
  }
  if (first.active && second.active) {
    say('active', `active mode's port ${FTP_DATA_PORT} is taken by ${other}`, 'write active: false in one of them');
  }
  return findings;
}

/** Port-20 source NAT and the servers' pasv_address have one value per server address. */
function oneVipPerServer(services: readonly Named[]): Finding[] {
  const seen = new Map<Address, { service: string; server: string; vip: Address }>();
  const findings: Finding[] = [];
  for (const [name, service] of services) {
    for (const [server, { address }] of Object.entries(service.servers)) {
      const other = seen.get(address);
      if (other === undefined) seen.set(address, { service: name, server, vip: service.vip });
      if (other === undefined || other.vip === service.vip || familyOf(service.vip) !== 4) continue;
      const problem = `server ${address} already serves VIP ${other.vip} in service "${other.service}", and can announce only one`;
      const remedy = `give it a second address for VIP ${service.vip}`;
      const basis = [at(other.service, 'vip'), at(other.service, 'servers', other.server), at(name, 'vip')];
      findings.push(error(at(name, 'servers', server, 'address'), problem, remedy, basis));
    }
  }
  return findings;
}

/**
 * The longest transfer is what tcp_timeout is set by; a server that drains should be let finish
 * one.
 */
function drainTime({ ipvs: { drain, tcp_timeout } }: Config): Finding[] {
  if (drain >= tcp_timeout) return [];
  const problem = `drain ${formatDuration(drain)} is shorter than tcp_timeout ${formatDuration(tcp_timeout)}: transfers of a server that leaves may be cut`;
  return [
    warning(['ipvs', 'drain'], problem, `write at least ${formatDuration(tcp_timeout)}`, [['ipvs', 'tcp_timeout']]),
  ];
}
