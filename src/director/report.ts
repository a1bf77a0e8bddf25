// What the director says of itself and of the router: to pulse (rules in, healthy servers, flush
// time) and to people (the status report). Pure.
import { pulseDigest } from '../config/digest.ts';
import type { Config } from '../config/schema.ts';
import type { DirectorReport, Snapshot } from '../feed/message.ts';
import type { ServerCounts } from '../ipvs/ipvsadm.ts';
import type { IpvsServer, IpvsTable } from '../ipvs/table.ts';
import type { Verdict } from '../nanny/verdict.ts';
import type { ServerReport, ServiceReport, StatusReport } from '../status/status-report.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import type { Address } from '../units/address.ts';
import type { Knowledge } from './findings.ts';
import { findVerdict, ipvsKeyOf } from './wanted.ts';

export interface ReportInput {
  readonly config: Config;
  readonly digest: string;
  readonly version: string;
  readonly generatedAt: string;
  readonly pulse: Snapshot | null;
  readonly verdicts: readonly Verdict[];
  /** Of servers that drain, named by their addresses. */
  readonly leavers: readonly Verdict[];
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
  /** What the sync found this kernel to do, by name (EnsureResult.found). */
  readonly kernelFound: Readonly<Record<string, string>>;
}

interface PulseReportInput {
  /** Of the config in use. */
  readonly digest: string;
  readonly rulesIn: boolean;
  readonly judged: boolean;
  readonly flushMs: number;
  readonly sync: Pick<SyncStatus, 'phase' | 'warm'>;
}

/**
 * The report to pulse. Until the servers have been judged for the first time (`judged`), the number
 * of healthy ones is null, so that a restart of the director does not make this router look unfit.
 */
export function pulseReport(
  config: Config,
  verdicts: readonly Verdict[],
  { digest, rulesIn, judged, flushMs, sync }: PulseReportInput,
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
  return { command: 'report', rulesIn, healthyServers, totalServers, flushMs, warm, configDigest: digest };
}

export function statusReport(input: ReportInput): StatusReport {
  const { config, pulse, known, lastAuditAt, digest } = input;
  const problems = [
    ...input.failures,
    ...pulseProblems(pulse, digest),
    ...kernelProblems(known),
    ...input.watchProblems,
    ...input.syncProblems,
    ...serverProblems(input),
  ];
  return {
    schema: 'tandem-status/1',
    version: input.version,
    generatedAt: input.generatedAt,
    pair: config.pair,
    health: input.failures.length > 0 ? 'failed' : problems.length > 0 ? 'degraded' : 'ok',
    problems: [...new Set(problems)],
    notices: noticesOf(config, pulse),
    pulse,
    services: Object.keys(config.services).map(name => serviceReport(name, input)),
    kernel: {
      rulesIn: known.rulesIn,
      lastAuditAt,
      repairs: known.repairs,
      refused: input.refused,
      errors: [...known.errors],
      found: { ...input.kernelFound },
    },
    sync: input.sync,
  };
}

