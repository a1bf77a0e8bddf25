// The kernel as the director sees it: IPVS, our nftables table, settings, modules, conntrack. Not
// pure. Nothing here rejects: what goes wrong comes back as a sentence, because the director goes
// on with whatever part works.
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { CommandError, type Run, run } from '../../command/io/run-command.ts';
import type { Counts } from '../../firewall/evidence.ts';
import type { KernelInterface } from '../../firewall/interfaces.ts';
import { interfaceNames, readInterfaces } from '../../firewall/io/interfaces.ts';
import { createNft, type Nft } from '../../firewall/io/nft.ts';
import type { KnownClients } from '../../firewall/known-clients.ts';
import { createIpvsadm, type Ipvsadm } from '../../ipvs/io/ipvsadm.ts';
import type { ServerCounts } from '../../ipvs/ipvsadm.ts';
import { tableSignature } from '../../ipvs/signature.ts';
import type { IpvsCommand, IpvsTable, IpvsTimeouts } from '../../ipvs/table.ts';
import { type Address, familyOf } from '../../units/address.ts';
import type { ConntrackTarget } from '../demotion.ts';
import type { Reading } from '../plan.ts';
import { normalValue, type SysctlValues, sysctlPath } from '../sysctl.ts';
import { type Neighbour, parseNeighbours } from '../vip-claimer.ts';

export interface Kernel {
  readIpvs(): Promise<Reading<{ readonly table: IpvsTable; readonly timeouts: IpvsTimeouts }>>;
  readCounts(): Promise<Reading<readonly ServerCounts[]>>;
  /**
   * What changes when somebody changes IPVS' services or servers (ipvs/signature.ts); cheap, for
   * often. '' without IPVS.
   */
  ipvsSignature(): Promise<string>;
  /** Interfaces with names, alternative names and addresses; as last read when ip cannot tell. */
  readInterfaces(): Promise<readonly KernelInterface[]>;
  /** Their names alone; cheap, for often. */
  interfaceNames(): Promise<readonly string[]>;
  /** Complaints, each a sentence; empty when all went in. */
  applyIpvs(commands: readonly IpvsCommand[]): Promise<readonly string[]>;
  readNft(): Promise<Reading<string | undefined>>;
  /** Packets by the counters of our table. */
  readCounters(): Promise<Reading<Counts>>;
  /** The rules of everybody, as `nft -j` lists them. */
  readAllRules(): Promise<Reading<string>>;
  /** The clients that the table knows now, of these services; none where they cannot be read. */
  readKnown(services: readonly string[]): Promise<KnownClients>;
  /** What went wrong; undefined when the rules are in. */
  applyNft(text: string): Promise<string | undefined>;
  /** What is below net.ipv6.conf: interfaces, `all` and `default`. */
  ipv6Interfaces(): Promise<readonly string[]>;
  readSysctls(names: readonly string[]): Promise<SysctlValues>;
  /** Those that nobody may write, whoever asks: this network namespace only shows them. */
  readOnlySysctls(names: readonly string[]): Promise<ReadonlySet<string>>;
  writeSysctl(name: string, value: string): Promise<string | undefined>;
  ftpHelperLoaded(): Promise<boolean>;
  /** The MACs that this host knows. */
  readNeighbours(): Promise<Reading<readonly Neighbour[]>>;
  forgetConnections(target: ConntrackTarget): Promise<Reading<number>>;
}

const FTP_HELPER = 'ip_vs_ftp';

