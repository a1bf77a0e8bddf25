// The director's decision: config, verdicts and what the kernel really has → a plan of changes, and
// what is wrong. Pure. The plan is empty when the kernel is as wanted; it never flushes, and
// touches only services and the table that are ours.
import type { Config, ServiceConfig } from '../config/schema.ts';
import { type KernelInterface, lanInterfaces, realNames, withRealNames } from '../firewall/interfaces.ts';
import { firewallOf, removal, ruleset, type Standing } from '../firewall/ruleset.ts';
import { formatCommand } from '../ipvs/ipvsadm.ts';
import {
  type Draining,
  diff,
  type IpvsCommand,
  type IpvsDiff,
  type IpvsTable,
  type IpvsTimeouts,
  isInUse,
  isQuiesced,
  type Leave,
  type ServerOptions,
  type ServiceKey,
  takesClients,
  type WantedServer,
  type WantedService,
} from '../ipvs/table.ts';
import { isCondemned, type Verdict } from '../nanny/verdict.ts';
import type { Address } from '../units/address.ts';
import type { At } from '../units/duration.ts';
import { leaveOf } from './leaving.ts';
import { type Owned, ownedKeys } from './owned.ts';
import {
  defenceAtWork,
  diffSysctls,
  forwardingInterfaces,
  type SysctlChange,
  type SysctlValues,
  wantedSysctls,
} from './sysctl.ts';
import {
  type DrainOf,
  findVerdict,
  hasSessions,
  ipvsKeyOf,
  ipvsPortOf,
  serverOf,
  wantedServices,
  wantedTimeouts,
} from './wanted.ts';

/** A part of the kernel, as read; or why it could not be read (a sentence with what to do). */
export type Reading<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

export interface Actual {
  readonly ipvs: Reading<{ readonly table: IpvsTable; readonly timeouts: IpvsTimeouts }>;
  /** Of the IPVS table, read no later than that: see ipvs/signature.ts. */
  readonly ipvsSignature: string;
  /** The kernel's interfaces, for their names. */
  readonly interfaces: readonly KernelInterface[];
  /** Our table as nft lists it; undefined: not there. */
  readonly nft: Reading<string | undefined>;
  readonly sysctls: SysctlValues;
  /** Of those, what this network namespace only shows. */
  readonly readOnlySysctls: ReadonlySet<string>;
  /** Interfaces with settings of IPv6. */
  readonly interfaces6: readonly string[];
  /** Whether ip_vs_ftp is loaded. */
  readonly ftpHelper: boolean;
}

/**
 * The rules as they were last put in by this run: their text, and how nft listed them right
 * afterwards.
 */
export interface AppliedRules {
  readonly text: string;
  readonly listing: string | undefined;
}

export type PlanTarget = 'ipvs' | 'nft' | 'sysctl' | 'sync';

export interface Change {
  readonly target: PlanTarget;
  /** What is done, as a person would write it. */
  readonly change: string;
  /** Whether clients may notice. */
  readonly disruptive: boolean;
  /** Whether it only clears away what is not wanted any more. */
  readonly leaving: boolean;
}

const PROBLEM_CODES = [
  'ipvs-unavailable',
  'nft-unavailable',
  'sysctl-missing',
  'sysctl-off',
  'memory-short',
  'ftp-helper',
  'foreign-services',
  'no-server-up',
  'all-servers-fail',
  'config',
] as const;
type ProblemCode = (typeof PROBLEM_CODES)[number];

export interface Problem {
  readonly code: ProblemCode;
  /** What it is about, where there can be several: a service, a setting; else empty. */
  readonly about: string;
  /** A sentence with what to do. */
  readonly text: string;
  /** Whether the rules cannot count as in while it lasts. */
  readonly blocking: boolean;
}

export interface Plan {
  readonly changes: readonly Change[];
  readonly problems: readonly Problem[];
  readonly ipvs: readonly IpvsCommand[];
  /** Text for `nft -f`; undefined: nothing to do. */
  readonly nft: string | undefined;
  readonly sysctls: readonly SysctlChange[];
  readonly draining: readonly Draining[];
  readonly quiet: readonly QuietServer[];
  readonly drained: readonly DrainedServer[];
  readonly wanted: readonly WantedService[];
  /** What a change of IPVS' time-outs means for services of others, a sentence. */
  readonly sharedTimeouts: string | undefined;
}

/** A server of the config that is down or misconfigured, but answers. */
export interface QuietServer {
  readonly key: ServiceKey;
  readonly address: Address;
  readonly port: number;
  /** Whether it has clients, so that it is quiesced; else it has weight 0. */
  readonly inUse: boolean;
}

