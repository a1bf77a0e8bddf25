// Rules about where real servers are and how their packets come and go: NAT, DR, TUN. Pure;
// sources: docs/internals/director.md, net/netfilter/ipvs/ip_vs_ctl.c and ip_vs_xmit.c.
import { type Address, addressOf, type Cidr, contains, familyOf, isLinkLocal, prefixOf } from '../../units/address.ts';
import { announcedAddress, sharePort } from '../ftp-ports.ts';
import { ownAddresses } from '../node.ts';
import type { Config, FtpServiceConfig, ServiceConfig } from '../schema.ts';
import { serversLanOf } from '../servers-lan.ts';
import { error, type Finding, type Path, type Rule, unknownName, warning } from './finding.ts';
import { ftpServicesOf, servicesOf } from './services-of.ts';

type Named = readonly [name: string, service: ServiceConfig];
type NamedFtp = readonly [name: string, service: FtpServiceConfig];

/** A rule about each service of some forwarding methods. */
function ofEach(
  says: string,
  methods: readonly ServiceConfig['forwarding'][],
  check: (named: Named, config: Config) => Finding[],
): Rule {
  const concerned = (config: Config) => servicesOf(config).filter(([, { forwarding }]) => methods.includes(forwarding));
  return { says, check: config => concerned(config).flatMap(named => check(named, config)) };
}

export const FORWARDING_RULES: readonly Rule[] = [
  ofEach('Every real server is of the family of the VIP.', ['nat', 'dr', 'tun'], oneFamily),
  ofEach('No real server or sorry server has a link-local address.', ['nat', 'dr', 'tun'], noLinkLocal),
  ofEach(
    'With `forwarding: nat` or `dr`, `servers_lan` is a LAN, and every real server is inside one of its networks; with `dr` it may be left out for the LAN of the VIP, with `tun` it is left out.',
    ['nat', 'dr', 'tun'],
    serversOnLan,
  ),
  ofEach('With `forwarding: nat` the LAN `servers_lan` has a gateway of the family of the VIP.', ['nat'], natGateway),
  ofEach('Warning: VIP and real servers in one network with `forwarding: nat`.', ['nat'], oneLan),
  ofEach('No router of the pair is a real server.', ['nat', 'dr', 'tun'], notARouter),
  {
    says: 'No real server is in a service with `forwarding: nat` and in one with `dr` or `tun`.',
    check: config => oneDefaultRoute(servicesOf(config)),
  },
  {
    says: 'With `forwarding: nat` the address of a real server of FTP serves one IPv4 VIP only.',
    check: config => oneVipPerServer(ftpServicesOf(config)),
  },
  {
    says: 'With `forwarding: dr` or `tun` a control port of a real server serves several IPv4 VIPs only without `announce`, and with checks that need no PASV (`check.data: epsv`, or an earlier `until`).',
    check: config => oneNamePerPort(ftpServicesOf(config)),
  },
];

const at = (name: string, ...rest: Path): Path => ['services', name, ...rest];

function oneFamily([name, { vip, servers }]: Named): Finding[] {
  return Object.entries(servers)
    .filter(([, { address }]) => familyOf(address) !== familyOf(vip))
    .map(([server, { address }]) => {
      const problem = `server "${server}" is IPv${familyOf(address)}, the VIP ${vip} is IPv${familyOf(vip)}: IPVS mixes families by tunnel only, and not while its sync runs`;
      const path = at(name, 'servers', server, 'address');
      return error(path, problem, `write an IPv${familyOf(vip)} address`, [at(name, 'vip')]);
    });
}

interface Machine {
  readonly what: string;
  readonly address: Address;
  readonly path: Path;
}

/** All that packets of clients are given to. */
function machinesOf(name: string, { servers, sorry_server: sorry }: ServiceConfig): Machine[] {
  const real = Object.entries(servers).map(([server, { address }]) => ({
    what: `server "${server}"`,
    address,
    path: at(name, 'servers', server, 'address'),
  }));
  if (sorry === undefined) return real;
  return [...real, { what: 'the sorry server', address: sorry.address, path: at(name, 'sorry_server', 'address') }];
}

