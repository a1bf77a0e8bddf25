// The pair's network in namespaces: a client, two routers, three FTP servers, on demand a host for Redis, and one namespace with
// the switches between them, so that nothing is made in the caller's own namespace. Io. Every command costs tens of milliseconds under emulation:
// `ip -batch` throughout, and power is cut through an `ip` that already runs.
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { gatewayCommands } from '../../../src/real-server/host.ts';
import type { Address } from '../../../src/units/address.ts';
import { killAllIn, processesIn, type RunOptions, type RunResult, run, runIn, signalAll, startIn } from './netns.ts';

export const ROUTERS = ['r1', 'r2'] as const;
export type Router = (typeof ROUTERS)[number];
export const FILE_SERVERS = ['fs1', 'fs2', 'fs3'] as const;
export type FileServer = (typeof FILE_SERVERS)[number];
/** `store`: the host that Redis runs on, only where the topology has one. */
export type Host = 'client' | Router | FileServer | 'store';

export const VIP = '192.0.2.100';
export const GATEWAY = '198.51.100.1';
/** Three addresses, so that three clients with a persistence template each can be had from one namespace. */
export const CLIENT_ADDRESSES = ['192.0.2.10', '192.0.2.11', '192.0.2.12'] as const;
export const SERVER_ADDRESSES: Readonly<Record<FileServer, string>> = {
  fs1: '198.51.100.11',
  fs2: '198.51.100.12',
  fs3: '198.51.100.13',
};
export const STORE_ADDRESS = '203.0.113.50';

/** The same hosts by IPv6, in topologies that have it. */
export const VIP6 = '2001:db8:1::100';
export const GATEWAY6 = '2001:db8:2::1';
export const SERVER_ADDRESSES6: Readonly<Record<FileServer, string>> = {
  fs1: '2001:db8:2::11',
  fs2: '2001:db8:2::12',
  fs3: '2001:db8:2::13',
};

/** The servers on the clients' LAN, in topologies where they answer straight (`direct`). */
export const DIRECT_ADDRESSES: Readonly<Record<FileServer, string>> = {
  fs1: '192.0.2.111',
  fs2: '192.0.2.112',
  fs3: '192.0.2.113',
};
export const DIRECT_ADDRESSES6: Readonly<Record<FileServer, string>> = {
  fs1: '2001:db8:1::111',
  fs2: '2001:db8:1::112',
  fs3: '2001:db8:1::113',
};

/** Most client addresses: the VIP is above them. */
const CLIENTS_MAX = 90;
/** Address of client number `index`, from 0; the first three are CLIENT_ADDRESSES. */
export function clientAddress(index: number): string {
  return `192.0.2.${10 + index}`;
}
export function clientAddress6(index: number): string {
  return `2001:db8:1::${10 + index}`;
}

interface Leg {
  readonly interface: string;
  /** The switch in the `lan` namespace it is plugged into. */
  readonly bridge: Bridge;
  readonly addresses: readonly string[];
}
type Bridge = 'clients' | 'servers' | 'cross';

interface HostSpec {
  readonly host: Host;
  readonly legs: readonly Leg[];
  readonly gateways?: readonly string[];
}

/** Every host of the topology, with its addresses. */
function hostsOf(options: TopologyOptions): HostSpec[] {
  const { clients = CLIENT_ADDRESSES.length, ipv6 = false, store = false, direct = false } = options;
  if (clients < 1 || clients > CLIENTS_MAX)
    throw new RangeError(`clients ${clients}: 1 to ${CLIENTS_MAX} have addresses`);
  const six = (...addresses: string[]): string[] => (ipv6 ? addresses : []);
  const leg = (bridge: Bridge, name: string, four: readonly string[], sixes: readonly string[]): Leg => ({
    interface: name,
    bridge,
    addresses: [...four.map(address => `${address}/24`), ...six(...sixes).map(address => `${address}/64`)],
  });
  const numbers = Array.from({ length: clients }, (_, index) => index);
  const router = (host: Router, last: number): HostSpec => ({
    host,
    legs: [
      leg('clients', 'c0', [`192.0.2.${last + 1}`], [`2001:db8:1::${last + 1}`]),
      leg('servers', 's0', [`198.51.100.${last + 1}`], [`2001:db8:2::${last + 1}`]),
      leg('cross', 'x0', [`203.0.113.${last}`], [`2001:db8:3::${last}`]),
    ],
  });
  const fileServer = (host: FileServer): HostSpec => {
    const legs = [leg('servers', 's0', [SERVER_ADDRESSES[host]], [SERVER_ADDRESSES6[host]])];
    if (!direct) return { host, legs, gateways: [GATEWAY, ...six(GATEWAY6)] };
    return { host, legs: [...legs, leg('clients', 'c0', [DIRECT_ADDRESSES[host]], [DIRECT_ADDRESSES6[host]])] };
  };
  return [
    { host: 'client', legs: [leg('clients', 'c0', numbers.map(clientAddress), numbers.map(clientAddress6))] },
    router('r1', 1),
    router('r2', 2),
    ...FILE_SERVERS.map(fileServer),
    ...(store ? [{ host: 'store' as const, legs: [leg('cross', 'x0', [STORE_ADDRESS], [])] }] : []),
  ];
}

