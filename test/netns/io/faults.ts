// Faults for the pair in namespaces, each with its way back: packets lost one way, legs unplugged, strangers on a LAN that claim or answer
// for an address, datagrams that nobody asked for. Io; everything happens in namespaces of the topology.
import { setTimeout as sleep } from 'node:timers/promises';
import { run, runIn } from '../../lab/pair/netns.ts';
import type { Host, Router, Topology } from '../../lab/pair/topology.ts';

export type Leg = 'clients' | 'servers' | 'cross';
/** Each leg's interface on the routers. */
export const INTERFACES: Readonly<Record<Leg, string>> = { clients: 'c0', servers: 's0', cross: 'x0' };
const HEARTBEAT_PORT = 694;

/** Seen from the router it is injected at. */
export type Direction = 'in' | 'out';

export interface Loss {
  readonly legs: readonly Leg[];
  readonly directions: readonly Direction[];
  /** `heartbeats` alone, or `all` packets of the leg, ARP and neighbour discovery too. */
  readonly what: 'heartbeats' | 'all';
}

const LOSS_TABLE = 'tandem_test_loss';

/**
 * Loses packets at a router until `heal`. At the device's own hooks, before and after everything else: what does not come in was not
 * seen by anybody, what is not to go out was sent as far as its sender knows.
 */
export async function lose(topology: Topology, router: Router, { legs, directions, what }: Loss): Promise<void> {
  const match = what === 'all' ? '' : `udp dport ${HEARTBEAT_PORT} `;
  const chains = legs.flatMap(leg =>
    directions.map(direction => {
      const hook = direction === 'in' ? 'ingress' : 'egress';
      // Ahead of any other chain there, so that the fault is the first thing that happens.
      const type = `type filter hook ${hook} device "${INTERFACES[leg]}" priority -600;`;
      return `chain ${leg}_${direction} { ${type} policy accept; ${match}drop; };`;
    }),
  );
  await topology.exec(router, 'nft', ['-f', '-'], { input: `table netdev ${LOSS_TABLE} { ${chains.join(' ')} }\n` });
}

export async function heal(topology: Topology, router: Router): Promise<void> {
  await topology.exec(router, 'nft', ['delete', 'table', 'netdev', LOSS_TABLE]);
}

/** Pulls the plug of one leg at the switch (the interface loses its carrier), or puts it back. */
export async function setPlug(topology: Topology, router: Router, leg: Leg, state: 'up' | 'down'): Promise<void> {
  await topology.exec('lan', 'ip', ['link', 'set', portOf(router, leg), state]);
}

function portOf(router: Router, leg: Leg): string {
  return `${router}-${INTERFACES[leg]}`;
}

/** Cables whole, LANs dead: the switch forwards nothing to or from these ports, the router keeps its carriers. All at one instant. */
export function cutOff(topology: Topology, router: Router, legs: readonly Leg[]): Promise<void> {
  return setPorts(topology, router, legs, 'disabled');
}

export function reconnect(topology: Topology, router: Router, legs: readonly Leg[]): Promise<void> {
  return setPorts(topology, router, legs, 'forwarding');
}

async function setPorts(topology: Topology, router: Router, legs: readonly Leg[], state: string): Promise<void> {
  const input = legs.map(leg => `link set dev ${portOf(router, leg)} state ${state}\n`).join('');
  await topology.exec('lan', 'bridge', ['-batch', '-'], { input });
}

/** Another machine on one of the LANs, with a namespace and a MAC of its own. */
export interface Stranger {
  readonly mac: string;
  /** Its port on the switch. */
  readonly port: string;
  exec(file: string, args: readonly string[]): Promise<void>;
  /** Puts one frame on the wire. */
  /** Puts a frame on the wire, `count` times (default once), at most 5,000 a second. */
  send(frame: Buffer, count?: number): Promise<void>;
  /** Answers for an address as a host that has it: ARP and echo (or neighbour discovery and echo). */
  take(address: string): Promise<void>;
  letGo(address: string): Promise<void>;
  /** Answers ARP for what it could forward to, as a router with proxy ARP does; echoes it answers none. */
  proxy(address: string): Promise<void>;
  remove(): Promise<void>;
}

const STRANGER_MACS: Readonly<Record<Leg, string>> = {
  clients: '02:00:5e:00:66:00',
  servers: '02:00:5e:00:66:01',
  cross: '02:00:5e:00:66:02',
};
const STRANGER_ADDRESSES: Readonly<Record<Leg, readonly string[]>> = {
  clients: ['192.0.2.200/24', '2001:db8:1::200/64'],
  servers: ['198.51.100.200/24', '2001:db8:2::200/64'],
  cross: ['203.0.113.200/24', '2001:db8:3::200/64'],
};