export function createKernel(
  runCommand: Run = run,
  ipvsadm: Ipvsadm = createIpvsadm(runCommand),
  nft: Nft = createNft(runCommand),
): Kernel {
  let interfaces: readonly KernelInterface[] = [];
  return {
    readIpvs: () => reading(async () => ({ table: await ipvsadm.readTable(), timeouts: await ipvsadm.readTimeouts() })),
    readCounts: () => reading(() => ipvsadm.readCounts()),
    ipvsSignature: async () => tableSignature(await readFile('/proc/self/net/ip_vs', 'latin1').catch(() => '')),
    readInterfaces: async () => {
      // Names that were right a moment ago are better than none.
      interfaces = await readInterfaces(runCommand).catch(() => interfaces);
      return interfaces;
    },
    interfaceNames,
    applyIpvs: async commands => {
      const done = await reading(() => ipvsadm.apply(commands));
      return done.ok ? done.value.map(words => `ipvsadm: ${words}`) : [done.problem];
    },
    readNft: () => reading(() => nft.listTable()),
    readCounters: () => reading(() => nft.readCounters()),
    readAllRules: () => reading(() => nft.listAll()),
    readKnown: async services => {
      const sets = services.map(async name => [name, await nft.readKnown(name).catch(() => new Map())] as const);
      return new Map(await Promise.all(sets));
    },
    applyNft: async text => problemOf(await reading(() => nft.apply(text))),
    ipv6Interfaces: () => readdir('/proc/sys/net/ipv6/conf').catch(() => []),
    readSysctls: async names =>
      new Map(await Promise.all(names.map(async name => [name, await readSysctl(name)] as const))),
    readOnlySysctls: async names => {
      const shown = await Promise.all(names.map(async name => ((await isReadOnly(name)) ? [name] : [])));
      return new Set(shown.flat());
    },
    writeSysctl: async (name, value) => {
      const done = await reading(() => writeFile(sysctlPath(name), `${value}\n`));
      return done.ok
        ? undefined
        : `cannot set ${name} = ${value}: ${done.problem}; does the unit allow it (ReadWritePaths=/proc/sys/net)?`;
    },
    ftpHelperLoaded,
    readNeighbours: () => reading(() => neighbours(runCommand)),
    forgetConnections: target => reading(() => forget(runCommand, target)),
  };
}

async function neighbours(runCommand: Run): Promise<readonly Neighbour[]> {
  const { status, stdout, stderr } = await runCommand('ip', ['-j', 'neighbour', 'show']);
  if (status !== 0) throw new Error(`ip neighbour failed with status ${status}: ${stderr.trim().slice(0, 300)}`);
  return parseNeighbours(stdout);
}

async function reading<T>(work: () => Promise<T>): Promise<Reading<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) };
  }
}

function problemOf(done: Reading<unknown>): string | undefined {
  return done.ok ? undefined : done.problem;
}

async function readSysctl(name: string): Promise<string | undefined> {
  try {
    return normalValue(await readFile(sysctlPath(name), 'utf8'));
  } catch {
    return undefined;
  }
}

async function isReadOnly(name: string): Promise<boolean> {
  const shown = await stat(sysctlPath(name)).catch(() => undefined);
  return shown !== undefined && (shown.mode & 0o222) === 0;
}

/**
 * /sys/module has it whether it was loaded or built in (it has a parameter, so it shows);
 * /proc/modules in case /sys is hidden.
 */
async function ftpHelperLoaded(): Promise<boolean> {
  const shown = await stat(`/sys/module/${FTP_HELPER}`).catch(() => undefined);
  if (shown) return true;
  const modules = await readFile('/proc/modules', 'utf8').catch(() => '');
  return modules.split('\n').some(line => line.startsWith(`${FTP_HELPER} `));
}

/** conntrack's words for the target. */
function filterOf(target: ConntrackTarget): { readonly address: Address; readonly what: readonly string[] } {
  if ('toAddress' in target) return { address: target.toAddress, what: ['--orig-dst', target.toAddress] };
  if ('replyTo' in target) return { address: target.replyTo, what: ['--reply-dst', target.replyTo] };
  const { fromAddress, port } = target;
  return { address: fromAddress, what: ['--orig-src', fromAddress, '--orig-port-src', `${port}`] };
}

async function forget(runCommand: Run, target: ConntrackTarget): Promise<number> {
  const { address, what } = filterOf(target);
  const family = familyOf(address) === 6 ? 'ipv6' : 'ipv4';
  try {
    const result = await runCommand('conntrack', ['-D', '-f', family, '-p', 'tcp', ...what]);
    const deleted = /(\d+) flow entries have been deleted/.exec(result.stderr);
    // Its exit status is 1 when there was nothing to delete, too; only the count tells.
    if (!deleted)
      throw new Error(`conntrack failed with status ${result.status}: ${result.stderr.trim().slice(0, 300)}`);
    return Number(deleted[1]);
  } catch (cause) {
    if (cause instanceof CommandError && cause.failure === 'missing') {
      throw new Error('conntrack is not installed: `apt-get install conntrack`', { cause });
    }
    throw cause;
  }
}