/** A server of the config that an operator drains, while it has time for its sessions. */
export interface DrainedServer {
  readonly key: ServiceKey;
  readonly address: Address;
  readonly port: number;
  readonly kind: ServiceConfig['kind'];
  readonly hasSessions: boolean;
}

export interface PlanInput {
  readonly config: Config;
  readonly node: string;
  readonly verdicts: readonly Verdict[];
  /** Of servers that drain, each named by its address, and of sorry servers, named SORRY. */
  readonly otherVerdicts: readonly Verdict[];
  readonly drainOf: DrainOf;
  readonly now: At;
  readonly actual: Actual;
  readonly owned: Owned;
  readonly applied: AppliedRules | undefined;
  /** Unknown data of active mode is taken in mid-stream (firewall/ruleset.ts). */
  readonly adopting: boolean;
}

export interface Refusal {
  readonly target: PlanTarget;
  readonly problem: string;
}

/** What an audit found and did (io/converge.ts). */
export interface Audit {
  /** The first plan: what differed when the audit began. */
  readonly first: Plan;
  /** The last plan, after all changes: what is still missing. */
  readonly last: Plan;
  readonly actual: Actual;
  /** Changes of all rounds that are not in the last plan any more. */
  readonly done: readonly Change[];
  /** Whether our table was different from what this run had put in. */
  readonly nftDrifted: boolean;
  readonly refused: readonly Refusal[];
  readonly owned: Owned;
  readonly applied: AppliedRules | undefined;
}

/** Whether this config, or what an earlier one left behind, needs IPVS and nftables at all. */
export function needsKernel(config: Config, owned: Owned, applied: AppliedRules | undefined): boolean {
  return Object.keys(config.services).length > 0 || owned.services.length > 0 || applied !== undefined;
}

/** What to change in the kernel now, and what is wrong there. */
export function plan(input: PlanInput): Plan {
  const { config, actual, owned } = input;
  const problems: Problem[] = [];
  const table = actual.ipvs.ok ? actual.ipvs.value.table : undefined;
  const wanted = wantedServices(config, input, table ?? { services: [] }, leaveRule(input));
  const ipvs = planIpvs(input, wanted, problems);
  const nft = planNft(input, ipvs.draining, problems);
  const { interfaces6, readOnlySysctls } = actual;
  const interfaces4 = forwardingInterfaces(config, input.node, actual.interfaces);
  const sysctls = diffSysctls(wantedSysctls(config, interfaces6, interfaces4), actual.sysctls, readOnlySysctls);
  problems.push(
    ...sysctlProblems(sysctls, readOnlySysctls),
    ...defenceProblems(actual.sysctls),
    ...serviceProblems(input, wanted, table),
  );
  if (actual.ftpHelper && wanted.length > 0) problems.push(FTP_HELPER_PROBLEM);
  const { sharedTimeouts } = ipvs;
  const changes: Change[] = [
    ...ipvs.commands.map(command =>
      command.type === 'set-timeouts' && sharedTimeouts !== undefined
        ? { ...describe(command, owned, wanted, table), change: sharedTimeouts, disruptive: true }
        : describe(command, owned, wanted, table),
    ),
    ...(nft === undefined ? [] : [nftChange(nft, actual)]),
    ...sysctls.changes.map(({ rule, from }) => ({
      target: 'sysctl' as const,
      change: `${rule.name} = ${rule.value} (now ${from}): ${rule.why}`,
      disruptive: false,
      leaving: false,
    })),
  ];
  const { commands, draining } = ipvs;
  const quiet = quietServers(input, table);
  const drained = drainedServers(input, table);
  const kernel = { ipvs: commands, nft, sysctls: sysctls.changes };
  return { changes, problems, ...kernel, draining, quiet, drained, wanted, sharedTimeouts };
}

/**
 * A server that drains and shows no life any more keeps nobody: its clients come to other servers
 * at once.
 */
function leaveRule({ otherVerdicts, owned, now, config }: PlanInput): (key: ServiceKey, address: Address) => Leave {
  const nameOf = new Map([
    ...owned.services.map(({ key, name }) => [key, name] as const),
    ...Object.entries(config.services).map(([name, service]) => [ipvsKeyOf(service), name] as const),
  ]);
  return (key, address) => {
    const leave = leaveOf(owned.leaving ?? [], { key, address }, now, config.ipvs);
    const verdict = findVerdict(otherVerdicts, nameOf.get(key) ?? '', address);
    const isDead = verdict !== undefined && isCondemned(verdict) && !verdict.alive;
    return leave === 'stays' && isDead ? 'ends' : leave;
  };
}

