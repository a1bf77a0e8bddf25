// The director's decision: config, verdicts and what the kernel really has → a plan of changes, and
// what is wrong. Pure. The plan is empty when the kernel is as wanted; it never flushes, and
// touches only services and the table that are ours.
import type { Config } from '../config/schema.ts';
import { type KernelInterface, lanInterfaces, realNames, withRealNames } from '../firewall/interfaces.ts';
import { firewallOf, removal, ruleset } from '../firewall/ruleset.ts';
import { formatCommand } from '../ipvs/ipvsadm.ts';
import {
  type Draining,
  diff,
  type IpvsCommand,
  type IpvsDiff,
  type IpvsTable,
  type IpvsTimeouts,
  isInUse,
  type Leave,
  type ServiceKey,
  type WantedService,
} from '../ipvs/table.ts';
import type { Verdict } from '../nanny/verdict.ts';
import type { Address } from '../units/address.ts';
import type { At } from '../units/duration.ts';
import { leaveOf } from './leaving.ts';
import { type Owned, ownedKeys } from './owned.ts';
import { defenceAtWork, diffSysctls, type SysctlChange, type SysctlValues, wantedSysctls } from './sysctl.ts';
import { findVerdict, ipvsKeyOf, serverOf, wantedServices, wantedTimeouts } from './wanted.ts';

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
  readonly wanted: readonly WantedService[];
}

/** A server of the config that is down but answers. */
export interface QuietServer {
  readonly key: ServiceKey;
  readonly address: Address;
  /** Whether it has clients, so that it is quiesced; else it has weight 0. */
  readonly inUse: boolean;
}

