// Which interface the config means: the kernel knows it by another name when the config has an
// alternative name of it, or when it was renamed while we run. nftables compares the kernel's own
// names only. Pure: what `ip -j address` prints in, names out.
import { interfaceOf, ownAddresses } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import { addressOf } from '../units/address.ts';

/** An interface as the kernel has it. */
export interface KernelInterface {
  readonly name: string;
  readonly altnames: readonly string[];
  /** Canonical, without prefix lengths. */
  readonly addresses: readonly string[];
}

/** Reads `ip -j address`; throws when it is something else. */
export function parseInterfaces(json: string): KernelInterface[] {
  const list = JSON.parse(json) as unknown;
  if (!Array.isArray(list)) throw new TypeError('`ip -j address` printed no list');
  return list.flatMap((entry: Record<string, unknown>) => {
    // ip prints an empty object for what its filters leave out.
    if (typeof entry?.ifname !== 'string') return [];
    const altnames = strings(entry.altnames);
    const infos = Array.isArray(entry.addr_info) ? (entry.addr_info as { local?: unknown }[]) : [];
    return [{ name: entry.ifname, altnames, addresses: strings(infos.map(info => info?.local)) }];
  });
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : [];
}

/**
 * The kernel's name of an interface that the config calls `name`: the one that has it, else the one
 * that has it as an alternative name, else the one with an own address of this router on that LAN
 * (it was renamed; the addresses stay). As written when there is none: it may come yet.
 */
export function realName(name: string, own: readonly string[], interfaces: readonly KernelInterface[]): string {
  if (interfaces.some(candidate => candidate.name === name)) return name;
  const byAltname = interfaces.find(({ altnames }) => altnames.includes(name));
  const found = byAltname ?? interfaces.find(({ addresses }) => addresses.some(address => own.includes(address)));
  return found?.name ?? name;
}

/** A LAN's interface as the config names it, and this router's own addresses there. */
export interface LanInterface {
  readonly interface: string;
  readonly own: readonly string[];
}

export function lanInterfaces(config: Config, node: string): LanInterface[] {
  return Object.values(config.lans).flatMap(lan => {
    const name = interfaceOf(lan, node);
    return name === undefined ? [] : [{ interface: name, own: ownAddresses(lan, node).map(addressOf) }];
  });
}

/** The kernel's names of interfaces, by the names of the config. */
export function realNames(
  lans: readonly LanInterface[],
  interfaces: readonly KernelInterface[],
): ReadonlyMap<string, string> {
  return new Map(lans.map(({ interface: name, own }) => [name, realName(name, own, interfaces)]));
}

/** The config with this router's interfaces by the kernel's names. */
export function withRealNames(config: Config, node: string, names: ReadonlyMap<string, string>): Config {
  const lans = Object.entries(config.lans).map(([lan, spec]) => {
    const name = interfaceOf(spec, node);
    const real = name === undefined ? undefined : names.get(name);
    if (real === undefined || real === name) return [lan, spec] as const;
    const others = typeof spec.interface === 'string' ? {} : spec.interface;
    return [lan, { ...spec, interface: { ...others, [node]: real } }] as const;
  });
  return { ...config, lans: Object.fromEntries(lans) };
}

/** Of all names, those that could change what realNames() gives. */
export function relevantNames(names: ReadonlyMap<string, string>, all: readonly string[]): string {
  const ours = new Set([...names.keys(), ...names.values()]);
  return all
    .filter(name => ours.has(name))
    .sort()
    .join(' ');
}
