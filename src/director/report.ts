// What the director says of itself and of the router: to pulse (rules in, healthy servers, flush
// time) and to people (the status report). Pure.
import { pulseDigest } from '../config/digest.ts';
import type { Config, ServiceConfig } from '../config/schema.ts';
import type { ServerName } from '../drain/drains.ts';
import { ALL_LANS, hasHealthyServer } from '../feed/fitness-number.ts';
import type { DirectorReport, Snapshot } from '../feed/message.ts';
import { type HookReport, hookNotices } from '../hooks/hook-report.ts';
import type { ServerCounts } from '../ipvs/ipvsadm.ts';
import type { IpvsServer, IpvsService, IpvsTable } from '../ipvs/table.ts';
import { type Failure, isCondemned, PATH, SORRY, type Verdict, wayName } from '../nanny/verdict.ts';
import type { DrainReport, ServerReport, ServiceReport, StatusReport } from '../status/status-report.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import type { Address } from '../units/address.ts';
import { type CheckWatch, checkProblems, isApart, peerWord } from './check-watch.ts';
import type { Knowledge } from './findings.ts';
import { type FitnessReport, fitnessProblems } from './fitness-check.ts';
import { isForResume } from './manual-resume.ts';
import { type PathCheck, withWay } from './paths.ts';
import { claimerProblem, type VipClaimer } from './vip-claimer.ts';
import { findVerdict, ipvsKeyOf, ipvsPortOf, serverOf, sorryWeight } from './wanted.ts';

export interface ReportInput {
  readonly config: Config;
  readonly digest: string;
  readonly version: string;
  readonly generatedAt: string;
  readonly pulse: Snapshot | null;
  readonly verdicts: readonly Verdict[];
  /** Of servers that drain, named by their addresses, and of sorry servers, named SORRY. */
  readonly otherVerdicts: readonly Verdict[];
  /** The real server that pulse's third machine is; undefined: it is none. */
  readonly claimer: VipClaimer | undefined;
  /** Services by name: checked through the VIP, or why not; and what was found. */
  readonly pathChecks: ReadonlyMap<string, PathCheck>;
  readonly pathVerdicts: readonly Verdict[];
  /** What the peer's nannies say. */
  readonly checks: CheckWatch;
  /** Of operators. */
  readonly drains: readonly DrainReport[];
  readonly node: string;
  /** As last audited: weights. */
  readonly table: IpvsTable;
  /** As last polled: connections. */
  readonly counts: readonly ServerCounts[];
  readonly known: Knowledge;
  readonly lastAuditAt: string | null;
  /** Sentences about changes by others, and about not noticing them. */
  readonly watchProblems: readonly string[];
  /** Packets refused because they came where nobody is served. */
  readonly refused: number;
  readonly sync: SyncStatus;
  /** Sentences of service-watch.ts. */
  readonly failures: readonly string[];
  /** Sentences of sync-watch.ts. */
  readonly syncProblems: readonly string[];
  /** Checks by script of what this router needs. */
  readonly fitness: readonly FitnessReport[];
  readonly hooks: readonly HookReport[];
  /** What the sync found this kernel to do, by name (EnsureResult.found). */
  readonly kernelFound: Readonly<Record<string, string>>;
}

type PeerReport = Pick<ServerReport, 'peer' | 'disagrees'>;

interface PulseReportInput {
  /** Of the config in use. */
  readonly digest: string;
  readonly rulesIn: boolean | undefined;
  readonly judged: boolean;
  readonly failedChecks: number | null;
  readonly flushMs: number;
  readonly sync: Pick<SyncStatus, 'phase' | 'warm'>;
}

/**
 * The report to pulse. Until the servers have been judged for the first time (`judged`), the number
 * of healthy ones is null, and so is `rulesIn` until an audit has looked: a restart of the director
 * does not make this router look unfit, nor without rules.
 */
export function pulseReport(
  config: Config,
  verdicts: readonly Verdict[],
  { digest, rulesIn, judged, failedChecks, flushMs, sync }: PulseReportInput,
): DirectorReport {
  const totalServers = Object.values(config.services).reduce(
    (n, service) => n + Object.keys(service.servers).length,
    0,
  );
  // One that only keeps its weight because all fail alike is no healthy server: the peer may have
  // better ones.
  const up = verdicts.filter(verdict => verdict.state === 'up' && !verdict.kept).length;
  const warm = sync.phase === 'off' || sync.warm;
  const healthyServers = judged ? up : null;
  const checks = { healthyServers, totalServers, failedChecks };
  return { command: 'report', rulesIn: rulesIn ?? null, ...checks, flushMs, warm, configDigest: digest };
}

