// Rules about routers, LANs, virtual addresses and heartbeat links. Pure.
import {
  type Address,
  addressOf,
  type Cidr,
  contains,
  familyOf,
  isLinkLocal,
  prefixOf,
  specialUse,
} from '../../units/address.ts';
import { lanId, VIRTUAL_LANS_MAX } from '../lan-id.ts';
import { interfaceOf, ownAddresses } from '../node.ts';
import type { Config, LanConfig } from '../schema.ts';
import { serversLanOf } from '../servers-lan.ts';
import { VIRTUAL_ADDRESSES_MAX } from '../virtual-addresses.ts';
import { error, type Finding, type Path, type Rule, unknownName, warning } from './finding.ts';

/** A rule about each LAN. */
function onEachLan(says: string, check: (config: Config, name: string, lan: LanConfig) => Finding[]): Rule {
  return {
    says,
    check: config => Object.entries(config.lans).flatMap(([name, lan]) => check(config, name, lan)),
  };
}

export const NETWORK_RULES: readonly Rule[] = [
  { says: 'A pair has exactly two routers.', check: twoRouters },
  onEachLan('Each router has an interface and an address on every LAN, and nobody else has.', routersOnLan),
  onEachLan('Each address of a router on a LAN is in a network in which the other router has one too.', sameNetworks),
  onEachLan(
    'Gateways lie in a network of both routers on their LAN. Warning: a VIP outside wants a route to that LAN (a routed /32).',
    virtualInside,
  ),
  onEachLan(
    'Targets lie in a network of their LAN and are not addresses of the pair. Warning: a LAN with VIPs has neither targets nor real servers.',
    targetsInside,
  ),
  { says: 'No two routers or LANs have the same own address.', check: ownAddressesOnce },
  {
    says: `A virtual address (VIP or gateway) is nowhere else in the file, and there are ${VIRTUAL_ADDRESSES_MAX} at most in all.`,
    check: virtualOnce,
  },
  {
    says: `At most ${VIRTUAL_LANS_MAX} LANs have virtual addresses, and the names of LANs differ in the short form that heartbeats carry.`,
    check: lansApart,
  },
  {
    says:
      'Heartbeat links are LANs, each named once, where both routers have addresses of one family. Warnings: only one LAN or link; ' +
      'no link on a LAN with VIPs; a LAN with VIPs that has neither a link nor two hosts that answer.',
    check: links,
  },
];

function twoRouters(config: Config): Finding[] {
  const names = Object.keys(config.routers);
  if (names.length === 2) return [];
  const found = names.length === 0 ? 'none' : `${names.length} (${names.slice(0, 8).join(', ')})`;
  return [error(['routers'], `a pair has exactly two routers, found ${found}`, 'name two, by their host names')];
}

/** Every router has an address and an interface on the LAN, and nobody else has. */
function routersOnLan(config: Config, lanName: string, lan: LanConfig): Finding[] {
  const routers = Object.keys(config.routers);
  const findings: Finding[] = [];
  const at = (field: string): Path => ['lans', lanName, field];
  const named = (field: string, names: readonly string[]): Finding[] =>
    names
      .filter(name => !routers.includes(name))
      .map(name => unknownName([...at(field), name], 'router', name, routers, ['routers']));
  findings.push(...named('addresses', Object.keys(lan.addresses)));
  if (typeof lan.interface !== 'string') findings.push(...named('interface', Object.keys(lan.interface)));
  for (const router of routers) {
    if (lan.addresses[router] === undefined) {
      const remedy = `add "${router}: ADDRESS/PREFIX", its own fixed address on this LAN`;
      findings.push(error(at('addresses'), `router "${router}" has no address on LAN "${lanName}"`, remedy));
    }
    if (interfaceOf(lan, router) === undefined) {
      const remedy = `add "${router}: INTERFACE", or write one name for both`;
      findings.push(error(at('interface'), `router "${router}" has no interface on LAN "${lanName}"`, remedy));
    }
  }
  return findings;
}

/** Each own address has a counterpart of the other router in the same network. */
function sameNetworks(config: Config, lanName: string, lan: LanConfig): Finding[] {
  const [first, second, ...rest] = Object.keys(config.routers);
  if (first === undefined || second === undefined || rest.length > 0) return [];
  const [ours, theirs] = [ownAddresses(lan, first), ownAddresses(lan, second)];
  if (ours.length === 0 || theirs.length === 0) return [];
  const findings: Finding[] = [];
  const at = (router: string): Path => ['lans', lanName, 'addresses', router];
  const report = (router: string, own: Cidr, other: string): void => {
    const problem = `router "${router}" has ${own} on LAN "${lanName}", but "${other}" has no address in that network`;
    const remedy = 'give both routers an address in the same network, with the same prefix length';
    findings.push(error(at(router), problem, remedy, [at(other)]));
  };
  const alone = (own: Cidr, others: readonly Cidr[]) => !others.some(other => sameNetwork(own, other));
  for (const own of theirs) if (alone(own, ours)) report(second, own, first);
  const told = new Set(theirs.filter(own => alone(own, ours)).map(familyOf));
  for (const own of ours) if (alone(own, theirs) && !told.has(familyOf(own))) report(first, own, second);
  return findings;
}