/** One that an operator drains has its own time. */
function quietServers({ config, verdicts, drainOf }: PlanInput, table: IpvsTable | undefined): readonly QuietServer[] {
  return Object.entries(config.services).flatMap(([name, service]) => {
    const key = ipvsKeyOf(service);
    const present = table?.services.find(candidate => candidate.key === key);
    const port = ipvsPortOf(service);
    return Object.entries(service.servers).flatMap(([server, { address }]) => {
      const verdict = findVerdict(verdicts, name, server);
      if (!verdict || !isCondemned(verdict) || !verdict.alive || verdict.kept) return [];
      if (drainOf(name, server) !== undefined) return [];
      const found = serverOf(present, { address, port });
      return [{ key, address, port, inUse: found !== undefined && isInUse(found) }];
    });
  });
}

function drainedServers({ config, drainOf }: PlanInput, table: IpvsTable | undefined): readonly DrainedServer[] {
  return Object.entries(config.services).flatMap(([name, service]) => {
    const key = ipvsKeyOf(service);
    const present = table?.services.find(candidate => candidate.key === key);
    const port = ipvsPortOf(service);
    return Object.entries(service.servers).flatMap(([server, { address }]) => {
      const drain = drainOf(name, server);
      if (drain === undefined || drain === 'over') return [];
      const found = serverOf(present, { address, port });
      const isBusy = found !== undefined && hasSessions(service, found);
      return [{ key, address, port, kind: service.kind, hasSessions: isBusy }];
    });
  });
}

/**
 * Whether the data plane is complete: nothing left to change but draining, and nothing that bars
 * it. A scheduler that the kernel lacks bars nothing where the service runs with another one.
 */
export function isComplete(made: Plan): boolean {
  const pending =
    made.ipvs.some(command => !isLeaving(command) && !(command.type === 'edit-service' && !command.vital)) ||
    made.nft !== undefined ||
    made.sysctls.some(({ rule }) => !rule.soft);
  return !pending && !made.problems.some(problem => problem.blocking);
}

/**
 * Whether the plan may be carried out by what was read some time ago: there is something to do, and
 * none of it depends on who is connected just now.
 */
export function isHarmless({ changes, ipvs }: Plan): boolean {
  const takes = ({ weight, upperThreshold }: ServerOptions) => weight > 0 && !isQuiesced({ upperThreshold });
  return (
    changes.length > 0 &&
    ipvs.every(command => !isLeaving(command) && (!('server' in command) || takes(command.server)))
  );
}

/** Changes that only clear away what is not wanted any more. */
function isLeaving({ type }: IpvsCommand): boolean {
  return type === 'drain-server' || type === 'delete-server' || type === 'delete-service';
}

type IpvsPlan = IpvsDiff & Pick<Plan, 'sharedTimeouts'>;
const NO_IPVS: IpvsPlan = { commands: [], draining: [], foreign: [], sharedTimeouts: undefined };

function planIpvs(input: PlanInput, wanted: readonly WantedService[], problems: Problem[]): IpvsPlan {
  const { actual, owned, config } = input;
  if (!needsKernel(config, owned, undefined)) return NO_IPVS;
  if (!actual.ipvs.ok) {
    problems.push({ code: 'ipvs-unavailable', about: '', text: actual.ipvs.problem, blocking: true });
    return NO_IPVS;
  }
  const { table, timeouts } = actual.ipvs.value;
  const made = diff(table, wanted, { owned: ownedKeys(owned), leaveOf: leaveRule(input) });
  if (made.foreign.length > 0 && wanted.length > 0) {
    const names = made.foreign.slice(0, 8).join(', ');
    const text = `other IPVS services are in this namespace (${names}); Tandem leaves them alone, but net.ipv4.vs.sloppy_tcp=1 lets their connections start in mid-stream too: give them a router or network namespace of their own`;
    problems.push({ code: 'foreign-services', about: '', text, blocking: false });
  }
  const target = wantedTimeouts(config);
  const isUdpSame = target.udpS === 0 || timeouts.udpS === target.udpS;
  const same = timeouts.tcpS === target.tcpS && timeouts.tcpFinS === target.tcpFinS && isUdpSame;
  const set: IpvsCommand[] = same || wanted.length === 0 ? [] : [{ type: 'set-timeouts', timeouts: target }];
  const shared = set.length > 0 && made.foreign.length > 0;
  const sharedTimeouts = shared ? sharedText(timeouts, target, made.foreign) : undefined;
  return { ...made, commands: [...set, ...made.commands], sharedTimeouts };
}