export function statusReport(input: ReportInput): StatusReport {
  const { config, pulse, known, lastAuditAt } = input;
  const problems = [
    ...input.failures,
    ...pulseProblems(pulse, input),
    ...kernelProblems(known),
    ...input.watchProblems,
    ...input.syncProblems,
    ...serverProblems({ ...input, verdicts: input.verdicts.map(one => withWay(one, input.pathVerdicts)) }),
    ...emptyServices(input, 'held'),
    ...pathProblems(input),
    ...checkProblems(input.checks, { node: input.node, peer: peerOf(input) }, one => isDrained(input, one)),
    ...fitnessProblems(input.fitness, input.node),
  ];
  return {
    schema: 'tandem-status/1',
    version: input.version,
    generatedAt: input.generatedAt,
    pair: config.pair,
    health: input.failures.length > 0 ? 'failed' : problems.length > 0 ? 'degraded' : 'ok',
    problems: [...new Set(problems)],
    notices: [
      ...noticesOf(config, pulse),
      ...keyNotices(pulse),
      ...serverNotices(input.verdicts),
      ...drainNotices(input),
      ...hookNotices(input.hooks, input.node),
    ],
    pulse,
    drains: [...input.drains],
    services: Object.keys(config.services).map(name => serviceReport(name, input)),
    kernel: {
      rulesIn: known.rulesIn === true,
      lastAuditAt,
      repairs: known.repairs,
      refused: input.refused,
      errors: [...known.errors],
      found: { ...input.kernelFound },
    },
    sync: input.sync,
    fitness: input.fitness.map(({ isUnmade: _, ...check }) => check),
    hooks: [...input.hooks],
  };
}

function peerOf({ config, node }: ReportInput): string {
  return Object.keys(config.routers).find(name => name !== node) ?? 'the peer';
}

function pulseProblems(pulse: Snapshot | null, { config, digest, claimer }: ReportInput): string[] {
  if (!pulse) return [];
  const problems: string[] = [];
  const { peer, peerNode, node, hold } = pulse;
  if (!peer) problems.push(`${peerNode} is not heard: there is nobody to take over`);
  else if (peer.silent) problems.push(`${peerNode} is silent: there is nobody to take over`);
  else if (peer.configDigest !== digest) problems.push(`${peerNode} runs another config than ${node}`);
  if (peer && !peer.silent && !peer.ready) problems.push(`${peerNode} is not ready to take over`);
  if (hold.on) problems.push(`${node} is on hold${hold.until === null ? '' : ` until ${hold.until}`}`);
  if (peer?.hold) problems.push(`${peerNode} is on hold`);
  problems.push(...unfitPeerProblems(pulse, config));
  for (const link of pulse.links) {
    if (link.problem !== null)
      problems.push(`heartbeat link ${link.lan} (${link.interface}) is not bound: ${link.problem}`);
    else if (!link.up) problems.push(`heartbeat link ${link.lan} (${link.interface}) is down`);
    else if (!link.peerHearsUs && pulse.role !== 'starting')
      problems.push(
        `heartbeat link ${link.lan} (${link.interface}) passes in one direction only: ${peerNode} does not hear ${node} there`,
      );
  }
  for (const name of new Set(pulse.vips.filter(vip => !vip.linkUp).map(vip => vip.interface))) {
    problems.push(`interface ${name} has no carrier`);
  }
  problems.push(...unheldProblems(pulse));
  if (pulse.vipdTrouble !== null) problems.push(`${node}: ${pulse.vipdTrouble}`);
  for (const address of pulse.peerAddressesHere) problems.push(`this host has ${address}, an address of ${peerNode}`);
  if (pulse.bar !== null && !hold.on) problems.push(`${node} cannot become active: ${pulse.bar}`);
  return [...problems, ...surroundingProblems(pulse, claimer)];
}

/** What the peer lacks to serve clients as this router would, by its heartbeats. */
function unfitPeerProblems({ peer, peerNode, fitness }: Snapshot, { services }: Config): string[] {
  if (!peer || peer.silent) return [];
  const problems: string[] = [];
  if (peer.fitness < ALL_LANS) problems.push(`${peerNode} lacks a LAN of the VIPs; see \`tandem status\` there`);
  // Where nobody has a healthy server each router says so of its own.
  if (Object.keys(services).length > 0 && hasHealthyServer(fitness) && !hasHealthyServer(peer.fitness))
    problems.push(
      `${peerNode} finds no real server healthy, or its director does not run; see \`tandem status\` there`,
    );
  if (peer.failedChecks) problems.push(`fitness checks fail on ${peerNode}; see \`tandem status\` there`);
  return problems;
}