/**
 * Targets must be other hosts of the LAN; a LAN with clients and none cannot be told dead from
 * quiet.
 */
function targetsInside(config: Config, lanName: string, lan: LanConfig): Finding[] {
  const routers = Object.keys(config.routers);
  const nets = routers.flatMap(router => ownAddresses(lan, router));
  const ours = new Set<Address>([...nets.map(addressOf), ...lan.vips, ...lan.gateways]);
  const findings = lan.targets.flatMap((target, index): Finding[] => {
    const at: Path = ['lans', lanName, 'targets', index];
    if (ours.has(target)) {
      const problem = `target ${target} is an address of the pair itself`;
      return [error(at, problem, 'name another host that always answers, like the gateway of that LAN')];
    }
    if (nets.length === 0 || nets.some(net => contains(net, target))) return [];
    const problem = `target ${target} is not in a network of LAN "${lanName}"`;
    return [error(at, problem, 'name a host on the LAN itself; what is behind a gateway says nothing of the LAN')];
  });
  if (lan.vips.length === 0 || answeringOn(config, lanName) > 0) return findings;
  const problem = `LAN "${lanName}" has no target: when it is cut off, only lost carrier tells, or a gateway or client that happens to answer`;
  return [...findings, warning(['lans', lanName], problem, 'name its gateway: targets: [ADDRESS]')];
}

/** How many hosts on a LAN are asked whether they answer: targets and real servers. */
function answeringOn(config: Config, lanName: string): number {
  const servers = Object.values(config.services)
    .filter(service => serversLanOf(config, service) === lanName)
    .flatMap(service => Object.values(service.servers).map(({ address }) => address));
  return new Set([...(config.lans[lanName]?.targets ?? []), ...servers]).size;
}

/** Heartbeats name LANs by a short id, and have room for so many. */
function lansApart(config: Config): Finding[] {
  const byId = new Map<number, string>();
  const findings: Finding[] = [];
  for (const name of Object.keys(config.lans)) {
    const other = byId.get(lanId(name));
    if (other !== undefined) {
      const problem = `LAN "${name}" has the same short id in heartbeats as LAN "${other}", by chance`;
      findings.push(error(['lans', name], problem, 'give one of them another name', [['lans', other]]));
    }
    byId.set(lanId(name), name);
  }
  const virtual = Object.values(config.lans).filter(({ vips, gateways }) => vips.length + gateways.length > 0).length;
  if (virtual > VIRTUAL_LANS_MAX) {
    const problem = `${virtual} LANs have VIPs or gateways, more than the ${VIRTUAL_LANS_MAX} that fit into a heartbeat`;
    findings.push(error(['lans'], problem, `use ${VIRTUAL_LANS_MAX} at most, or a second pair`));
  }
  return findings;
}

function sameNetwork(a: Cidr, b: Cidr): boolean {
  return familyOf(a) === familyOf(b) && prefixOf(a) === prefixOf(b) && contains(a, addressOf(b));
}

interface Virtual {
  readonly address: Address;
  readonly path: Path;
  readonly what: 'VIP' | 'gateway';
}

/** The paths of all lists of VIPs. */
export function vipLists(config: Config): Path[] {
  return Object.keys(config.lans).map(name => ['lans', name, 'vips']);
}

function virtualsOf(lanName: string, lan: LanConfig): Virtual[] {
  const list = (field: 'vips' | 'gateways', what: Virtual['what']) =>
    lan[field].map((address, index) => ({ address, path: ['lans', lanName, field, index], what }));
  return [...list('vips', 'VIP'), ...list('gateways', 'gateway')];
}

function virtualInside(config: Config, lanName: string, lan: LanConfig): Finding[] {
  return virtualsOf(lanName, lan).flatMap(({ address, path, what }) => {
    // Said by addresses.ts.
    if (specialUse(address) !== undefined) return [];
    const missing = Object.keys(config.routers).find(router => {
      const own = ownAddresses(lan, router);
      return own.length > 0 && !own.some(cidr => contains(cidr, address));
    });
    if (missing === undefined) return [];
    const own = ownAddresses(lan, missing);
    const networks = own.join(', ');
    const problem = `${what} ${address} is in no network of router "${missing}" on LAN "${lanName}" (${networks})`;
    if (what === 'VIP' && own.some(cidr => familyOf(cidr) === familyOf(address))) {
      const routed = `route ${address} to that LAN (on-link, so that it is resolved there), or write an address inside`;
      return [warning(path, `${problem}: nobody reaches it without a route`, routed, [['lans', lanName, 'addresses']])];
    }
    const remedy = `write an address inside it, or add an address of ${address}'s network to both routers`;
    return [error(path, problem, remedy, [['lans', lanName, 'addresses']])];
  });
}

