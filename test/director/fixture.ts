// A config and a kernel without hardware for tests of the director: ipvsadm on the model's text level, one nftables table,
// settings in a map.
import type { CommandResult, Run } from '../../src/command/io/run-command.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { createKernel, type Kernel } from '../../src/director/io/kernel.ts';
import type { Problem } from '../../src/director/plan.ts';
import type { KernelInterface } from '../../src/firewall/interfaces.ts';
import { createIpvsadm, type Ipvsadm } from '../../src/ipvs/io/ipvsadm.ts';
import { NOTHING_WATCHED_YET } from '../../src/nanny/conditions.ts';
import type { Verdict } from '../../src/nanny/verdict.ts';
import type { SyncStatus } from '../../src/status/sync-status.ts';
import { type IpvsModel, ipvsModel, modelIpvsadm } from '../ipvs/model.ts';

export const NODE = 'r1';

export interface FixtureOptions {
  readonly services?: Readonly<Record<string, unknown>>;
  readonly sync?: boolean;
}

export const FTP = {
  vip: '192.0.2.100',
  servers_lan: 'servers',
  mark: 21,
  servers: { fs1: { address: '198.51.100.11' }, fs2: { address: '198.51.100.12', weight: 2 } },
};
export const FTP6 = {
  vip: '2001:db8:1::100',
  servers_lan: 'servers',
  mark: 26,
  scheduler: 'sh',
  servers: { fs1: { address: '2001:db8:2::11' } },
};

/** Not FTP: another port on the servers, and HTTP with HTTPS by one mark. */
export const PROXY = {
  kind: 'tcp',
  vip: '192.0.2.101',
  servers_lan: 'servers',
  mark: 81,
  ports: 80,
  server_port: 8080,
  servers: { w1: { address: '198.51.100.31' } },
};
export const DNS = {
  kind: 'udp',
  vip: '192.0.2.100',
  servers_lan: 'servers',
  mark: 53,
  ports: 53,
  persistence: '1m',
  servers: { d1: { address: '198.51.100.53' } },
};
export const WEB_DR = {
  kind: 'tcp',
  vip: '192.0.2.100',
  forwarding: 'dr',
  mark: 80,
  ports: [80, 443],
  persistence: '10m',
  servers: { w1: { address: '192.0.2.131' } },
};

/** The servers answer straight: on the VIP's own LAN, and anywhere. */
export const FTP_DR = {
  vip: '192.0.2.100',
  forwarding: 'dr',
  mark: 23,
  servers: { fs1: { address: '192.0.2.111' }, fs2: { address: '192.0.2.112' } },
};
export const FTP6_TUN = {
  vip: '2001:db8:1::100',
  forwarding: 'tun',
  mark: 24,
  active: false,
  servers: { fs1: { address: '2001:db8:9::11' } },
};

export function configOf({ services = { ftp: FTP }, sync = true }: FixtureOptions = {}): Config {
  return configSchema.parse({
    pair: 'test',
    routers: { r1: { priority: 110 }, r2: {} },
    lans: {
      client: {
        interface: 'c0',
        addresses: { r1: ['192.0.2.2/24', '2001:db8:1::2/64'], r2: ['192.0.2.3/24', '2001:db8:1::3/64'] },
        vips: ['192.0.2.100', '192.0.2.101', '2001:db8:1::100'],
      },
      servers: {
        interface: { r1: 's0', r2: 's9' },
        addresses: { r1: '198.51.100.2/24', r2: '198.51.100.3/24' },
        gateways: ['198.51.100.1'],
      },
      cross: { interface: 'x0', addresses: { r1: '203.0.113.1/24', r2: '203.0.113.2/24' } },
    },
    heartbeat: { links: ['client'] },
    sync: { enabled: sync },
    services,
  });
}

export function verdict(server: string, state: Verdict['state'], service = 'ftp'): Verdict {
  const last = {
    ok: state !== 'down' && state !== 'misconfigured',
    tookMs: 12,
    bytes: 5,
    stage: 'login',
    problem: 'refused',
    words: '530 no',
  } as const;
  // One that is down here is dead, unless a test says else.
  const about = {
    alive: state !== 'down',
    kept: false,
    checkedAt: '2026-11-22T16:00:00.000Z',
    conditions: NOTHING_WATCHED_YET,
  };
  return { service, server, state, last: last as unknown as Verdict['last'], ...about };
}

export interface FakeKernel {
  readonly kernel: Kernel;
  readonly ipvsadm: Ipvsadm;
  readonly ipvs: IpvsModel;
  readonly sysctls: Map<string, string>;
  /** Settings that this namespace only shows. */
  readonly readOnlySysctls: Set<string>;
  /** Our nftables table, as nft would list it; undefined: not there. */
  nft: string | undefined;
  /** Texts given to `nft -f`. */
  readonly nftApplied: string[];
  /** What is in the sets of known clients, each with 30 s left. */
  known: readonly string[];
  /** Arguments of conntrack. */
  readonly conntrack: string[];
  ftpHelper: boolean;
  /** Below net.ipv6.conf. */
  interfaces6: readonly string[];
  interfaces: readonly KernelInterface[];
  /** MACs of this host's neighbours, by their addresses. */
  neighbours: Readonly<Record<string, string>>;
  /** Makes a program fail with these words. */
  readonly broken: Map<string, string>;
}

