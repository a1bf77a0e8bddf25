// A real server of DR or TUN has the VIP, and must keep silent about it. One that answers ARP for
// it, or asks in its name, takes the clients from the pair. pulse hears only a MAC; whose it is,
// the kernel's table of neighbours says, which the checks of the servers fill. Pure.
import type { Config } from '../config/schema.ts';
import type { Snapshot } from '../feed/message.ts';
import { type Address, familyOf, parseAddress } from '../units/address.ts';

export interface Neighbour {
  readonly address: Address;
  /** In lower case, with colons. */
  readonly mac: string;
}

/** A real server that is known by its MAC to claim the address, or to answer for it. */
export interface VipClaimer {
  readonly service: string;
  readonly server: string;
  readonly address: Address;
  readonly vip: string;
  readonly mac: string;
}

/** Reads `ip -j neighbour show`; throws when it is something else. */
export function parseNeighbours(json: string): Neighbour[] {
  const list = JSON.parse(json) as unknown;
  if (!Array.isArray(list)) throw new TypeError('`ip -j neighbour show` printed no list');
  return list.flatMap((entry: Record<string, unknown> | null) => {
    const address = typeof entry?.dst === 'string' ? parseAddress(entry.dst) : undefined;
    return address === undefined || typeof entry?.lladdr !== 'string'
      ? []
      : [{ address, mac: entry.lladdr.toLowerCase() }];
  });
}

/**
 * The real server that has the MAC of the third machine, one of a service of that VIP before
 * others; undefined: it is none that is known.
 */
export function claimerOf(
  { services }: Pick<Config, 'services'>,
  foreign: Pick<NonNullable<Snapshot['foreign']>, 'address' | 'mac'>,
  neighbours: readonly Neighbour[],
): VipClaimer | undefined {
  const mac = foreign.mac.toLowerCase();
  const its = new Set<string>(neighbours.filter(neighbour => neighbour.mac === mac).map(({ address }) => address));
  const found = Object.entries(services)
    .sort(([, one], [, other]) => Number(other.vip === foreign.address) - Number(one.vip === foreign.address))
    .flatMap(([service, { servers }]) =>
      Object.entries(servers).map(([server, { address }]) => ({ service, server, address })),
    )
    .find(({ address }) => its.has(address));
  return found && { ...found, vip: foreign.address, mac };
}

/** What is wrong on that server, and what sets it right. */
export function claimerProblem({ vip, mac }: VipClaimer): string {
  const mend =
    familyOf(vip as Address) === 4
      ? 'set `net.ipv4.conf.all.arp_ignore = 1` and `net.ipv4.conf.all.arp_announce = 2` on it (`tandem server-config` prints the file)'
      : 'have the VIP on a dummy interface of that server, not on that of the LAN (`tandem server-config` prints the commands)';
  return `it answers for ${vip} on the LAN by its MAC ${mac}, so that clients reach it past the pair: ${mend}`;
}
