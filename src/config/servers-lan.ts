// The LAN on which a service's real servers are, by its forwarding method. Pure.
import type { Config, ServiceConfig } from './schema.ts';

/**
 * NAT: as said. DR: as said, else the LAN of the VIP. TUN: none, the servers may be anywhere. Also
 * undefined where nothing is said that could be, which is a mistake of the config.
 */
export function serversLanOf(
  { lans }: Pick<Config, 'lans'>,
  { forwarding, servers_lan: said, vip }: Pick<ServiceConfig, 'forwarding' | 'servers_lan' | 'vip'>,
): string | undefined {
  switch (forwarding) {
    case 'nat':
      return said;
    case 'dr':
      return said ?? Object.keys(lans).find(name => lans[name]?.vips.includes(vip));
    case 'tun':
      return undefined;
  }
}