/** IPVS refuses them (ip_vs_add_dest): such an address says nothing without its interface. */
function noLinkLocal([name, service]: Named): Finding[] {
  return machinesOf(name, service)
    .filter(({ address }) => isLinkLocal(address))
    .map(({ what, address, path }) =>
      error(path, `${what} has the link-local address ${address}, which IPVS refuses`, 'write its other address'),
    );
}

function networksOf(config: Config, lan: string): Cidr[] {
  const spec = config.lans[lan];
  return spec === undefined ? [] : Object.keys(config.routers).flatMap(router => ownAddresses(spec, router));
}

function serversOnLan([name, service]: Named, config: Config): Finding[] {
  const { forwarding, servers_lan: said, vip } = service;
  const path = at(name, 'servers_lan');
  const basis = [at(name, 'forwarding')];
  if (said !== undefined && config.lans[said] === undefined)
    return [unknownName(path, 'LAN', said, Object.keys(config.lans), ['lans'])];
  if (forwarding === 'tun') {
    if (said === undefined) return [];
    const problem = 'with tun the real servers may be anywhere, and servers_lan says nothing';
    return [error(path, problem, 'delete it', basis)];
  }
  const lan = serversLanOf(config, service);
  if (lan === undefined) {
    // A VIP of no LAN is told by a rule of its own.
    if (forwarding === 'dr') return [];
    const problem = `service "${name}" forwards by nat and has no servers_lan`;
    return [error(path, problem, 'add the LAN that its real servers are on', basis)];
  }
  const networks = networksOf(config, lan);
  if (networks.length === 0) return [];
  const known = [...new Set(networks.map(own => `${addressOf(own)}/${prefixOf(own)}`))].join(', ');
  const elsewhere = forwarding === 'dr' ? ', or forwarding: tun' : '';
  return Object.entries(service.servers)
    .filter(([, { address }]) => familyOf(address) === familyOf(vip) && !networks.some(own => contains(own, address)))
    .map(([server, { address }]) => {
      const problem = `server "${server}" (${address}) is in no network of LAN "${lan}" (${known})`;
      const remedy = `write an address inside it, or another servers_lan${elsewhere}`;
      const rests: Path[] = [path, ['lans', lan, 'addresses'], at(name, 'vip'), ...basis];
      return error(at(name, 'servers', server, 'address'), problem, remedy, rests);
    });
}

/**
 * NAT needs the servers' answers to come back through the pair, so their default gateway must float
 * with the VIP.
 */
function natGateway([name, { servers_lan: serversLan = '', vip }]: Named, config: Config): Finding[] {
  const lan = config.lans[serversLan];
  const family = familyOf(vip);
  if (!lan || lan.gateways.some(gateway => familyOf(gateway) === family)) return [];
  const problem = `forwarding is nat, but LAN "${serversLan}" has no IPv${family} gateway that floats with the VIP`;
  const remedy = `add one to lans.${serversLan}.gateways, and make it the servers' default gateway`;
  const basis: Path[] = [['lans', serversLan, 'gateways'], at(name, 'vip'), at(name, 'forwarding')];
  return [error(at(name, 'servers_lan'), problem, remedy, basis)];
}

/**
 * A client in the servers' own network is answered straight away, from the wrong address, past the
 * pair.
 */
function oneLan([name, { servers_lan: serversLan = '', vip }]: Named, config: Config): Finding[] {
  if (!networksOf(config, serversLan).some(own => contains(own, vip))) return [];
  const problem = `VIP ${vip} and the real servers are in one network: with nat their answers to clients of that network bypass the pair, and those clients get nothing`;
  const remedy = `put the real servers into a network of their own, or serve only clients that come by a gateway which routes back through the pair, or write forwarding: dr`;
  const basis: Path[] = [at(name, 'servers_lan'), ['lans', serversLan, 'addresses'], at(name, 'forwarding')];
  return [warning(at(name, 'vip'), problem, remedy, basis)];
}

/**
 * DR and TUN: who keeps a VIP on lo answers for it also while he must not. NAT: the default route
 * of a router is not the pair.
 */
