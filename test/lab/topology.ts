// The pair's network in namespaces: a client, two routers, three FTP servers, and one namespace with the switches between
// them, so that nothing is made in the caller's own namespace. Io. Every command costs tens of milliseconds under emulation:
// `ip -batch` throughout, and power is cut through an `ip` that already runs.
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { killAllIn, processesIn, type RunOptions, type RunResult, run, runIn, signalAll, startIn } from './netns.ts';

export const ROUTERS = ['r1', 'r2'] as const;
export type Router = (typeof ROUTERS)[number];
export const FILE_SERVERS = ['fs1', 'fs2', 'fs3'] as const;
export type FileServer = (typeof FILE_SERVERS)[number];
export type Host = 'client' | Router | FileServer;

export const VIP = '192.0.2.100';
export const GATEWAY = '198.51.100.1';
/** Three addresses, so that three clients with a persistence template each can be had from one namespace. */
export const CLIENT_ADDRESSES = ['192.0.2.10', '192.0.2.11', '192.0.2.12'] as const;
export const SERVER_ADDRESSES: Readonly<Record<FileServer, string>> = {
  fs1: '198.51.100.11',
  fs2: '198.51.100.12',
  fs3: '198.51.100.13',
};

interface Leg {
  readonly interface: string;
  /** The switch in the `lan` namespace it is plugged into. */
  readonly bridge: 'clients' | 'servers' | 'cross';
  readonly addresses: readonly string[];
}

function routerLegs(last: number): Leg[] {
  return [
    { interface: 'c0', bridge: 'clients', addresses: [`192.0.2.${last + 1}/24`] },
    { interface: 's0', bridge: 'servers', addresses: [`198.51.100.${last + 1}/24`] },
    { interface: 'x0', bridge: 'cross', addresses: [`203.0.113.${last}/24`] },
  ];
}
function serverLegs(address: string): Leg[] {
  return [{ interface: 's0', bridge: 'servers', addresses: [`${address}/24`] }];
}

const HOSTS: Readonly<Record<Host, { readonly legs: readonly Leg[]; readonly gateway?: string }>> = {
  client: {
    legs: [{ interface: 'c0', bridge: 'clients', addresses: CLIENT_ADDRESSES.map(address => `${address}/24`) }],
  },
  r1: { legs: routerLegs(1) },
  r2: { legs: routerLegs(2) },
  fs1: { legs: serverLegs(SERVER_ADDRESSES.fs1), gateway: GATEWAY },
  fs2: { legs: serverLegs(SERVER_ADDRESSES.fs2), gateway: GATEWAY },
  fs3: { legs: serverLegs(SERVER_ADDRESSES.fs3), gateway: GATEWAY },
};
const NAMES = Object.keys(HOSTS) as Host[];

/** Fast enough after a burst of changes, and the switches learn nothing of multicast (the kernel's sync uses it). */
const BRIDGE = 'type bridge forward_delay 0 mcast_snooping 0';