export const FRESH_SYSCTLS: readonly (readonly [string, string])[] = [
  ['net.ipv4.ip_forward', '0'],
  ['net.ipv6.conf.all.forwarding', '0'],
  ['net.ipv4.vs.sloppy_tcp', '0'],
  ['net.ipv4.vs.expire_quiescent_template', '0'],
  ['net.ipv4.vs.drop_entry', '0'],
  ['net.ipv4.vs.drop_packet', '0'],
  ['net.ipv4.vs.secure_tcp', '0'],
  ['net.ipv4.vs.conntrack', '0'],
  ['net.netfilter.nf_conntrack_events', '2'],
  ['net.ipv4.vs.sync_threshold', '3 50'],
  ['net.ipv4.vs.sync_refresh_period', '0'],
  ['net.ipv4.vs.sync_retries', '0'],
  ['net.ipv4.vs.sync_sock_size', '0'],
  ['net.ipv4.vs.sync_qlen_max', '15191'],
  ['net.ipv4.vs.sync_version', '1'],
  ['net.ipv4.vs.sync_ports', '1'],
  ['net.ipv4.vs.sync_persist_mode', '0'],
  ['net.netfilter.nf_conntrack_tcp_be_liberal', '0'],
  ['net.netfilter.nf_conntrack_tcp_loose', '1'],
];

export function fakeKernel(): FakeKernel {
  const ipvs = ipvsModel();
  const runIpvsadm = modelIpvsadm(ipvs);
  const fake = {
    ipvs,
    sysctls: new Map(FRESH_SYSCTLS),
    readOnlySysctls: new Set<string>(),
    nft: undefined as string | undefined,
    nftApplied: [] as string[],
    known: [] as readonly string[],
    conntrack: [] as string[],
    ftpHelper: false,
    interfaces6: [] as readonly string[],
    interfaces: ['c0', 's0', 'x0'].map(name => ({ name, altnames: [], addresses: [] })) as readonly KernelInterface[],
    neighbours: {} as Readonly<Record<string, string>>,
    broken: new Map<string, string>(),
  };
  const runCommand: Run = async (program, args, options) => {
    const words = fake.broken.get(program);
    if (words !== undefined) return { status: 1, stdout: '', stderr: words };
    if (program === 'ipvsadm') return runIpvsadm(program, args, options);
    if (program === 'ip' && args.includes('neighbour')) {
      const list = Object.entries(fake.neighbours).map(([dst, lladdr]) => ({
        dst,
        dev: 'c0',
        lladdr,
        state: ['STALE'],
      }));
      return { status: 0, stdout: JSON.stringify([...list, { dst: '192.0.2.77', state: ['FAILED'] }]), stderr: '' };
    }
    if (program === 'nft') return runNft(fake, args, options?.input ?? '');
    fake.conntrack.push(args.join(' '));
    return { status: 0, stdout: '', stderr: 'conntrack v1.4.7 (conntrack-tools): 1 flow entries have been deleted.\n' };
  };
  const ipvsadm = createIpvsadm(runCommand);
  const real = createKernel(runCommand, ipvsadm);
  const kernel: Kernel = {
    ...real,
    ipvsSignature: async () =>
      JSON.stringify(
        [...ipvs.services.values()].map(({ key, servers }) => [key, servers.map(s => [s.address, s.weight])]),
      ),
    readInterfaces: async () => fake.interfaces,
    interfaceNames: async () => fake.interfaces.map(({ name }) => name),
    ipv6Interfaces: async () => fake.interfaces6,
    readSysctls: async names => new Map(names.map(name => [name, fake.sysctls.get(name)])),
    readOnlySysctls: async () => fake.readOnlySysctls,
    writeSysctl: async (name, value) => {
      fake.sysctls.set(name, value);
      return undefined;
    },
    ftpHelperLoaded: async () => fake.ftpHelper,
  };
  return Object.assign(fake, { kernel, ipvsadm });
}

function runNft(
  fake: { nft: string | undefined; nftApplied: string[]; known: readonly string[] },
  args: readonly string[],
  input: string,
): CommandResult {
  if (args[0] === '-f') {
    fake.nftApplied.push(input);
    const [table = '', ...elements] = input.split(/^(?=add element )/m);
    // Elements go into a table that is there; a listing has none.
    if (table === '' && elements.length > 0) return { status: 0, stdout: '', stderr: '' };
    const body = table.replace('add table inet tandem\ndelete table inet tandem\n', '');
    fake.nft = body === '' ? undefined : body;
    return { status: 0, stdout: '', stderr: '' };
  }
  if (args[0] === '-j' && args[2] === 'set') {
    const known = fake.known.map(val => ({ elem: { val, timeout: 7_200, expires: 30 } }));
    return { status: 0, stdout: JSON.stringify({ nftables: [{ set: { elem: known } }] }), stderr: '' };
  }
  if (fake.nft === undefined) return { status: 1, stdout: '', stderr: 'Error: No such file or directory\n' };
  return { status: 0, stdout: fake.nft, stderr: '' };
}

export function codes(problems: readonly Problem[]): string[] {
  return problems.map(problem => (problem.about === '' ? problem.code : `${problem.code} ${problem.about}`));
}

/** A standby that is up to date. */
export function syncStatus(changes: Partial<SyncStatus> = {}): SyncStatus {
  return {
    phase: 'streaming',
    role: 'sink',
    warm: true,
    links: [{ lan: 'cross', connected: true, rttMs: 0.3 }],
    templates: 10,
    connections: 20,
    lagMs: 5,
    unacknowledged: 0,
    counters: {},
    resync: null,
    store: { type: 'file', savedAt: null, templates: 0, connections: 0, problem: '', restored: null },
    problems: [],
    ...changes,
  };
}
