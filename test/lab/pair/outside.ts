// Clients that are not on the pair's LAN: a network behind a router of the site (the topology's
// host `store`), on demand one that knows the VIP by a public address only (1:1 NAT). Io.
import { FILE_SERVERS, type Host, ROUTERS, type Topology, VIP } from './topology.ts';

export const OUTSIDE = {
  network: '203.0.113.128/25',
  /** The site's router there, and on the clients' LAN. */
  gateway: '203.0.113.254',
  onLan: '192.0.2.150',
} as const;
/** What the outside knows the VIP by. */
export const PUBLIC = '203.0.113.253';

/** Address of outside client number `index`, from 0; as many as the topology has of its own. */
export function outsideAddress(index: number): string {
  return `203.0.113.${130 + index}`;
}

export interface OutsideOptions {
  readonly clients: number;
  /** The servers answer straight, for DR and TUN. */
  readonly direct?: boolean;
  /** Of the way there; default 1,500. */
  readonly mtu?: number;
}

/** Gives the client's host addresses outside. The topology must have the host `store`. */
export async function addOutside(topology: Topology, options: OutsideOptions): Promise<void> {
  const { clients, direct = false, mtu = 1_500 } = options;
  const batch = (host: Host | 'lan', lines: readonly string[]) =>
    topology.exec(host, 'ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
  const addresses = Array.from({ length: clients }, (_, index) => outsideAddress(index));
  const link = `mtu ${mtu}`;
  await batch('lan', [
    `link add store-c0 type veth peer name c0 netns ${topology.namespace('store')}`,
    'link set store-c0 master clients up',
  ]);
  await batch('store', [
    `link add far0 ${link} type veth peer name far0 ${link} netns ${topology.namespace('client')}`,
    'link set c0 up',
    'link set far0 up',
    `address add ${OUTSIDE.onLan}/24 dev c0`,
    `address add ${OUTSIDE.gateway}/25 dev far0`,
  ]);
  await topology.exec('store', 'sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  await batch('client', ['link set far0 up', ...addresses.map(address => `address add ${address}/25 dev far0`)]);
  for (const host of [...ROUTERS, ...(direct ? FILE_SERVERS : [])])
    await batch(host, [`route add ${OUTSIDE.network} via ${OUTSIDE.onLan}`]);
}

/** Address for address, and no helper: what FTP's control connection says goes through as it is. */
const ONE_TO_ONE = `table ip one_to_one {
  chain in {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr ${PUBLIC} dnat to ${VIP}
  }
  chain out {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "far0" ip saddr ${VIP} snat to ${PUBLIC}
  }
}
`;

/** The same, and the client has no way to the VIP any more but the public address. */
export async function addPublicNat(topology: Topology, options: OutsideOptions): Promise<void> {
  await addOutside(topology, options);
  await topology.exec('store', 'ip', ['address', 'add', `${PUBLIC}/32`, 'dev', 'far0']);
  await topology.exec('store', 'nft', ['-f', '-'], { input: ONE_TO_ONE });
  await topology.exec('client', 'ip', ['link', 'set', 'c0', 'down']);
}
