// The clients of DR and TUN services that are known to have a real server: a timed set for each
// service, which the marks go by (ruleset.ts). The packet path fills it; it is lost when the table
// is replaced or taken away, and a new owner begins with none: then its clients are put in, from
// the set as it was and from the connection sync. A client is what its template has of it: with a
// `persistence_prefix` the first address of its network. The rules mask before they look it up, so
// the set needs no intervals. Pure. Source: nft(8) SETS, libnftables-json(5).
import { PREFIX_MAX, persistencePrefix } from '../config/persistence.ts';
import type { Config, ServiceConfig } from '../config/schema.ts';
import { type Address, familyOf, networkAddress, parseAddress } from '../units/address.ts';
import { TABLE_FAMILY, TABLE_NAME } from './table-name.ts';

/** Most clients of a service that are known at a time. */
export const KNOWN_MAX = 65_536;
const ELEMENTS_PER_LINE = 1_000;

/** By service; seconds that a client stays known. */
export type KnownClients = ReadonlyMap<string, ReadonlyMap<Address, number>>;

/** Under DR and TUN: the servers answer past this router. */
export function answersItself({ forwarding }: Pick<ServiceConfig, 'forwarding'>): boolean {
  return forwarding !== 'nat';
}

export function knownSetName(service: string): string {
  return `known_${service}`;
}

/**
 * How long a client with a template may be silent and still be known: no longer than it has its
 * server, in seconds. Undefined: the service has no such set, since its answers pass here, its
 * clients have no templates, or each datagram is scheduled.
 */
export function knownSeconds(
  { ipvs }: Pick<Config, 'ipvs'>,
  service: Pick<ServiceConfig, 'kind' | 'persistence' | 'forwarding'>,
): number | undefined {
  const { kind, persistence } = service;
  if (!answersItself(service) || persistence === undefined || kind === 'udp') return undefined;
  return Math.ceil(Math.max(persistence, ipvs.tcp_timeout) / 1_000);
}

/** The services that have such a set. */
export function servicesWithKnown(config: Pick<Config, 'ipvs' | 'services'>): readonly string[] {
  const services = Object.entries(config.services);
  return services.filter(([, service]) => knownSeconds(config, service) !== undefined).map(([name]) => name);
}

/** Reads `nft -j list set` of a service's set; throws when it is something else. */
export function parseKnown(json: string): ReadonlyMap<Address, number> {
  const { nftables } = JSON.parse(json) as { nftables?: unknown };
  if (!Array.isArray(nftables)) throw new TypeError('nft printed no set');
  const elements = nftables.flatMap((item: { set?: { elem?: unknown } }) =>
    Array.isArray(item?.set?.elem) ? (item.set.elem as unknown[]) : [],
  );
  const known = new Map<Address, number>();
  for (const element of elements) {
    const { val, expires } = (element as { elem?: { val?: unknown; expires?: unknown } })?.elem ?? {};
    const address = typeof val === 'string' ? parseAddress(val) : undefined;
    if (address !== undefined && typeof expires === 'number' && expires >= 1) known.set(address, Math.floor(expires));
  }
  return known;
}

/**
 * Clients of the connection sync are known for the whole time; those of the set for what is left of
 * theirs. The set may be from before a change of the prefix, so it is masked anew; a template in
 * scope has the prefix of the config.
 */
export function knownClients(
  config: Pick<Config, 'ipvs' | 'services'>,
  { before, synced }: { readonly before?: KnownClients; readonly synced: ReadonlyMap<string, readonly Address[]> },
): KnownClients {
  return new Map(
    servicesWithKnown(config).map(name => {
      const service = config.services[name] as ServiceConfig;
      const seconds = knownSeconds(config, service) ?? 0;
      const clients = masked(before?.get(name) ?? new Map(), service);
      for (const client of synced.get(name) ?? []) clients.set(client, seconds);
      return [name, clients] as const;
    }),
  );
}

/** The longest time of each network. */
function masked(known: ReadonlyMap<Address, number>, service: ServiceConfig): Map<Address, number> {
  const prefix = persistencePrefix(service);
  if (prefix === PREFIX_MAX[familyOf(service.vip)]) return new Map(known);
  const networks = new Map<Address, number>();
  for (const [client, seconds] of known) {
    const network = networkAddress(client, prefix);
    networks.set(network, Math.max(seconds, networks.get(network) ?? 0));
  }
  return networks;
}

/**
 * The text for `nft -f` that makes them known; it goes with the rules or after them. Those who are
 * known keep their time.
 */
export function knowing(known: KnownClients): string {
  const lines: string[] = [];
  for (const [service, clients] of known) {
    const elements = [...clients].slice(0, KNOWN_MAX).map(([client, seconds]) => `${client} timeout ${seconds}s`);
    for (let from = 0; from < elements.length; from += ELEMENTS_PER_LINE) {
      const part = elements.slice(from, from + ELEMENTS_PER_LINE).join(', ');
      lines.push(`add element ${TABLE_FAMILY} ${TABLE_NAME} ${knownSetName(service)} { ${part} }\n`);
    }
  }
  return lines.join('');
}
