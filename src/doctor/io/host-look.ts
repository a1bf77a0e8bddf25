// Looks at this host for `tandem doctor`. Not pure; changes nothing, and loads no module. Each look
// is bounded in time and comes back as a value or as a sentence about why there is none.
import { readdir, readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { type Run, type RunOptions, run } from '../../command/io/run-command.ts';
import type { Config } from '../../config/schema.ts';
import { createKernel } from '../../director/io/kernel.ts';
import type { Reading } from '../../director/plan.ts';
import { lanInterfaces, parseInterfaces, realNames } from '../../firewall/interfaces.ts';
import { type Cidr, parseCidr } from '../../units/address.ts';
import type { HostFacts, ModuleState, Scheduled, SeenInterface } from '../host-facts.ts';
import { sysctlNames, wantedModules } from '../kernel-findings.ts';

const LOOK_MS = 5_000;
/** Processes that are looked at. */
const PROCESSES_MAX = 50_000;

/** What the command line finds out by itself: files, and the daemons by their sockets. */
type Known = 'files' | 'pulse' | 'director' | 'passive' | 'version' | 'digest';

interface LookAt {
  readonly config: Config | undefined;
  readonly node: string;
  readonly runDir: string;
}

const bounded: Run = (program, args, options: RunOptions = {}) =>
  run(program, args, { timeoutMs: LOOK_MS, ...options });

export async function lookAtHost({ config, node, runDir }: LookAt): Promise<Omit<HostFacts, Known>> {
  const kernel = createKernel(bounded);
  const [interfaces, interfaces6, rules] = await Promise.all([
    reading(hostInterfaces),
    kernel.ipv6Interfaces(),
    kernel.readAllRules(),
  ]);
  const names =
    config === undefined
      ? []
      : [...realNames(lanInterfaces(config, node), interfaces.ok ? interfaces.value : []).values()];
  const wanted = config === undefined ? [] : wantedModules(config);
  const settings = config === undefined ? [] : sysctlNames(config, names, interfaces6);
  const [modules, ftpHelper, sysctls, readOnlySysctls, defaultRoutes, legacyTables, clock, scheduled] =
    await Promise.all([
      moduleStates(wanted, rules.ok),
      kernel.ftpHelperLoaded(),
      kernel.readSysctls(settings),
      kernel.readOnlySysctls(settings),
      reading(defaultRouteInterfaces),
      lines('/proc/self/net/ip_tables_names'),
      reading(isClockSynchronised),
      reading(() => daemonClasses(join(runDir, 'vipd.state'))),
    ]);
  return {
    node,
    isRoot: process.geteuid?.() === 0,
    config,
    modules,
    ftpHelper,
    sysctls,
    readOnlySysctls,
    interfaces6,
    interfaces,
    defaultRoutes,
    rules,
    legacyTables,
    clock,
    scheduled,
  };
}

async function reading<T>(work: () => Promise<T>): Promise<Reading<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) };
  }
}

async function lines(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').filter(line => line !== '');
}

async function output(program: string, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await bounded(program, args);
  if (status !== 0)
    throw new Error(`${program} ended with ${status}: ${(stderr.split('\n', 1)[0] ?? '').slice(0, 200)}`);
  return stdout;
}

interface IpAddress {
  readonly ifname?: string;
  readonly flags?: readonly string[];
  readonly master?: string;
  readonly addr_info?: readonly { local?: string; prefixlen?: number; valid_life_time?: number }[];
}

/** How ip writes a lifetime without an end. */
const FOREVER = 4_294_967_295;

async function hostInterfaces(): Promise<SeenInterface[]> {
  const json = await output('ip', ['-j', 'address', 'show']);
  const entries = new Map((JSON.parse(json) as IpAddress[]).map(entry => [entry.ifname, entry]));
  return parseInterfaces(json).map(known => {
    const { flags = [], master = '', addr_info: infos = [] } = entries.get(known.name) ?? {};
    const networks = infos.flatMap(({ local, prefixlen, valid_life_time: life = FOREVER }) => {
      const cidr: Cidr | undefined = parseCidr(`${local}/${prefixlen}`);
      return cidr === undefined ? [] : [{ cidr, forever: life >= FOREVER }];
    });
    return {
      ...known,
      networks,
      isUp: flags.includes('UP'),
      hasCarrier: !flags.includes('NO-CARRIER'),
      answersArp: !flags.includes('NOARP'),
      master,
    };
  });
}

async function defaultRouteInterfaces(): Promise<string[]> {
  const routes = JSON.parse((await output('ip', ['-j', '-4', 'route', 'show', 'default'])) || '[]') as {
    dev?: string;
    nexthops?: { dev?: string }[];
  }[];
  return routes.flatMap(({ dev, nexthops = [] }) => [dev, ...nexthops.map(hop => hop.dev)]).filter(isText);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** A module that shows itself in the kernel, whether loaded or built in. */
const PROOFS: Readonly<Record<string, string>> = {
  ip_vs: '/proc/self/net/ip_vs',
  nf_conntrack: '/proc/sys/net/netfilter/nf_conntrack_max',
};

async function moduleStates(wanted: readonly string[], nftWorks: boolean): Promise<Map<string, ModuleState>> {
  const tree = await isThere(`/lib/modules/${release()}/modules.dep`);
  const loaded = (await lines('/proc/modules')).map(line => line.split(' ', 1)[0]);
  const stateOf = async (name: string): Promise<ModuleState> => {
    const proof = PROOFS[name];
    if (loaded.includes(name) || (await isThere(`/sys/module/${name}`))) return 'there';
    if (name === 'nf_tables' && nftWorks) return 'there';
    if (proof !== undefined && (await isThere(proof))) return 'there';
    if (!tree) return proof === undefined ? 'unknown' : 'missing';
    const { status, stdout } = await bounded('modprobe', ['--show-depends', name]);
    if (status !== 0) return 'missing';
    return stdout.startsWith('builtin') ? 'there' : 'loadable';
  };
  const safe = (name: string) => stateOf(name).catch((): ModuleState => 'unknown');
  return new Map(await Promise.all(wanted.map(async name => [name, await safe(name)] as const)));
}

async function isThere(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  );
}

async function isClockSynchronised(): Promise<boolean> {
  const said = await output('timedatectl', ['show', '--property=NTPSynchronized', '--value']);
  return said.trim() === 'yes';
}

/** pulse is the parent of the vipd that has this state file; none runs: an empty list. */
async function daemonClasses(stateFile: string): Promise<Scheduled[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).slice(0, PROCESSES_MAX);
  for (const pid of pids) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0');
    if (words[1] !== '--state' || words[2] !== stateFile) continue;
    const vipd = await scheduling(pid);
    const pulse = await scheduling(String(vipd.parent));
    return [
      { name: 'pulse', pid: vipd.parent, realTime: pulse.realTime },
      { name: 'vipd', pid: Number(pid), realTime: vipd.realTime },
    ];
  }
  return [];
}

/** SCHED_FIFO and SCHED_RR (sched.h). */
const REAL_TIME_POLICIES = [1, 2];

/** proc_pid_stat(5): after the name in brackets come state, ppid, … and policy as field 41. */
async function scheduling(pid: string): Promise<{ readonly parent: number; readonly realTime: boolean }> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(fields[1]), realTime: REAL_TIME_POLICIES.includes(Number(fields[41 - 3])) };
}