/**
 * What of the VIPs is not served, or would not be after a takeover; each address with its reason.
 */
function unheldProblems({ node, peerNode, role, vips, peer, units }: Snapshot): string[] {
  const owns = role === 'active' || role === 'handing-over';
  const problems = vips.flatMap(({ address, obstacle }) => {
    if (obstacle === null) return [];
    return [owns ? `${address} is not served: ${obstacle}` : `${node} could not hold ${address}: ${obstacle}`];
  });
  if (!peer || peer.silent || peer.units === null || peer.units >= units.all) return problems;
  const what = peer.serving ? 'serves' : 'could hold';
  return [...problems, `${peerNode} ${what} only ${peer.units} of ${units.all} VIPs; see \`tandem status\` there`];
}

/**
 * What is no fault and wants a person at leisure: what a reload could not bring into force, with
 * the command that does.
 */
function noticesOf(config: Config, pulse: Snapshot | null): string[] {
  if (!pulse?.runningDigest) return [];
  const { node, peerNode, runningDigest, waiting, timesPending } = pulse;
  if (runningDigest !== pulseDigest(config, node))
    return [`pulse on ${node} has not read this config yet: systemctl reload tandem-pulse`];
  const pending = `new times or a new priority of ${node} come into force once ${peerNode} has heard of them and the old lease is over`;
  const soon = timesPending ? [pending] : [];
  if (waiting.length === 0) return soon;
  return [
    ...soon,
    `on ${node} a restart of pulse brings into force what has changed in ${waiting.join(', ')}: systemctl restart tandem-pulse (the standby first, then tandem handover)`,
  ];
}

/** A rotation that was begun wants to be ended. */
function keyNotices(pulse: Snapshot | null): string[] {
  const { node, peerNode, keys } = pulse ?? {};
  const two = [
    ...((keys?.accepts.length ?? 0) > 1 ? [node] : []),
    ...((keys?.peer?.accepts.length ?? 0) > 1 ? [peerNode] : []),
  ];
  if (two.length === 0) return [];
  return [
    `the pair's key is being changed: ${two.join(' and ')} accept${two.length > 1 ? '' : 's'} two; tandem rotate-key says what comes next`,
  ];
}

/** LANs, targets, a third machine, the witness. */
function surroundingProblems(
  { node, lans, isolated, foreign, witness, blindProbes }: Snapshot,
  claimer: VipClaimer | undefined,
): string[] {
  const problems: string[] = [];
  for (const { lan, interface: name, own } of lans)
    for (const { address, state } of own) {
      if (state === 'gone' || state === 'down')
        problems.push(`own address ${address} on ${lan} (${name}) is not there`);
      if (state === 'unrouted')
        problems.push(
          `nothing can be sent from own address ${address} on ${lan} (${name}): see \`ip route\`, \`ip rule\``,
        );
    }
  if (isolated) problems.push(`${node} is isolated: it hears neither its peer nor any target nor any other frame`);
  for (const { lan, interface: name, dead, targets } of lans) {
    if (dead) problems.push(`LAN ${lan} (${name}) is dead here`);
    for (const { address, up } of targets)
      if (up === false) problems.push(`target ${address} on ${lan} does not answer`);
  }
  if (foreign) problems.push(thirdMachineProblem(foreign, claimer));
  for (const address of blindProbes)
    problems.push(`probes of ${address} are blind: the peer serves it and answers none; see PROBE_BLIND`);
  if (witness && !witness.good)
    problems.push('the witness does not answer: a full partition would now be judged without it');
  return problems;
}

function thirdMachineProblem(
  { address, mac, port, claims, standsDown }: NonNullable<Snapshot['foreign']>,
  claimer: VipClaimer | undefined,
): string {
  if (claimer?.mac === mac.toLowerCase() && claimer.vip === address) {
    const server = `service ${claimer.service}: server ${claimer.server} is misconfigured: ${claimerProblem(claimer)}`;
    return standsDown ? `${server}; the pair stands down meanwhile` : server;
  }
  if (!claims) return `another machine, ${mac}, answers for ${address}, which is the peer's`;
  const claim = `another machine, ${mac}, claims ${address} (heard on ${port || 'an unknown port'})`;
  return standsDown ? `${claim}: the pair stands down` : claim;
}

function kernelProblems(known: Knowledge): string[] {
  return [...new Set([...known.problems.map(problem => problem.text), ...known.errors])];
}

function isDrained({ drains }: Pick<ReportInput, 'drains'>, { service, server }: ServerName): boolean {
  return drains.some(one => one.service === service && one.server === server);
}