/** The kernel has one set of time-outs for everybody's services. */
function sharedText(from: IpvsTimeouts, to: IpvsTimeouts, foreign: readonly ServiceKey[]): string {
  const udp = (udpS: number) => (to.udpS === 0 ? '' : `, udp ${udpS} s`);
  const of = ({ tcpS, tcpFinS, udpS }: IpvsTimeouts) => `tcp ${tcpS} s and tcpfin ${tcpFinS} s${udp(udpS)}`;
  const names = foreign.slice(0, 8).join(', ');
  return `ipvsadm --set ${to.tcpS} ${to.tcpFinS} ${to.udpS}: IPVS' time-outs were ${of(from)}, they become ${of(to)}, and hold for the services of others, too (${names})`;
}

function planNft(input: PlanInput, draining: readonly Draining[], problems: Problem[]): string | undefined {
  const { config, node, actual, owned, applied } = input;
  if (!needsKernel(config, owned, applied)) return undefined;
  const services = Object.keys(config.services).length > 0;
  if (!actual.nft.ok) {
    problems.push({ code: 'nft-unavailable', about: '', text: actual.nft.problem, blocking: services });
    return undefined;
  }
  const listing = actual.nft.value;
  if (!services) return listing === undefined ? undefined : removal();
  try {
    const names = realNames(lanInterfaces(config, node), actual.interfaces);
    const text = rulesOnce(config, node, {
      names,
      standing: { draining: drainingByName(draining, owned), adopting: input.adopting },
    });
    return applied?.text === text && applied.listing === listing && listing !== undefined ? undefined : text;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    problems.push({ code: 'config', about: '', text, blocking: true });
    return undefined;
  }
}

interface RulesInput {
  readonly names: ReadonlyMap<string, string>;
  readonly standing: Required<Standing>;
}

/** The rules as they were last written for a config. */
const written = new WeakMap<Config, { readonly key: string; readonly text: string }>();

/** With hundreds of services they are a megabyte, and most audits want the same. */
function rulesOnce(config: Config, node: string, { names, standing }: RulesInput): string {
  const key = JSON.stringify([node, [...names], [...standing.draining], standing.adopting]);
  const before = written.get(config);
  if (before?.key === key) return before.text;
  const text = ruleset(firewallOf(withRealNames(config, node, names), node, standing));
  written.set(config, { key, text });
  return text;
}

function drainingByName(draining: readonly Draining[], owned: Owned): ReadonlyMap<string, readonly Address[]> {
  const names = new Map(owned.services.map(({ key, name }) => [key, name]));
  const byName = new Map<string, Address[]>();
  for (const { key, address } of draining) {
    const name = names.get(key);
    if (name !== undefined) byName.set(name, [...(byName.get(name) ?? []), address]);
  }
  return byName;
}

function nftChange(text: string, actual: Actual): Change {
  const there = actual.nft.ok && actual.nft.value !== undefined;
  const change =
    text === removal()
      ? 'remove the table inet tandem'
      : there
        ? 'replace the table inet tandem, in one transaction'
        : 'add the table inet tandem';
  return { target: 'nft', change, disruptive: false, leaving: false };
}

function describe(
  command: IpvsCommand,
  owned: Owned,
  wanted: readonly WantedService[],
  table: IpvsTable | undefined,
): Change {
  const line = `ipvsadm ${formatCommand(command)}`;
  const plain = (change: string): Change => ({
    target: 'ipvs',
    change,
    disruptive: false,
    leaving: isLeaving(command),
  });
  if (command.type === 'drain-server') {
    const clients = command.server.weight === 0 ? 'its clients go to other servers' : 'no new clients';
    return plain(`${line} (leaves: ${clients}, ${command.connections} connections finish)`);
  }
  if (command.type === 'edit-server' && isQuiesced(command.server)) {
    return plain(`${line} (fails its check, but answers, or is drained: no new clients, those that it has stay)`);
  }
  if (command.type === 'edit-service') {
    const present = table?.services.find(service => service.key === command.service.key);
    if (present === undefined || present.mask === command.service.mask) return plain(line);
    const why =
      'the part of their addresses that clients are known by changes: sessions may open their next data connections on another server';
    return { ...plain(`${line} (${why})`), disruptive: true };
  }
  if (command.type !== 'add-service') return plain(line);
  const name = wanted.find(service => service.key === command.service.key)?.name;
  const before = owned.services.find(
    service => service.name === name && service.key !== command.service.key && !isWanted(service.key, wanted),
  );
  if (!before) return plain(line);
  const why = `the mark of service ${name} changes from "${before.key}": its clients lose their real server, running sessions cannot open data connections`;
  return { target: 'ipvs', change: `${line} (${why})`, disruptive: true, leaving: false };
}