/** Where an address is used by something that is not virtual: a router or a real server. */
function fixedUses(config: Config): Map<Address, { what: string; path: Path }> {
  const uses = new Map<Address, { what: string; path: Path }>();
  for (const [lanName, lan] of Object.entries(config.lans)) {
    for (const router of Object.keys(lan.addresses)) {
      for (const own of ownAddresses(lan, router)) {
        const path: Path = ['lans', lanName, 'addresses', router];
        uses.set(addressOf(own), { what: `router "${router}" on LAN "${lanName}"`, path });
      }
    }
  }
  for (const [serviceName, service] of Object.entries(config.services)) {
    for (const [name, { address }] of Object.entries(service.servers)) {
      const path: Path = ['services', serviceName, 'servers', name, 'address'];
      uses.set(address, { what: `real server "${name}" of service "${serviceName}"`, path });
    }
    if (service.sorry_server) {
      const path: Path = ['services', serviceName, 'sorry_server', 'address'];
      uses.set(service.sorry_server.address, { what: `sorry server of service "${serviceName}"`, path });
    }
  }
  return uses;
}

function virtualOnce(config: Config): Finding[] {
  const uses = fixedUses(config);
  const seen = new Map<Address, Virtual>();
  const findings: Finding[] = [];
  const virtuals = Object.entries(config.lans).flatMap(([name, lan]) => virtualsOf(name, lan));
  for (const virtual of virtuals) {
    const { address, path, what } = virtual;
    const use = uses.get(address);
    const other = seen.get(address);
    if (use) {
      const remedy = 'write an address that nothing else has';
      findings.push(error(path, `${what} ${address} is the own address of ${use.what}`, remedy, [use.path]));
    }
    if (other) {
      const problem = `${what} ${address} is already a ${other.what} at ${other.path.join('.')}`;
      findings.push(error(path, problem, 'write every virtual address once', [other.path]));
    }
    seen.set(address, virtual);
  }
  if (virtuals.length > VIRTUAL_ADDRESSES_MAX) {
    const problem = `${virtuals.length} VIPs and gateways in all, more than the ${VIRTUAL_ADDRESSES_MAX} that a pair can hold`;
    findings.push(error(['lans'], problem, `write at most ${VIRTUAL_ADDRESSES_MAX}, or use a second pair`));
  }
  return findings;
}

function ownAddressesOnce(config: Config): Finding[] {
  const seen = new Map<Address, { owner: string; path: Path }>();
  const findings: Finding[] = [];
  for (const [lanName, lan] of Object.entries(config.lans)) {
    for (const router of Object.keys(lan.addresses)) {
      const path: Path = ['lans', lanName, 'addresses', router];
      for (const address of ownAddresses(lan, router).map(addressOf)) {
        const other = seen.get(address);
        if (other) {
          const problem = `${address} of router "${router}" is already the address of ${other.owner}`;
          findings.push(error(path, problem, 'give every router its own address on every LAN', [other.path]));
        }
        seen.set(address, { owner: `router "${router}" on LAN "${lanName}"`, path });
      }
    }
  }
  return findings;
}

function links(config: Config): Finding[] {
  const names = config.heartbeat.links;
  const lans = Object.keys(config.lans);
  const findings = names.flatMap((name, index): Finding[] => {
    const path: Path = ['heartbeat', 'links', index];
    if (names.indexOf(name) < index) return [error(path, `link "${name}" is named twice`, 'name each LAN once')];
    const lan = config.lans[name];
    if (!lan) return [unknownName(path, 'LAN', name, lans, ['lans'])];
    const [first, second] = Object.keys(config.routers).map(router =>
      ownAddresses(lan, router).filter(own => !isLinkLocal(own)),
    );
    if (!first?.length || !second?.length) return [];
    if (first.some(own => second.some(other => familyOf(own) === familyOf(other)))) return [];
    const remedy = 'give both routers an IPv4 address there, or both an IPv6 one';
    return [error(path, `link "${name}" has no pair of addresses of one family`, remedy, [['lans', name]])];
  });
  if (lans.length === 1) {
    const problem = `LAN "${lans[0]}" is the only one of the pair: when it is silent, a router cannot tell a dead LAN from a dead peer`;
    const remedy = 'connect the routers by a second LAN, a cable between them is enough, and name it here';
    findings.push(warning(['heartbeat', 'links'], problem, remedy));
  } else if (names.length === 1) {
    const problem = 'only one heartbeat link: when it breaks, the routers cannot tell a dead peer from a cut cable';
    findings.push(warning(['heartbeat', 'links'], problem, 'name a second LAN'));
  }
  const withVips = lans.filter(name => config.lans[name]?.vips.length);
  if (withVips.length > 0 && !names.some(name => withVips.includes(name))) {
    const problem = 'no heartbeat link is on a LAN with VIPs, so a broken client LAN is not noticed';
    findings.push(warning(['heartbeat', 'links'], problem, `add "${withVips[0]}"`, vipLists(config)));
  }
  for (const name of withVips.filter(lan => !names.includes(lan) && answeringOn(config, lan) < 2)) {
    const problem = `LAN "${name}" has neither a heartbeat link nor two targets: the silence of one host there looks like a dead LAN`;
    const remedy = `add "${name}", or name two hosts there that always answer: targets: [ADDRESS, ADDRESS]`;
    findings.push(warning(['heartbeat', 'links'], problem, remedy, [['lans', name]]));
  }
  return findings;
}