export async function addStranger(topology: Topology, leg: Leg, wire: string): Promise<Stranger> {
  const lan = topology.namespace('lan');
  const ns = `${lan.slice(0, -'lan'.length)}odd-${leg.slice(0, 2)}`;
  const [mac, port] = [STRANGER_MACS[leg], `odd-${leg}`];
  const exec = async (file: string, args: readonly string[]): Promise<void> => {
    await runIn(ns, file, args);
  };
  await run('ip', ['netns', 'add', ns]);
  await run('ip', ['-n', lan, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'o0', 'address', mac, 'netns', ns]);
  await run('ip', ['-n', lan, 'link', 'set', port, 'master', leg, 'up']);
  for (const device of ['lo', 'o0']) await exec('ip', ['link', 'set', device, 'up']);
  for (const address of STRANGER_ADDRESSES[leg])
    await exec('ip', ['address', 'add', address, 'dev', 'o0', ...(address.includes(':') ? ['nodad'] : [])]);
  const single = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`;
  return {
    mac,
    port,
    exec,
    send: (frame, count = 1) => exec(wire, ['send', 'o0', frame.toString('hex'), String(count)]),
    take: address =>
      exec('ip', ['address', 'add', single(address), 'dev', 'o0', ...(address.includes(':') ? ['nodad'] : [])]),
    letGo: address => exec('ip', ['address', 'delete', single(address), 'dev', 'o0']),
    proxy: async address => {
      await exec('sysctl', [
        '-qw',
        'net.ipv4.ip_forward=1',
        'net.ipv4.conf.o0.proxy_arp=1',
        'net.ipv4.neigh.o0.proxy_delay=0',
      ]);
      await exec('ip', ['link', 'add', 'beyond', 'type', 'bridge']);
      await exec('ip', ['link', 'set', 'beyond', 'up']);
      await exec('ip', ['route', 'add', single(address), 'dev', 'beyond']);
    },
    remove: async () => {
      await run('ip', ['-n', lan, 'link', 'delete', port]);
      await run('ip', ['netns', 'delete', ns]);
    },
  };
}

const bytesOf = (mac: string): number[] => mac.split(':').map(octet => Number.parseInt(octet, 16));

/** A gratuitous ARP by which `mac` claims an IPv4 address. */
export function gratuitousArp(address: string, mac: string, form: 'request' | 'reply'): Buffer {
  const [own, ip] = [bytesOf(mac), address.split('.').map(Number)];
  const broadcast = bytesOf('ff:ff:ff:ff:ff:ff');
  const head = [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, form === 'request' ? 1 : 2];
  const target = form === 'request' ? broadcast : own;
  return Buffer.from([...broadcast, ...own, ...head, ...own, ...ip, ...target, ...ip]);
}

/** An unsolicited neighbour advertisement with override by which `mac` claims an IPv6 address; `address` as 16 bytes. */
export function unsolicitedNa(address: Buffer, mac: string): Buffer {
  const own = bytesOf(mac);
  const allNodes = Buffer.from('ff020000000000000000000000000001', 'hex');
  const icmp = Buffer.concat([Buffer.from([136, 0, 0, 0, 0x20, 0, 0, 0]), address, Buffer.from([2, 1, ...own])]);
  const pseudo = Buffer.concat([address, allNodes, Buffer.from([0, 0, 0, icmp.length, 0, 0, 0, 58])]);
  icmp.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, icmp])), 2);
  const ip = Buffer.concat([Buffer.from([0x60, 0, 0, 0, 0, icmp.length, 58, 255]), address, allNodes]);
  return Buffer.concat([Buffer.from([0x33, 0x33, 0, 0, 0, 1, ...own, 0x86, 0xdd]), ip, icmp]);
}

/** RFC 1071, of an even number of bytes. */
function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The ICMP error (type 3 with `code`) by which a forger says that `from`'s datagram to `to` could not be delivered. */
export function forgedUnreachable(about: {
  readonly from: string;
  readonly to: string;
  readonly toMac: string;
  readonly mac: string;
  readonly code: number;
}): Buffer {
  const ip = (source: string, target: string, protocol: number, bytes: number): Buffer => {
    const head = [0x45, 0, 0, bytes + 20, 0, 0, 0, 0, 64, protocol, 0, 0];
    const header = Buffer.from([...head, ...source.split('.').map(Number), ...target.split('.').map(Number)]);
    header.writeUInt16BE(internetChecksum(header), 10);
    return header;
  };
  const port = [HEARTBEAT_PORT >> 8, HEARTBEAT_PORT & 255];
  const quoted = Buffer.concat([ip(about.from, about.to, 17, 8), Buffer.from([...port, ...port, 0, 8, 0, 0])]);
  const icmp = Buffer.concat([Buffer.from([3, about.code, 0, 0, 0, 0, 0, 0]), quoted]);
  icmp.writeUInt16BE(internetChecksum(icmp), 2);
  const ethernet = Buffer.from([...bytesOf(about.toMac), ...bytesOf(about.mac), 0x08, 0]);
  return Buffer.concat([ethernet, ip(about.to, about.from, 1, icmp.length), icmp]);
}

export interface Flood {
  readonly from: Host;
  /** Need not be an address of `from`. */
  readonly source: string;
  readonly target: string;
  readonly datagrams: number;
}

/** Datagrams from heartbeat port to heartbeat port that no peer would send: empty, too long, cut off, forged, noise. */
export async function flood(topology: Topology, wire: string, about: Flood): Promise<void> {
  const { from, source, target, datagrams } = about;
  await topology.exec(from, wire, ['noise', source, target, String(HEARTBEAT_PORT), String(datagrams)]);
}

/** Does something again and again with a pause between. */
export async function repeatedly(times: number, pauseMs: number, act: (index: number) => Promise<void>): Promise<void> {
  for (let index = 0; index < times; index += 1) {
    if (index > 0) await sleep(pauseMs);
    await act(index);
  }
}
