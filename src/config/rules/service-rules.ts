// Rules about services and real servers: VIPs, marks, ports, server addresses. Pure; sources:
// docs/internals/director.md, and the kernel's default net.ipv4.ip_local_port_range.
import { type Address, familyOf } from '../../units/address.ts';
import { formatDuration } from '../../units/duration.ts';
import type { PortRange } from '../fields.ts';
import { activePortOf, activePortsOf } from '../ftp-ports.ts';
import type { Config, FtpServiceConfig, ServiceConfig } from '../schema.ts';
import { openedPorts, rangeText, transportOf } from '../service-ports.ts';
import { choice, error, type Finding, type Path, type Rule, scheduleProblem, warning } from './finding.ts';
import { vipLists } from './network-rules.ts';
import { ftpServicesOf, SERVICES_MAX, servicesOf } from './services-of.ts';

/** Ports that Linux uses for its own outgoing connections, unless told otherwise. */
const EPHEMERAL = { first: 32_768, last: 60_999 } as const;
type Named = readonly [name: string, service: ServiceConfig];
type NamedFtp = readonly [name: string, service: FtpServiceConfig];

/** A rule about each service. */
function ofEach(says: string, check: (named: Named, config: Config) => Finding[]): Rule {
  return { says, check: config => servicesOf(config).flatMap(named => check(named, config)) };
}

/** A rule about each FTP service. */
function ofEachFtp(says: string, check: (named: NamedFtp) => Finding[]): Rule {
  return { says, check: config => ftpServicesOf(config).flatMap(named => check(named)) };
}

/** A rule about services beside each other. */
function ofAll(says: string, check: (services: readonly Named[]) => Finding[]): Rule {
  return { says, check: config => check(servicesOf(config)) };
}