function pulseProblems(pulse: Snapshot | null, digest: string): string[] {
  if (!pulse) return [];
  const problems: string[] = [];
  const { peer, peerNode, node, hold } = pulse;
  if (!peer) problems.push(`${peerNode} is not heard: there is nobody to take over`);
  else if (peer.silent) problems.push(`${peerNode} is silent: there is nobody to take over`);
  else if (peer.configDigest !== digest) problems.push(`${peerNode} runs another config than ${node}`);
  if (peer && !peer.silent && !peer.ready) problems.push(`${peerNode} is not ready to take over`);
  if (hold.on) problems.push(`${node} is on hold${hold.until === null ? '' : ` until ${hold.until}`}`);
  if (peer?.hold) problems.push(`${peerNode} is on hold`);
  for (const link of pulse.links) {
    if (link.problem !== null)
      problems.push(`heartbeat link ${link.lan} (${link.interface}) is not bound: ${link.problem}`);
    else if (!link.up) problems.push(`heartbeat link ${link.lan} (${link.interface}) is down`);
  }
  for (const name of new Set(pulse.vips.filter(vip => !vip.linkUp).map(vip => vip.interface))) {
    problems.push(`interface ${name} has no carrier`);
  }
  problems.push(...unheldProblems(pulse));
  if (pulse.vipdTrouble !== null) problems.push(`${node}: ${pulse.vipdTrouble}`);
  for (const address of pulse.peerAddressesHere) problems.push(`this host has ${address}, an address of ${peerNode}`);
  if (pulse.bar !== null && !hold.on) problems.push(`${node} cannot become active: ${pulse.bar}`);
  return [...problems, ...surroundingProblems(pulse)];
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

/** LANs, targets, a third machine, the witness. */
function surroundingProblems({ node, lans, isolated, foreign, witness, blindProbes }: Snapshot): string[] {
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
  if (foreign) problems.push(thirdMachineProblem(foreign));
  for (const address of blindProbes)
    problems.push(`probes of ${address} are blind: the peer serves it and answers none; see PROBE_BLIND`);
  if (witness && !witness.good)
    problems.push('the witness does not answer: a full partition would now be judged without it');
  return problems;
}

function thirdMachineProblem({ address, mac, port, claims, standsDown }: NonNullable<Snapshot['foreign']>): string {
  if (!claims) return `another machine, ${mac}, answers for ${address}, which is the peer's`;
  const claim = `another machine, ${mac}, claims ${address} (heard on ${port || 'an unknown port'})`;
  return standsDown ? `${claim}: the pair stands down` : claim;
}

function kernelProblems(known: Knowledge): string[] {
  return [...new Set([...known.problems.map(problem => problem.text), ...known.errors])];
}

function serverProblems({ config, verdicts }: ReportInput): string[] {
  return verdicts
    .filter(verdict => verdict.state === 'down' && config.services[verdict.service] !== undefined)
    .map(({ service, server, last, alive, kept }) => {
      const why = last && !last.ok ? ` at stage ${last.stage}: ${last.problem}` : '';
      const clients = alive && !kept ? ' (it answers, so the clients that it has stay)' : '';
      return `service ${service}: server ${server} is down${why}${clients}`;
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
      kernel: present?.servers.find(candidate => candidate.address === address && candidate.port === 0),
      verdict: findVerdict(input.verdicts, name, server),
      counts,
    }),
  );
  const known = new Set<string>(Object.values(service.servers).map(server => server.address));
  const leaving = (present?.servers ?? [])
    .filter(server => !known.has(server.address))
    .map(kernel => ({
      ...serverReport({
        ...{ name: kernel.address, address: kernel.address, weight: 0, kernel, counts },
        verdict: findVerdict(input.leavers, name, kernel.address),
      }),
      state: 'draining' as const,
    }));
  return {
    name,
    vip: service.vip,
    mark: service.mark,
    scheduler: service.scheduler,
    inKernel: present !== undefined,
    servers: [...own, ...leaving],
  };
}

function serverReport(about: {
  readonly name: string;
  readonly address: Address;
  readonly weight: number;
  readonly kernel: IpvsServer | undefined;
  readonly verdict: Verdict | undefined;
  readonly counts: readonly ServerCounts[];
}): ServerReport {
  const { name, address, weight, kernel, verdict } = about;
  const last = verdict?.last;
  const count = about.counts.find(candidate => candidate.address === address);
  return {
    name,
    address,
    weight,
    kernelWeight: kernel?.weight ?? null,
    state: verdict?.state ?? 'unknown',
    failedStage: last && !last.ok ? last.stage : null,
    words: last && !last.ok ? last.words || last.problem : '',
    checkedAt: verdict?.checkedAt ?? null,
    checkMs: last?.tookMs ?? null,
    activeConnections: count?.activeConnections ?? 0,
    inactiveConnections: count?.inactiveConnections ?? 0,
  };
}