function isWanted(key: string, wanted: readonly WantedService[]): boolean {
  return wanted.some(service => service.key === key);
}

function sysctlProblems({ missing, off }: ReturnType<typeof diffSysctls>, readOnly: ReadonlySet<string>): Problem[] {
  const where = (name: string) => (readOnly.has(name) ? " in the host's own network namespace, not here" : '');
  return [
    ...missing.map(rule => ({
      code: 'sysctl-missing' as const,
      about: rule.name,
      text: `the kernel has no setting ${rule.name} (${rule.why}); is the module loaded (ip_vs, nf_conntrack), and the kernel 5.6 or newer?`,
      blocking: true,
    })),
    ...off.map(({ rule, from }) => ({
      code: 'sysctl-off' as const,
      about: rule.name,
      text: `${rule.name} is ${from}, should be ${rule.atLeast ? 'at least ' : ''}${rule.value}: ${rule.why}; run \`sysctl -w ${rule.name}=${rule.value}\`${where(rule.name)}`,
      blocking: false,
    })),
  ];
}

function defenceProblems(values: SysctlValues): Problem[] {
  return defenceAtWork(values).map(name => ({
    code: 'memory-short' as const,
    about: name,
    text: `${name} is at work: memory is short, and IPVS drops half-open and idle connections; give the router more memory, or find out who floods it`,
    blocking: false,
  }));
}

/**
 * Services without a usable server; one whose servers have not all been judged yet is not accused.
 */
function serviceProblems(input: PlanInput, wanted: readonly WantedService[], table: IpvsTable | undefined): Problem[] {
  if (!table) return [];
  const { config, verdicts, drainOf } = input;
  const isJudged = (service: string, server: string) =>
    (findVerdict(verdicts, service, server)?.state ?? 'unknown') !== 'unknown';
  const isDrained = (service: string, server: string) => drainOf(service, server) !== undefined;
  const refusing = wanted
    .filter(({ name, servers }) => !servers.some(server => takesClients(server) && !isSorry(server, config, name)))
    .map(service => ({ ...service, names: Object.keys(config.services[service.name]?.servers ?? {}) }))
    // All of them drained is what somebody wants: a notice (report.ts).
    .filter(({ name, names }) => names.length === 0 || names.some(server => !isDrained(name, server)))
    .filter(({ name, names }) => names.every(server => isDrained(name, server) || isJudged(name, server)))
    .map(({ name, names, servers }) => ({
      code: 'no-server-up' as const,
      about: name,
      text:
        names.length === 0
          ? `service ${name} has no real servers; add some to its servers`
          : `service ${name}: no real server${undrained(names.filter(server => isDrained(name, server)))} passes its check, ${fateOfNewClients(servers, config.services[name])}; look at the failed stage of each`,
      blocking: false,
    }));
  return [...refusing, ...keptProblems(input)];
}

function undrained(names: readonly string[]): string {
  return names.length === 0 ? '' : ` that is not drained (${names.join(', ')})`;
}

function isSorry({ address }: WantedServer, config: Config, name: string): boolean {
  return config.services[name]?.sorry_server?.address === address;
}

function fateOfNewClients(servers: readonly WantedServer[], service: ServiceConfig | undefined): string {
  const sorry = service?.sorry_server?.address;
  if (sorry === undefined) return 'so new clients are refused';
  if (servers.some(takesClients)) return `so new clients come to its sorry server ${sorry}`;
  return `nor does its sorry server ${sorry}, so new clients are refused`;
}

/** Services whose servers keep their weights although no check passes. */
function keptProblems({ config, verdicts }: PlanInput): Problem[] {
  const names = new Set(verdicts.filter(({ kept }) => kept).map(({ service }) => service));
  return [...names]
    .filter(name => config.services[name] !== undefined)
    .map(name => ({
      code: 'all-servers-fail' as const,
      about: name,
      text: `service ${name}: its servers fail their checks alike, but answer, so they keep their weights; look at what they share (the account and file of the check, a name server, their limit of clients)`,
      blocking: false,
    }));
}

/**
 * Rules count as in all the same: EPSV and active mode still work, and refusing to take over would
 * help nobody.
 */
const FTP_HELPER_PROBLEM: Problem = {
  code: 'ftp-helper',
  about: '',
  text: 'ip_vs_ftp is loaded: it attaches to mark services too and breaks PASV; `rmmod ip_vs_ftp`, and keep it out with `echo "install ip_vs_ftp /bin/false" > /etc/modprobe.d/tandem.conf`',
  blocking: false,
};