export interface PlanInput {
  readonly config: Config;
  readonly node: string;
  readonly verdicts: readonly Verdict[];
  /** Of servers that drain; each is named by its address. */
  readonly leavers: readonly Verdict[];
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
  const wanted = wantedServices(config, input.verdicts, table ?? { services: [] }, leaveRule(input));
  const ipvs = planIpvs(input, wanted, problems);
  const nft = planNft(input, ipvs.draining, problems);
  const sysctls = diffSysctls(wantedSysctls(config, actual.interfaces6), actual.sysctls);
  problems.push(
    ...sysctlProblems(sysctls),
    ...defenceProblems(actual.sysctls),
    ...serviceProblems(input, wanted, table),
  );
  if (actual.ftpHelper && wanted.length > 0) problems.push(FTP_HELPER_PROBLEM);
  const changes: Change[] = [
    ...ipvs.commands.map(command => describe(command, owned, wanted)),
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
  return { changes, problems, ipvs: commands, nft, sysctls: sysctls.changes, draining, quiet, wanted };
}

/**
 * A server that drains and shows no life any more keeps nobody: its clients come to other servers
 * at once.
 */
function leaveRule({ leavers, owned, now, config }: PlanInput): (key: ServiceKey, address: Address) => Leave {
  const nameOf = new Map([
    ...owned.services.map(({ key, name }) => [key, name] as const),
    ...Object.entries(config.services).map(([name, service]) => [ipvsKeyOf(service), name] as const),
  ]);
  return (key, address) => {
    const leave = leaveOf(owned.leaving ?? [], { key, address }, now, config.ipvs);
    const verdict = findVerdict(leavers, nameOf.get(key) ?? '', address);
    const isDead = verdict?.state === 'down' && !verdict.alive;
    return leave === 'stays' && isDead ? 'ends' : leave;
  };
}

function quietServers({ config, verdicts }: PlanInput, table: IpvsTable | undefined): readonly QuietServer[] {
  return Object.entries(config.services).flatMap(([name, service]) => {
    const key = ipvsKeyOf(service);
    const present = table?.services.find(candidate => candidate.key === key);
    return Object.entries(service.servers).flatMap(([server, { address }]) => {
      const verdict = findVerdict(verdicts, name, server);
      if (verdict?.state !== 'down' || !verdict.alive || verdict.kept) return [];
      const found = serverOf(present, address);
      return [{ key, address, inUse: found !== undefined && isInUse(found) }];
    });
  });
}

/**
 * Whether the data plane is complete: nothing left to change but draining, and nothing that bars
 * it.
 */
export function isComplete(made: Plan): boolean {
  const pending =
    made.ipvs.some(command => !isLeaving(command)) ||
    made.nft !== undefined ||
    made.sysctls.some(({ rule }) => !rule.soft);
  return !pending && !made.problems.some(problem => problem.blocking);
}

/** Changes that only clear away what is not wanted any more. */
function isLeaving({ type }: IpvsCommand): boolean {
  return type === 'drain-server' || type === 'delete-server' || type === 'delete-service';
}

function planIpvs(input: PlanInput, wanted: readonly WantedService[], problems: Problem[]): IpvsDiff {
  const { actual, owned, config } = input;
  if (!needsKernel(config, owned, undefined)) return { commands: [], draining: [], foreign: [] };
  if (!actual.ipvs.ok) {
    problems.push({ code: 'ipvs-unavailable', about: '', text: actual.ipvs.problem, blocking: true });
    return { commands: [], draining: [], foreign: [] };
  }
  const { table, timeouts } = actual.ipvs.value;
  const made = diff(table, wanted, { owned: ownedKeys(owned), leaveOf: leaveRule(input) });
  if (made.foreign.length > 0 && wanted.length > 0) {
    const names = made.foreign.slice(0, 8).join(', ');
    const text = `other IPVS services are in this namespace (${names}); Tandem leaves them alone, but net.ipv4.vs.sloppy_tcp=1 lets their connections start in mid-stream too: give them a router or network namespace of their own`;
    problems.push({ code: 'foreign-services', about: '', text, blocking: false });
  }
  const target = wantedTimeouts(config);
  const same = timeouts.tcpS === target.tcpS && timeouts.tcpFinS === target.tcpFinS;
  const set: IpvsCommand[] = same || wanted.length === 0 ? [] : [{ type: 'set-timeouts', timeouts: target }];
  return { ...made, commands: [...set, ...made.commands] };
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
    const here = withRealNames(config, node, names);
    const text = ruleset(
      firewallOf(here, node, { draining: drainingByName(draining, owned), adopting: input.adopting }),
    );
    return applied?.text === text && applied.listing === listing && listing !== undefined ? undefined : text;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    problems.push({ code: 'config', about: '', text, blocking: true });
    return undefined;
  }
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

function describe(command: IpvsCommand, owned: Owned, wanted: readonly WantedService[]): Change {
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
  if (command.type === 'edit-server' && command.server.upperThreshold > 0) {
    return plain(`${line} (fails its check, but answers: no new clients, those that it has stay)`);
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

function sysctlProblems({ missing, off }: ReturnType<typeof diffSysctls>): Problem[] {
  return [
    ...missing.map(rule => ({
      code: 'sysctl-missing' as const,
      about: rule.name,
      text: `the kernel has no setting ${rule.name} (${rule.why}); is the module loaded (ip_vs, nf_conntrack), and the kernel 4.19 or newer?`,
      blocking: true,
    })),
    ...off.map(({ rule, from }) => ({
      code: 'sysctl-off' as const,
      about: rule.name,
      text: `${rule.name} is ${from}, should be ${rule.atLeast ? 'at least ' : ''}${rule.value}: ${rule.why}; run \`sysctl -w ${rule.name}=${rule.value}\``,
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
  const { config, verdicts } = input;
  const isJudged = (service: string, server: string) =>
    (findVerdict(verdicts, service, server)?.state ?? 'unknown') !== 'unknown';
  const refusing = wanted
    .filter(service => service.servers.every(server => server.weight === 0 || server.quiesced))
    .map(({ name }) => ({ name, servers: Object.keys(config.services[name]?.servers ?? {}) }))
    .filter(({ name, servers }) => servers.every(server => isJudged(name, server)))
    .map(({ name, servers }) => ({
      code: 'no-server-up' as const,
      about: name,
      text:
        servers.length === 0
          ? `service ${name} has no real servers; add some to its servers`
          : `service ${name}: no real server passes its check, so new clients are refused; look at the failed stage of each`,
      blocking: false,
    }));
  return [...refusing, ...keptProblems(input)];
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