function notARouter([name, service]: Named, config: Config): Finding[] {
  const owners = new Map<Address, { readonly router: string; readonly path: Path }>();
  for (const [lan, spec] of Object.entries(config.lans)) {
    for (const router of Object.keys(spec.addresses)) {
      const path: Path = ['lans', lan, 'addresses', router];
      for (const own of ownAddresses(spec, router)) owners.set(addressOf(own), { router, path });
    }
  }
  return machinesOf(name, service).flatMap(({ what, address, path }) => {
    const owner = owners.get(address);
    if (owner === undefined) return [];
    const why =
      service.forwarding === 'nat'
        ? 'when the other one is active, its answers leave past the pair, and its clients get nothing'
        : `as a real server of ${service.forwarding} it would keep the VIP all the time, and a router that has lost the VIP must not have it`;
    const problem = `${what} is router "${owner.router}" itself: ${why}`;
    return [error(path, problem, 'put the server on another machine', [owner.path, at(name, 'forwarding')])];
  });
}

/** Under NAT a server's default route is the pair, under DR and TUN it must not be. */
function oneDefaultRoute(services: readonly Named[]): Finding[] {
  const natted = new Map<Address, Machine & { readonly service: string }>();
  for (const [name, service] of services)
    if (service.forwarding === 'nat')
      for (const machine of machinesOf(name, service)) natted.set(machine.address, { ...machine, service: name });
  return services
    .filter(([, { forwarding }]) => forwarding !== 'nat')
    .flatMap(([name, service]) =>
      machinesOf(name, service).flatMap(({ address, path }) => {
        const other = natted.get(address);
        if (other === undefined) return [];
        const problem = `server ${address} is in service "${other.service}" with nat, whose answers go through the pair, and here with ${service.forwarding}, whose answers must not: its default route can be only one of them`;
        const remedy = `forward both services alike, or give the server two addresses and a route for each`;
        const basis: Path[] = [other.path, at(other.service, 'forwarding'), at(name, 'forwarding')];
        return [error(path, problem, remedy, basis)];
      }),
    );
}

/**
 * The source NAT of active mode and the servers' pasv_address have one value per server address.
 */
function oneVipPerServer(services: readonly NamedFtp[]): Finding[] {
  const seen = new Map<Address, { service: string; server: string; vip: Address }>();
  const findings: Finding[] = [];
  for (const [name, service] of services.filter(([, { forwarding }]) => forwarding === 'nat')) {
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
 * A nanny comes to a server's own address, whatever the VIP, and PASV's answer there names one
 * address. Clients come to the VIPs: each is told the one that he came to, by a daemon that has
 * nothing to announce.
 */
function oneNamePerPort(services: readonly NamedFtp[]): Finding[] {
  const direct = services.filter(([, { forwarding, vip }]) => forwarding !== 'nat' && familyOf(vip) === 4);
  return direct.flatMap(([name, service], index) =>
    Object.entries(service.servers).flatMap(([server, { address }]): Finding[] => {
      const other = direct.slice(0, index).find(([, first]) => namesTwice(first, service, address));
      if (other === undefined) return [];
      const [otherName, first] = other;
      const problem = `server ${address} serves VIP ${first.vip} in service "${otherName}" on the same control port, and its PASV can name only one address to the checks`;
      const ways = 'give it another control_port here';
      const remedy =
        announcesOther(first) || announcesOther(service)
          ? `${ways}, or delete announce and write check: { data: epsv } in both`
          : `write check: { data: epsv } in both, or ${ways}`;
      const basis: Path[] = [at(otherName, 'vip'), at(name, 'vip'), at(name, 'check'), at(otherName, 'check')];
      return [error(at(name, 'servers', server, 'address'), problem, remedy, basis)];
    }),
  );
}

function namesTwice(first: FtpServiceConfig, second: FtpServiceConfig, server: Address): boolean {
  if (!sharePort(first, second, server)) return false;
  return [first, second].some(service => checksByPasv(service) || announcesOther(service));
}

const announcesOther = (service: FtpServiceConfig): boolean => announcedAddress(service) !== service.vip;

function checksByPasv({ check: { until, data } }: FtpServiceConfig): boolean {
  return until === 'transfer' && data === 'pasv';
}