/** Fast enough after a burst of changes, and the switches learn nothing of multicast (the kernel's sync uses it). */
const BRIDGE = 'type bridge forward_delay 0 mcast_snooping 0';

export interface TopologyOptions {
  /** Before every namespace's name, so that topologies can stand side by side; default none. At most 20 characters. */
  readonly prefix?: string;
  /** Addresses of the client; default three. */
  readonly clients?: number;
  /** Every LAN has IPv6 too (2001:db8:1::/64 clients, :2:: servers, :3:: cross); default not. */
  readonly ipv6?: boolean;
  /** With a host for Redis on the cross LAN; default not. */
  readonly store?: boolean;
  /**
   * The servers are on the clients' LAN, too, and answer the clients straight, for DR and TUN; they have no gateway. VIPs and
   * tunnels come with the FTP servers. Default not.
   */
  readonly direct?: boolean;
}

export interface PowerCut {
  /** Wall time in ms (with a fraction) at which the router's processes had stopped and its links were told to go down. */
  readonly at: number;
}

export interface Topology {
  /** Name of a host's namespace. */
  readonly namespace: (host: Host | 'lan') => string;
  readonly exec: (
    host: Host | 'lan',
    file: string,
    args: readonly string[],
    options?: RunOptions,
  ) => Promise<RunResult>;
  readonly start: (host: Host, file: string, args: readonly string[], options?: SpawnOptions) => ChildProcess;
  /** What pulling the plug does: nothing runs and nothing gets out any more, not even a farewell. */
  readonly cutPower: (router: Router) => Promise<PowerCut>;
  /** The router comes back as after a boot: links up, own addresses, no other state, nothing running. */
  readonly restorePower: (router: Router) => Promise<void>;
  /** Kills everything in the namespaces and removes them. */
  readonly destroy: () => Promise<void>;
}

/** Milliseconds since 1970, finer than Date.now() and without its jumps. */
export function wallNow(): number {
  return performance.timeOrigin + performance.now();
}

const portOf = (host: Host, leg: Leg): string => `${host}-${leg.interface}`;
const lines = (commands: readonly string[]): string => `${commands.join('\n')}\n`;