/** Somebody wants it so; it is said, since it may be forgotten. */
function drainNotices({ config, drains }: ReportInput): string[] {
  const each = drains.map(({ service, server, since, reason }) => {
    const why = reason === '' ? '' : ` (${reason})`;
    return `service ${service}: server ${server} is drained since ${since}${why}: tandem enable ${service}/${server} lets new clients in again`;
  });
  return [...each, ...emptyServices({ config, drains }, 'meant')];
}

/**
 * Services all of whose servers are drained. `meant`: people drained each of them. `held`: at least
 * one went down and waits for an operator (check.manual_resume), so that nobody may know.
 */
function emptyServices({ config, drains }: Pick<ReportInput, 'config' | 'drains'>, which: 'meant' | 'held'): string[] {
  return Object.entries(config.services).flatMap(([service, { servers, sorry_server: sorry }]) => {
    const names = Object.keys(servers);
    const mine = drains.filter(one => one.service === service && names.includes(one.server));
    if (names.length === 0 || mine.length < names.length) return [];
    if (mine.some(isForResume) !== (which === 'held')) return [];
    const fate = sorry === undefined ? 'are refused' : `come to its sorry server ${sorry.address}`;
    const until = which === 'held' ? `; once they are well: tandem enable ${service}` : '';
    return [`service ${service}: all its servers are drained, so new clients ${fate}${until}`];
  });
}

/** What fails on a server that an operator drains is somebody's work, not a fault. */
function serverProblems(input: ReportInput): string[] {
  const { config, verdicts, otherVerdicts } = input;
  const sorry = otherVerdicts.filter(({ server }) => server === SORRY);
  return [...verdicts, ...sorry]
    .filter(verdict => isCondemned(verdict) && config.services[verdict.service] !== undefined)
    .filter(verdict => !isDrained(input, verdict))
    .map(({ service, server, state, last, alive, kept }) => {
      const why = last && !last.ok ? ` at stage ${last.stage}: ${last.problem}` : '';
      const clients = alive && !kept ? ' (it answers, so the clients that it has stay)' : '';
      return `service ${service}: server ${server} is ${state}${why}${clients}`;
    });
}

function pathProblems({ config, pathVerdicts, pathChecks }: ReportInput): string[] {
  return pathVerdicts
    .filter(({ server }) => server === PATH)
    .filter(verdict => isCondemned(verdict) && pathChecks.get(verdict.service)?.type === 'checked')
    .map(({ service, last }) => {
      const why = last && !last.ok ? ` at stage ${last.stage}: ${last.problem}` : '';
      return `service ${service}: the check through ${config.services[service]?.vip} fails${why}`;
    });
}

/** A certificate that ends soon, or a server that is slow, is no fault yet. */
function serverNotices(verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap(({ service, server, last, conditions: { expiring, slow } }) => {
    const end = last?.certificate?.validUntil ? ` (${last.certificate.validUntil})` : '';
    const certificate = `service ${service}: the certificate of server ${server} ends soon${end}: renew it`;
    const slowness = `service ${service}: checks of server ${server} take longer than check.slow_warn; see SERVER_SLOW`;
    return [...(expiring ? [certificate] : []), ...(slow ? [slowness] : [])];
  });
}

function serviceReport(name: string, input: ReportInput): ServiceReport {
  const service = input.config.services[name];
  if (!service) throw new RangeError(`there is no service ${name}`);
  const key = ipvsKeyOf(service);
  const present = input.table.services.find(candidate => candidate.key === key);
  const counts = input.counts.filter(count => count.key === key);
  const own = Object.entries(service.servers).map(([server, { address, weight }]) =>
    serverReport({
      name: server,
      address,
      weight,
      kernel: serverOf(present, { address, port: ipvsPortOf(service) }),
      verdict: wayedVerdict(input, name, server),
      vipCheck: vipCheckReport(name, service, server, input),
      counts,
      drained: isDrained(input, { service: name, server }),
      claims: isClaimer(input, name, server) ? input.claimer : undefined,
      peer: peerReport(input.checks, { service: name, server }),
    }),
  );
  const sorry = sorryReport(name, service, input, { present, counts });
  const known = new Set<string>([...Object.values(service.servers), ...[sorry ?? []].flat()].map(one => one.address));
  const leaving = (present?.servers ?? [])
    .filter(server => !known.has(server.address))
    .map(kernel => ({
      ...serverReport({
        ...{ name: kernel.address, address: kernel.address, weight: 0, kernel, counts },
        verdict: findVerdict(input.otherVerdicts, name, kernel.address),
      }),
      state: 'draining' as const,
    }));
  return {
    name,
    kind: service.kind,
    vip: service.vip,
    mark: service.mark,
    scheduler: service.scheduler,
    inKernel: present !== undefined,
    servers: [...own, ...leaving],
    path: service.forwarding === 'nat' ? pathReport(name, PATH, input) : null,
    sorry,
  };
}