export interface TopologyOptions {
  /** Before every namespace's name, so that topologies can stand side by side; default none. At most 20 characters. */
  readonly prefix?: string;
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
  const namespace = (host: Host | 'lan'): string => `${prefix}${host}`;
  const all = [...NAMES, 'lan'] as const;
  await run('ip', ['-batch', '-'], { input: lines(all.map(host => `netns add ${namespace(host)}`)) });
  try {
    // Switches that speak by themselves (MLD, ND) would blur who said what.
    await runIn(namespace('lan'), 'sysctl', ['-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
    await batchIn(namespace('lan'), [
      ...(['clients', 'servers', 'cross'] as const).flatMap(name => [
        `link add ${name} ${BRIDGE}`,
        `link set ${name} up`,
      ]),
      ...NAMES.flatMap(host => plugIn(host, namespace(host))),
    ]);
    await Promise.all(NAMES.map(host => batchIn(namespace(host), addressing(host))));
    return handle(namespace, startSwitch(namespace('lan')));
  } catch (error) {
    await removeAll(all.map(namespace));
    throw error;
  }
}

function batchIn(ns: string, commands: readonly string[]): Promise<RunResult> {
  return run('ip', ['-n', ns, '-batch', '-'], { input: lines(commands) });
}

/** A host keeps its MACs through a reboot, else its neighbours would look for the old ones. */
function macOf(host: Host, leg: Leg): string {
  const octet = (index: number): string => index.toString(16).padStart(2, '0');
  return `02:00:5e:00:${octet(NAMES.indexOf(host))}:${octet(HOSTS[host].legs.indexOf(leg))}`;
}

function plugIn(host: Host, ns: string): string[] {
  return HOSTS[host].legs.flatMap(leg => [
    `link add ${portOf(host, leg)} type veth peer name ${leg.interface} address ${macOf(host, leg)} netns ${ns}`,
    `link set ${portOf(host, leg)} master ${leg.bridge} up`,
  ]);
}

function addressing(host: Host): string[] {
  const { legs, gateway } = HOSTS[host];
  return [
    'link set lo up',
    ...legs.flatMap(leg => [
      `link set ${leg.interface} up`,
      ...leg.addresses.map(address => `address add ${address} dev ${leg.interface}`),
    ]),
    ...(gateway === undefined ? [] : [`route add default via ${gateway}`]),
  ];
}

/** An `ip` that waits for commands in the switches' namespace: a written line takes effect within a millisecond. */
function startSwitch(lan: string): ChildProcess {
  const child = startIn(lan, 'ip', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.on('error', error => process.stderr.write(`the switch's ip did not start: ${error.message}\n`));
  child.stdin?.on('error', () => undefined);
  return child;
}

function handle(namespace: Topology['namespace'], powerSwitch: ChildProcess): Topology {
  const switchLinks = (router: Router, state: 'up' | 'down'): void => {
    const commands = HOSTS[router].legs.map(leg => `link set ${portOf(router, leg)} ${state}`);
    powerSwitch.stdin?.write(lines(commands));
  };
  return {
    namespace,
    exec: (host, file, args, options) => runIn(namespace(host), file, args, options),
    start: (host, file, args, options) => startIn(namespace(host), file, args, options),
    cutPower: router => cutPower(namespace, router, () => switchLinks(router, 'down')),
    restorePower: router => reboot(namespace, router),
    destroy: async () => {
      powerSwitch.stdin?.end();
      await removeAll([...NAMES, 'lan' as const].map(namespace));
    },
  };
}

/**
 * Stops the router's processes before the links go: killed first, one could see the other end and still say farewell; with
 * the links first, a process could see one fall and speak on another.
 */
async function cutPower(namespace: Topology['namespace'], router: Router, unplug: () => void): Promise<PowerCut> {
  const pids = await processesIn(namespace(router));
  signalAll(pids, 'SIGSTOP');
  unplug();
  const at = wallNow();
  await killAllIn(namespace(router));
  const { stdout } = await run('ip', ['-n', namespace('lan'), '-o', 'link', 'show', 'up']);
  const stillUp = HOSTS[router].legs.filter(leg => stdout.includes(`${portOf(router, leg)}@`));
  if (stillUp.length > 0) throw new Error(`power cut of ${router}: ${stillUp.map(leg => leg.interface)} still up`);
  return { at };
}

async function reboot(namespace: Topology['namespace'], router: Router): Promise<void> {
  await killAllIn(namespace(router));
  // A namespace's end is asynchronous: its veths are removed by their other ends, which is not.
  await batchIn(
    namespace('lan'),
    HOSTS[router].legs.map(leg => `link delete ${portOf(router, leg)}`),
  );
  await run('ip', ['-batch', '-'], {
    input: lines(['delete', 'add'].map(verb => `netns ${verb} ${namespace(router)}`)),
  });
  await batchIn(namespace('lan'), plugIn(router, namespace(router)));
  await batchIn(namespace(router), addressing(router));
}

async function removeAll(namespaces: readonly string[]): Promise<void> {
  await Promise.all(namespaces.map(killAllIn));
  await run('ip', ['-force', '-batch', '-'], { input: lines(namespaces.map(ns => `netns delete ${ns}`)) });
}