/** Builds the topology; throws when namespaces of these names exist. */
export async function buildTopology(options: TopologyOptions = {}): Promise<Topology> {
  const prefix = options.prefix ?? '';
  if (!/^[a-z0-9-]{0,20}$/.test(prefix))
    throw new RangeError(`prefix "${prefix}": use a-z, 0-9 and dashes, at most 20`);
  const hosts = hostsOf(options);
  const namespace = (host: Host | 'lan'): string => `${prefix}${host}`;
  const all = [...hosts.map(({ host }) => namespace(host)), namespace('lan')];
  await run('ip', ['-batch', '-'], { input: lines(all.map(name => `netns add ${name}`)) });
  try {
    // Switches that speak by themselves (MLD, ND) would blur who said what.
    await runIn(namespace('lan'), 'sysctl', ['-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
    await batchIn(namespace('lan'), [
      ...(['clients', 'servers', 'cross'] as const).flatMap(name => [
        `link add ${name} ${BRIDGE}`,
        `link set ${name} up`,
      ]),
      ...hosts.flatMap((spec, index) => plugIn(spec, index, namespace(spec.host))),
    ]);
    await Promise.all(hosts.map(spec => batchIn(namespace(spec.host), addressing(spec))));
    return handle(namespace, hosts, startSwitch(namespace('lan')));
  } catch (error) {
    await removeAll(all);
    throw error;
  }
}

function batchIn(ns: string, commands: readonly string[]): Promise<RunResult> {
  return run('ip', ['-n', ns, '-batch', '-'], { input: lines(commands) });
}

/** A host keeps its MACs through a reboot, else its neighbours would look for the old ones. */
function macOf(host: number, leg: number): string {
  const octet = (index: number): string => index.toString(16).padStart(2, '0');
  return `02:00:5e:00:${octet(host)}:${octet(leg)}`;
}

/** `index`: the host's number in the topology. */
function plugIn({ host, legs }: HostSpec, index: number, ns: string): string[] {
  return legs.flatMap((leg, number) => [
    `link add ${portOf(host, leg)} type veth peer name ${leg.interface} address ${macOf(index, number)} netns ${ns}`,
    `link set ${portOf(host, leg)} master ${leg.bridge} up`,
  ]);
}

function addressing({ legs, gateways = [] }: HostSpec): string[] {
  return [
    'link set lo up',
    ...legs.flatMap(leg => [
      `link set ${leg.interface} up`,
      // IPv6 without duplicate address detection, which would make every address wait for a second.
      ...leg.addresses.map(
        address => `address add ${address} dev ${leg.interface}${address.includes(':') ? ' nodad' : ''}`,
      ),
    ]),
    ...gateways.flatMap(gateway => gatewayCommands(gateway as Address)).map(command => command.replace(/^ip /, '')),
  ];
}

/** An `ip` that waits for commands in the switches' namespace: a written line takes effect within a millisecond. */
function startSwitch(lan: string): ChildProcess {
  const child = startIn(lan, 'ip', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.on('error', error => process.stderr.write(`the switch's ip did not start: ${error.message}\n`));
  child.stdin?.on('error', () => undefined);
  return child;
}

function handle(namespace: Topology['namespace'], hosts: readonly HostSpec[], powerSwitch: ChildProcess): Topology {
  const legsOf = (router: Router): readonly Leg[] => hosts.find(({ host }) => host === router)?.legs ?? [];
  const switchLinks = (router: Router, state: 'up' | 'down'): void => {
    const commands = legsOf(router).map(leg => `link set ${portOf(router, leg)} ${state}`);
    powerSwitch.stdin?.write(lines(commands));
  };
  return {
    namespace,
    exec: (host, file, args, options) => runIn(namespace(host), file, args, options),
    start: (host, file, args, options) => startIn(namespace(host), file, args, options),
    cutPower: router => cutPower(namespace, router, legsOf(router), () => switchLinks(router, 'down')),
    restorePower: router => reboot(namespace, hosts, router),
    destroy: async () => {
      powerSwitch.stdin?.end();
      await removeAll([...hosts.map(({ host }) => namespace(host)), namespace('lan')]);
    },
  };
}

/**
 * Stops the router's processes before the links go: killed first, one could see the other end and still say farewell; with
 * the links first, a process could see one fall and speak on another.
 */
async function cutPower(
  namespace: Topology['namespace'],
  router: Router,
  legs: readonly Leg[],
  unplug: () => void,
): Promise<PowerCut> {
  const pids = await processesIn(namespace(router));
  signalAll(pids, 'SIGSTOP');
  unplug();
  const at = wallNow();
  await killAllIn(namespace(router));
  const { stdout } = await run('ip', ['-n', namespace('lan'), '-o', 'link', 'show', 'up']);
  const stillUp = legs.filter(leg => stdout.includes(`${portOf(router, leg)}@`));
  if (stillUp.length > 0) throw new Error(`power cut of ${router}: ${stillUp.map(leg => leg.interface)} still up`);
  return { at };
}

async function reboot(namespace: Topology['namespace'], hosts: readonly HostSpec[], router: Router): Promise<void> {
  const index = hosts.findIndex(({ host }) => host === router);
  const spec = hosts[index];
  if (!spec) throw new RangeError(`the topology has no ${router}`);
  await killAllIn(namespace(router));
  // A namespace's end is asynchronous: its veths are removed by their other ends, which is not.
  await batchIn(
    namespace('lan'),
    spec.legs.map(leg => `link delete ${portOf(router, leg)}`),
  );
  await run('ip', ['-batch', '-'], {
    input: lines(['delete', 'add'].map(verb => `netns ${verb} ${namespace(router)}`)),
  });
  await batchIn(namespace('lan'), plugIn(spec, index, namespace(router)));
  await batchIn(namespace(router), addressing(spec));
}

async function removeAll(namespaces: readonly string[]): Promise<void> {
  await Promise.all(namespaces.map(killAllIn));
  await run('ip', ['-force', '-batch', '-'], { input: lines(namespaces.map(ns => `netns delete ${ns}`)) });
}