export const SERVICE_RULES: readonly Rule[] = [
  { says: `There are at most ${SERVICES_MAX} services.`, check: tooMany },
  ofEach('The `vip` of a service is one of the `vips` of a LAN.', vipOfLan),
  ofEachFtp(
    '`control_port` is outside `passive_ports`, and none of them is an active port with `active: true`. Warning: `passive_ports` overlaps 32768-60999.',
    ports,
  ),
  ofEachFtp(
    'With `active: true` every control port has an active port: 21 and 990 have 20 and 989, others need `active_port`: one for all, or as many as there are control ports, outside `passive_ports`.',
    activePorts,
  ),
  ofEachFtp('`announce` is of the family of the VIP, and PASV can name it: IPv4 only.', announceFamily),
  ofEach('A service has at least one real server, and no address twice.', serverList),
  ofEachFtp('Warning: a check user other than `anonymous` without `password_file`.', checkUser),
  ofAll('Every service has a `mark` of its own.', marksOnce),
  ofAll('Ports of services on one VIP do not overlap (active ports count with `active: true`).', portsOfOneVip),
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

function ports(named: NamedFtp): Finding[] {
  const [name, service] = named;
  const { control_port: control, passive_ports: passive } = service;
  const findings: Finding[] = [];
  const range = `${passive.first}-${passive.last}`;
  for (const port of control.filter(one => inRange(one, passive))) {
    const problem = `control_port ${port} lies inside passive_ports ${range}`;
    findings.push(error(at(name, 'control_port'), problem, 'write a port outside', [at(name, 'passive_ports')]));
  }
  for (const port of activePortsOf(service).filter(one => control.includes(one)))
    findings.push(dataPortAsControl(named, port));
  if (passive.first <= EPHEMERAL.last && passive.last >= EPHEMERAL.first) {
    const problem = `passive_ports ${range} overlaps ${EPHEMERAL.first}-${EPHEMERAL.last}, which Linux uses for outgoing connections`;
    findings.push(warning(at(name, 'passive_ports'), problem, 'write a range below, like 10000-20000'));
  }
  return findings;
}

function dataPortAsControl([name, { active_port: given }]: NamedFtp, port: number): Finding {
  const basis = [at(name, 'active')];
  if (given === undefined) {
    const problem = `control_port ${port} is the data port of active mode`;
    return error(at(name, 'control_port'), problem, 'write another port, or active: false', basis);
  }
  const problem = `active_port ${port} is a control_port of the service`;
  const remedy = 'write another port (servers use 20 for 21 and 989 for 990), or active: false';
  return error(at(name, 'active_port'), problem, remedy, [at(name, 'control_port'), ...basis]);
}

function inRange(port: number, { first, last }: PortRange): boolean {
  return port >= first && port <= last;
}

function activePorts([name, service]: NamedFtp): Finding[] {
  const { control_port: control, active_port: given, passive_ports: passive, active } = service;
  if (!active) return [];
  const basis = [at(name, 'control_port'), at(name, 'active')];
  if (given === undefined) {
    const unknown = control.filter(port => activePortOf(service, port) === undefined && !inRange(port, passive));
    if (unknown.length === 0) return [];
    const problem = `nothing tells which port active mode's data come from where the control port is ${unknown.join(', ')}`;
    const remedy =
      'write active_port: 20 (vsftpd, pure-ftpd), or the port below the control port (proftpd), or active: false';
    return [error(at(name, 'control_port'), problem, remedy, [at(name, 'active_port'), at(name, 'active')])];
  }
  if (given.length > 1 && given.length !== control.length) {
    const problem = `${given.length} active ports for ${control.length} control ${control.length === 1 ? 'port' : 'ports'}`;
    return [error(at(name, 'active_port'), problem, 'write one for all, or one for each in their order', basis)];
  }
  return given
    .filter(port => inRange(port, passive))
    .map(port => {
      const problem = `active_port ${port} lies inside passive_ports ${passive.first}-${passive.last}`;
      return error(at(name, 'active_port'), problem, 'write a port outside', [at(name, 'passive_ports')]);
    });
}

function announceFamily([name, { announce, vip }]: NamedFtp): Finding[] {
  if (announce === undefined) return [];
  const path = at(name, 'announce');
  if (familyOf(vip) === 6) {
    const problem = 'EPSV, which IPv6 needs, names no address: clients go to the one that they know';
    return [error(path, problem, 'leave announce out', [at(name, 'vip')])];
  }
  if (familyOf(announce) === 4) return [];
  return [error(path, `PASV cannot name ${announce}`, 'write an IPv4 address', [at(name, 'vip')])];
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

function checkUser([name, { check }]: NamedFtp): Finding[] {
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

/** Every pair of services on one VIP: their ports must be disjoint. */
function portsOfOneVip(services: readonly Named[]): Finding[] {
  return services.flatMap((second, index) =>
    services
      .slice(0, index)
      .filter(([, first]) => first.vip === second[1].vip && transportOf(first) === transportOf(second[1]))
      .flatMap(first => (isFtp(first) && isFtp(second) ? sharedPorts(first, second) : overlaps(first, second))),
  );
}

function isFtp(named: Named): named is NamedFtp {
  return named[1].kind === 'ftp';
}

/** Where one of two services is not FTP: all that is taken on the VIP. */
function overlaps([firstName, first]: Named, [name, second]: Named): Finding[] {
  const taken = takenPorts(first);
  const shared = takenPorts(second)
    .flatMap(one => taken.map(other => overlap(one, other)))
    .filter(both => both.first <= both.last)
    .sort((a, b) => a.first - b.first)
    .map(rangeText);
  if (shared.length === 0) return [];
  const field = second.kind === 'ftp' ? 'control_port' : 'ports';
  const problem = `port ${shared.join(', ')} of the VIP is taken by service "${firstName}", too`;
  const basis = [at(firstName), at(name, 'vip'), at(name)];
  return [error(at(name, field), problem, 'write another port or VIP', basis)];
}

function overlap(one: PortRange, other: PortRange): PortRange {
  return { first: Math.max(one.first, other.first), last: Math.min(one.last, other.last) };
}

function takenPorts(service: ServiceConfig): readonly PortRange[] {
  const active = service.kind === 'ftp' ? activePortsOf(service) : [];
  return [...openedPorts(service), ...active.map(port => ({ first: port, last: port }))];
}

const NOT_THIS_DATA_PORT = 'write another active_port, or active: false';

function sharedPorts([firstName, first]: NamedFtp, [name, second]: NamedFtp): Finding[] {
  const findings: Finding[] = [];
  const other = `service "${firstName}" on the same VIP`;
  const say = (field: string, problem: string, remedy: string): void => {
    const basis = [at(firstName), at(name, 'vip'), at(name, field)];
    findings.push(error(at(name, field), problem, remedy, basis));
  };
  for (const port of second.control_port) {
    if (first.control_port.includes(port))
      say('control_port', `control_port ${port} is taken by ${other}`, 'write another port or VIP');
    if (inRange(port, first.passive_ports))
      say('control_port', `control_port ${port} lies in the passive_ports of ${other}`, 'write another port');
  }
  const [a, b] = [first.passive_ports, second.passive_ports];
  for (const port of first.control_port.filter(one => inRange(one, b)))
    say('passive_ports', `passive_ports hold control_port ${port} of ${other}`, 'write another range');
  if (a.first <= b.last && b.first <= a.last) {
    const problem = `passive_ports ${b.first}-${b.last} overlap ${a.first}-${a.last} of ${other}`;
    say('passive_ports', problem, 'write ranges apart from each other');
  }
  const taken = activePortsOf(first);
  for (const port of activePortsOf(second)) {
    if (taken.includes(port))
      say('active', `active mode's port ${port} is taken by ${other}`, 'write active: false in one of them');
    if (first.control_port.includes(port))
      say('active_port', `active mode's port ${port} is a control_port of ${other}`, NOT_THIS_DATA_PORT);
    if (inRange(port, first.passive_ports))
      say('active_port', `active mode's port ${port} lies in the passive_ports of ${other}`, NOT_THIS_DATA_PORT);
  }
  for (const port of taken) {
    if (second.control_port.includes(port))
      say('control_port', `control_port ${port} is active mode's port of ${other}`, 'write another port');
    if (inRange(port, second.passive_ports))
      say('passive_ports', `passive_ports hold active mode's port ${port} of ${other}`, 'write another range');
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
