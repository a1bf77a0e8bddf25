// What the shared config means on one router: its own and its peer's side of every LAN, link and
// virtual address. Pure.
import { type Address, addressOf, type Cidr, contains, type Family, familyOf, isLinkLocal } from '../units/address.ts';
import type { Config, LanConfig } from './schema.ts';
import { serversLanOf } from './servers-lan.ts';

export interface Link {
  /** Name of the LAN that carries it. */
  readonly lan: string;
  readonly interface: string;
  readonly local: Address;
  readonly remote: Address;
}

export interface VirtualAddress {
  readonly address: Address;
  readonly family: Family;
  readonly lan: string;
  readonly interface: string;
  readonly kind: 'vip' | 'gateway';
  /**
   * The source of probes: this router's own address in the same network; for a VIP that is routed
   * here, one of its family.
   */
  readonly own: Address | undefined;
}

/** A host that should answer on a LAN: its silence tells a dead LAN from a dead peer. */
export interface ReachTarget {
  readonly address: Address;
  readonly lan: string;
  readonly interface: string;
  /** This router's own address in the same network; undefined when it has none. */
  readonly own: Address | undefined;
}

/**
 * An address that the config gives to one of the routers. Without its own, a router can neither
 * speak nor answer.
 */
export interface FixedAddress {
  readonly address: Address;
  readonly family: Family;
  readonly lan: string;
  /** This router's interface there. */
  readonly interface: string;
  readonly side: 'own' | 'peer';
}

/** Real servers asked on each LAN besides the targets that the config names. */
const SERVER_TARGETS_MAX = 3;
/** Targets in all, as vipd takes them. */
const TARGETS_MAX = 16;
/** Fixed addresses in all, as vipd takes them. */
const FIXED_MAX = 64;

/** The config seen from one router. */
export interface NodeView {
  readonly node: string;
  readonly peer: string;
  /** 1 for the first router in alphabetical order, 2 for the other: the node part of an epoch. */
  readonly nodeId: 1 | 2;
  readonly priority: number;
  readonly links: readonly Link[];
  readonly addresses: readonly VirtualAddress[];
  readonly targets: readonly ReachTarget[];
  /** Of LANs with links or virtual addresses; this router's first. */
  readonly fixed: readonly FixedAddress[];
}

/** The interface that `node` has on `lan`; undefined when the config names none. */
export function interfaceOf(lan: LanConfig, node: string): string | undefined {
  return typeof lan.interface === 'string' ? lan.interface : lan.interface[node];
}

/** A router's own addresses on a LAN, with prefix lengths. */
export function ownAddresses(lan: LanConfig, node: string): readonly Cidr[] {
  const own = lan.addresses[node];
  return own === undefined ? [] : Array.isArray(own) ? own : [own];
}

/** The router's own address whose network contains `address`. */
export function ownAddressNear(lan: LanConfig, node: string, address: Address): Address | undefined {
  const near = ownAddresses(lan, node).find(own => contains(own, address));
  return near && addressOf(near);
}

function ownAddressOf(lan: LanConfig, node: string, family: Family): Address | undefined {
  const own = ownAddresses(lan, node).find(candidate => familyOf(candidate) === family);
  return own && addressOf(own);
}

/**
 * The view of router `node`. The config must have passed rules.ts; throws a RangeError for an
 * unknown node.
 */
export function nodeView(config: Config, node: string): NodeView {
  const names = Object.keys(config.routers).sort();
  const own = config.routers[node];
  const peer = names.find(other => other !== node);
  if (!own || !peer) {
    throw new RangeError(`router "${node}" is not in the config (routers: ${names.join(', ')}); use --node`);
  }
  return {
    node,
    peer,
    nodeId: names.indexOf(node) === 0 ? 1 : 2,
    priority: own.priority,
    links: config.heartbeat.links.map(lan => linkOn(config, lan, node, peer)),
    addresses: Object.entries(config.lans).flatMap(([lan, spec]) => virtualAddresses(lan, spec, node)),
    targets: Object.entries(config.lans)
      .flatMap(([lan, spec]) => targetsOn(config, lan, spec, node))
      .slice(0, TARGETS_MAX),
    fixed: [...fixedOn(config, node, node), ...fixedOn(config, node, peer)].slice(0, FIXED_MAX),
  };
}

/** The addresses of router `whose`, as looked for on router `node`. */
function fixedOn(config: Config, node: string, whose: string): FixedAddress[] {
  const side = whose === node ? 'own' : 'peer';
  return Object.entries(config.lans).flatMap(([lan, spec]) => {
    const interfaceName = interfaceOf(spec, node);
    const matters = config.heartbeat.links.includes(lan) || spec.vips.length > 0 || spec.gateways.length > 0;
    if (!matters || interfaceName === undefined) return [];
    return ownAddresses(spec, whose)
      .map(addressOf)
      .map(address => ({ address, family: familyOf(address), lan, interface: interfaceName, side }));
  });
}

function targetsOn(config: Config, lan: string, spec: LanConfig, node: string): ReachTarget[] {
  const interfaceName = interfaceOf(spec, node);
  if (interfaceName === undefined) return [];
  const servers = Object.values(config.services)
    .filter(service => serversLanOf(config, service) === lan)
    .flatMap(service => Object.values(service.servers).map(server => server.address));
  const asked = [...new Set([...spec.targets, ...servers.slice(0, SERVER_TARGETS_MAX)])];
  return asked.map(address => ({ address, lan, interface: interfaceName, own: ownAddressNear(spec, node, address) }));
}

function linkOn(config: Config, lanName: string, node: string, peer: string): Link {
  const lan = config.lans[lanName];
  const interfaceName = lan && interfaceOf(lan, node);
  const usable = (router: string) => (lan ? ownAddresses(lan, router) : []).filter(own => !isLinkLocal(own));
  const [locals, remotes] = [usable(node).map(addressOf), usable(peer).map(addressOf)];
  for (const local of locals) {
    const remote = remotes.find(candidate => familyOf(candidate) === familyOf(local));
    if (remote && interfaceName) return { lan: lanName, interface: interfaceName, local, remote };
  }
  throw new RangeError(`heartbeat link "${lanName}" has no pair of addresses of one family`);
}

function virtualAddresses(lan: string, spec: LanConfig, node: string): VirtualAddress[] {
  const interfaceName = interfaceOf(spec, node);
  if (interfaceName === undefined) return [];
  const describe = (kind: VirtualAddress['kind']) => (address: Address) => ({
    address,
    family: familyOf(address),
    lan,
    interface: interfaceName,
    kind,
    own: ownAddressNear(spec, node, address) ?? ownAddressOf(spec, node, familyOf(address)),
  });
  return [...spec.vips.map(describe('vip')), ...spec.gateways.map(describe('gateway'))];
}
