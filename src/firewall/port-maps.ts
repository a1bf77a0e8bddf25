// Sets and maps of nftables by address and port: one rule finds the service of a packet, by a
// look-up that takes as long with hundreds of services as with one. They are anonymous, so nobody
// can change what is in them. Pure. Source: nft(8), SETS, MAPS and CONCATENATIONS; intervals in a
// concatenation need Linux 5.6 (net/netfilter/nft_set_pipapo.c).
import type { PortRange } from '../config/fields.ts';
import { rangeText } from '../config/service-ports.ts';
import { familyOf } from '../units/address.ts';
import type { FirewallService } from './firewall-service.ts';

export interface PortPlace {
  /** The address; or what else stands before the port, such as a mark and an address. */
  readonly at: string;
  readonly range: PortRange;
}

/** A place and what the map has for it. */
interface Entry extends PortPlace {
  readonly value: string;
}

/** All ports of one address. */
export function places(at: string, ranges: readonly PortRange[]): readonly PortPlace[] {
  return ranges.map(range => ({ at, range }));
}

/**
 * A map as nft writes it. Of two entries for one port the first stays, as the first of two rules
 * would decide: nft refuses both.
 */
export function portMap(entries: readonly Entry[]): string {
  const known = new Map<string, PortRange[]>();
  const kept = entries.filter(({ at, range }) => {
    const mine = known.get(at) ?? [];
    if (mine.some(other => range.first <= other.last && other.first <= range.last)) return false;
    mine.push(range);
    known.set(at, mine);
    return true;
  });
  return `{ ${kept.map(({ at, range, value }) => `${at} . ${rangeText(range)} : ${value}`).join(', ')} }`;
}

/** A set as nft writes it; what overlaps becomes one. */
export function portSet(all: readonly PortPlace[]): string {
  const known = byAddress(all);
  const elements = [...known].flatMap(([at, ranges]) => merged(ranges).map(range => `${at} . ${rangeText(range)}`));
  return `{ ${elements.join(', ')} }`;
}

function byAddress(all: readonly PortPlace[]): ReadonlyMap<string, readonly PortRange[]> {
  const known = new Map<string, PortRange[]>();
  for (const { at, range } of all) {
    const mine = known.get(at);
    if (mine) mine.push(range);
    else known.set(at, [range]);
  }
  return known;
}

function merged(ranges: readonly PortRange[]): readonly PortRange[] {
  const whole: PortRange[] = [];
  for (const range of [...ranges].sort((one, other) => one.first - other.first)) {
    const last = whole.at(-1);
    if (last !== undefined && range.first <= last.last)
      whole[whole.length - 1] = { first: last.first, last: Math.max(last.last, range.last) };
    else whole.push(range);
  }
  return whole;
}

/** Services whose rules differ in nothing but what a map can hold. */
export interface Group {
  readonly ip: 'ip' | 'ip6';
  /** By which their clients come. */
  readonly interfaces: readonly string[];
  readonly services: readonly FirewallService[];
}

/** By family, and by interfaces. */
export function groupsOf(services: readonly FirewallService[]): readonly Group[] {
  const groups = new Map<string, Group & { readonly services: FirewallService[] }>();
  for (const service of services) {
    const ip = familyOf(service.vip) === 6 ? 'ip6' : 'ip';
    const key = [ip, ...service.interfaces].join(' ');
    const group = groups.get(key);
    if (group) group.services.push(service);
    else groups.set(key, { ip, interfaces: service.interfaces, services: [service] });
  }
  return [...groups.values()];
}

/** By family alone. */
export function byFamily(services: readonly FirewallService[]): readonly Pick<Group, 'ip' | 'services'>[] {
  return groupsOf(services.map(service => ({ ...service, interfaces: [] })));
}
