// Rules about addresses that no host can have: a router's own, virtual ones, targets and real
// servers. Pure.
import { type Address, addressOf, type Cidr, ends, isLinkLocal, prefixOf, specialUse } from '../../units/address.ts';
import { ownAddresses } from '../node.ts';
import type { Config } from '../schema.ts';
import { serversLanOf } from '../servers-lan.ts';
import { error, type Finding, type Path, type Rule } from './finding.ts';

interface Used {
  readonly address: Address;
  readonly what: string;
  readonly path: Path;
  /** The networks in which it must be a host. */
  readonly networks: readonly Network[];
}

interface Network {
  readonly cidr: Cidr;
  readonly ends: ReturnType<typeof ends>;
}

export const ADDRESS_RULES: readonly Rule[] = [
  {
    says: 'An address is that of one host: not unspecified, loopback, multicast, a broadcast address or the first of its network.',
    check: config => used(config).flatMap(hostAddress),
  },
  { says: 'A VIP is not link-local; a gateway may be.', check: linkLocalVips },
  { says: 'A heartbeat link has addresses that are not link-local.', check: linkLocalLinks },
];

function used(config: Config): Used[] {
  const networksOf = networksBy(config);
  const onLans = Object.entries(config.lans).flatMap(([name, lan]): Used[] => {
    const networks = networksOf(name);
    const list = (field: 'vips' | 'gateways' | 'targets', what: string): Used[] =>
      lan[field].map((address, index) => ({ address, what, path: ['lans', name, field, index], networks }));
    const own = Object.keys(lan.addresses).flatMap(router =>
      ownAddresses(lan, router).map((cidr, index) => {
        const at: Path = ['lans', name, 'addresses', router];
        const path = Array.isArray(lan.addresses[router]) ? [...at, index] : at;
        return {
          address: addressOf(cidr),
          what: `own address of router "${router}"`,
          path,
          networks: [networkOf(cidr)],
        };
      }),
    );
    return [...own, ...list('vips', 'VIP'), ...list('gateways', 'gateway'), ...list('targets', 'target')];
  });
  const servers = Object.entries(config.services).flatMap(([service, spec]) => {
    const { servers, sorry_server } = spec;
    const announce = spec.kind === 'ftp' ? spec.announce : undefined;
    const networks = networksOf(serversLanOf(config, spec));
    const real = Object.entries(servers).map(([name, { address }]): Used => {
      const path = ['services', service, 'servers', name, 'address'];
      return { address, what: `address of server "${name}"`, path, networks };
    });
    const at = (...rest: Path): Path => ['services', service, ...rest];
    if (announce !== undefined)
      real.push({ address: announce, what: 'announced address', path: at('announce'), networks: [] });
    if (sorry_server === undefined) return real;
    const path = at('sorry_server', 'address');
    return [...real, { address: sorry_server.address, what: 'address of the sorry server', path, networks }];
  });
  return [...onLans, ...servers];
}

function networkOf(cidr: Cidr): Network {
  return { cidr, ends: ends(cidr) };
}

/** Each LAN's once: hundreds of services have theirs on one. */
function networksBy(config: Config): (lan: string | undefined) => readonly Network[] {
  const known = new Map<string, readonly Network[]>();
  return (name = '') => {
    const before = known.get(name);
    if (before) return before;
    const lan = config.lans[name];
    const own = lan ? Object.keys(lan.addresses).flatMap(router => ownAddresses(lan, router)) : [];
    const networks = own.map(networkOf);
    known.set(name, networks);
    return networks;
  };
}

/**
 * IPv4: first and last address of a network; IPv6: the first, which is every router's anycast
 * address (RFC 4291, 2.6.1).
 */
function hostAddress({ address, what, path, networks }: Used): Finding[] {
  const remedy = 'write the address of one host';
  const special = specialUse(address);
  if (special !== undefined) return [error(path, `${what} ${address} is ${special}`, remedy)];
  for (const { cidr, ends } of networks) {
    const { first, last } = ends;
    const where = `of ${first}/${prefixOf(cidr)}`;
    if (address === first) return [error(path, `${what} ${address} is the network's own address ${where}`, remedy)];
    if (address === last) return [error(path, `${what} ${address} is the broadcast address ${where}`, remedy)];
  }
  return [];
}

/** connect(2) to one fails unless the client names its own interface, and no FTP client can. */
function linkLocalVips({ lans }: Config): Finding[] {
  return Object.entries(lans).flatMap(([name, { vips }]) =>
    vips.flatMap((vip, index): Finding[] => {
      if (!isLinkLocal(vip)) return [];
      const problem = `VIP ${vip} is link-local, and clients cannot connect to it`;
      const remedy = 'write another address, such as one of a unique local network (fd00::/8)';
      return [error(['lans', name, 'vips', index], problem, remedy)];
    }),
  );
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