function wayedVerdict({ verdicts, pathVerdicts }: ReportInput, service: string, server: string): Verdict | undefined {
  const verdict = findVerdict(verdicts, service, server);
  return verdict && withWay(verdict, pathVerdicts);
}

/** Under DR and TUN: the VIP on this server, by way of it. */
function vipCheckReport(
  name: string,
  { forwarding }: ServiceConfig,
  server: string,
  input: ReportInput,
): ServerReport['vipCheck'] {
  return forwarding === 'nat' ? null : pathReport(name, wayName(server), input);
}

function pathReport(name: string, which: string, { pathChecks, pathVerdicts }: ReportInput): ServiceReport['path'] {
  const check = pathChecks.get(name);
  if (check === undefined) return null;
  const nothing = { failedStage: null, words: '', checkedAt: null, checkMs: null };
  if (check.type === 'not-checked') return { state: 'not-checked', why: check.why, ...nothing };
  const verdict = findVerdict(pathVerdicts, name, which);
  if (verdict === undefined) return { state: 'unknown', why: '', ...nothing };
  const { state, last, checkedAt = null } = verdict;
  const failed = last && !last.ok ? last : undefined;
  const words = failed === undefined ? '' : whatItSaid(failed);
  return { state, why: '', failedStage: failed?.stage ?? null, words, checkedAt, checkMs: last?.tookMs ?? null };
}

function sorryReport(
  name: string,
  service: ServiceConfig,
  input: ReportInput,
  { present, counts }: { readonly present: IpvsService | undefined; readonly counts: readonly ServerCounts[] },
): ServerReport | null {
  const address = service.sorry_server?.address;
  if (address === undefined) return null;
  const verdict = findVerdict(input.otherVerdicts, name, SORRY);
  return serverReport({
    ...{ name: SORRY, address, weight: sorryWeight(service), verdict, counts },
    kernel: serverOf(present, { address, port: ipvsPortOf(service) }),
  });
}

/** The sentence that mends it is worth more than the reply that gave it away. */
function whatItSaid({ misconfigured, problem, words }: Failure): string {
  return misconfigured ? problem : words || problem;
}

function peerReport(checks: CheckWatch, about: { readonly service: string; readonly server: string }): PeerReport {
  const word = peerWord(checks, about);
  if (word === undefined) return { peer: null, disagrees: false };
  const { state, stage: failedStage, problem: words } = word;
  return { peer: { state, failedStage, words }, disagrees: isApart(checks, about) };
}

function isClaimer({ claimer, pulse }: ReportInput, service: string, server: string): boolean {
  const isHeard = claimer !== undefined && pulse?.foreign?.mac.toLowerCase() === claimer.mac;
  return isHeard && claimer.service === service && claimer.server === server;
}

function serverReport(about: {
  readonly name: string;
  readonly address: Address;
  readonly weight: number;
  readonly kernel: IpvsServer | undefined;
  readonly verdict: Verdict | undefined;
  readonly counts: readonly ServerCounts[];
  readonly vipCheck?: ServerReport['vipCheck'];
  readonly drained?: boolean;
  /** What it claims; absent: nothing. */
  readonly claims?: VipClaimer | undefined;
  /** Absent: the peer says nothing of it. */
  readonly peer?: PeerReport;
}): ServerReport {
  const { name, address, weight, kernel, verdict, claims } = about;
  const last = verdict?.last;
  const count = about.counts.find(candidate => candidate.address === address);
  return {
    name,
    address,
    weight,
    kernelWeight: kernel?.weight ?? null,
    drained: about.drained ?? false,
    state: claims ? 'misconfigured' : (verdict?.state ?? 'unknown'),
    failedStage: last && !last.ok ? last.stage : null,
    words: claims ? claimerProblem(claims) : last && !last.ok ? whatItSaid(last) : '',
    checkedAt: verdict?.checkedAt ?? null,
    checkMs: last?.tookMs ?? null,
    stagesMs: { ...last?.stagesMs },
    slow: verdict?.conditions.slow ?? false,
    ...(about.peer ?? { peer: null, disagrees: false }),
    vipCheck: about.vipCheck ?? null,
    certificateDaysLeft: last?.certificate?.daysLeft ?? null,
    activeConnections: count?.activeConnections ?? 0,
    inactiveConnections: count?.inactiveConnections ?? 0,
  };
}
