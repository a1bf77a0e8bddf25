// Rules about addresses that no host can have: a router's own, virtual ones, targets and real
// servers. Pure.
import { type Address, addressOf, type Cidr, ends, isLinkLocal, prefixOf, specialUse } from '../../units/address.ts';
import { ownAddresses } from '../node.ts';
import type { Config } from '../schema.ts';
import { error, type Finding, type Path, type Rule } from './finding.ts';

interface Used {
  readonly address: Address;
  readonly what: string;
  readonly path: Path;
  /** The networks in which it must be a host. */
  readonly networks: readonly Cidr[];
}

export const ADDRESS_RULES: readonly Rule[] = [
  {
    says: 'An address is that of one host: not unspecified, loopback, multicast, a broadcast address or the first of its network.',
    check: config => used(config).flatMap(hostAddress),
  },
  { says: 'A heartbeat link has addresses that are not link-local.', check: linkLocalLinks },
];

function used(config: Config): Used[] {
  const onLans = Object.entries(config.lans).flatMap(([name, lan]): Used[] => {
    const networks = networksOf(config, name);
    const list = (field: 'vips' | 'gateways' | 'targets', what: string): Used[] =>
      lan[field].map((address, index) => ({ address, what, path: ['lans', name, field, index], networks }));
    const own = Object.keys(lan.addresses).flatMap(router =>
      ownAddresses(lan, router).map((cidr, index) => {
        const at: Path = ['lans', name, 'addresses', router];
        const path = Array.isArray(lan.addresses[router]) ? [...at, index] : at;
        return { address: addressOf(cidr), what: `own address of router "${router}"`, path, networks: [cidr] };
      }),
    );
    return [...own, ...list('vips', 'VIP'), ...list('gateways', 'gateway'), ...list('targets', 'target')];
  });
  const servers = Object.entries(config.services).flatMap(([service, { servers_lan, servers }]) =>
    Object.entries(servers).map(([name, { address }]): Used => {
      const path = ['services', service, 'servers', name, 'address'];
      return { address, what: `address of server "${name}"`, path, networks: networksOf(config, servers_lan) };
    }),
  );
  return [...onLans, ...servers];
}

function networksOf(config: Config, lanName: string): Cidr[] {
  const lan = config.lans[lanName];
  return lan ? Object.keys(lan.addresses).flatMap(router => ownAddresses(lan, router)) : [];
}

/**
 * IPv4: first and last address of a network; IPv6: the first, which is every router's anycast
 * address (RFC 4291, 2.6.1).
 */
function hostAddress({ address, what, path, networks }: Used): Finding[] {
  const remedy = 'write the address of one host';
  const special = specialUse(address);
  if (special !== undefined) return [error(path, `${what} ${address} is ${special}`, remedy)];
  for (const cidr of networks) {
    const { first, last } = ends(cidr);
    const where = `of ${first}/${prefixOf(cidr)}`;
    if (address === first) return [error(path, `${what} ${address} is the network's own address ${where}`, remedy)];
    if (address === last) return [error(path, `${what} ${address} is the broadcast address ${where}`, remedy)];
  }
  return [];
}

/**
 * A link-local address says nothing without its interface, and a socket bound to it is refused by
 * the kernel.
 */
function linkLocalLinks(config: Config): Finding[] {
  return config.heartbeat.links.flatMap((name, index): Finding[] => {
    const lan = config.lans[name];
    const lists = lan ? Object.keys(config.routers).map(router => ownAddresses(lan, router)) : [];
    const only = lists.find(list => list.length > 0 && list.every(isLinkLocal));
    if (!only) return [];
    const problem = `link "${name}" has link-local addresses only (${only.join(', ')}), and heartbeats cannot use these`;
    const remedy = 'give both routers another address there, such as one of a unique local network (fd00::/8)';
    return [error(['heartbeat', 'links', index], problem, remedy, [['lans', name]])];
  });
}
