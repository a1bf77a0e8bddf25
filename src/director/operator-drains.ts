// What the drains of operators (drain/drains.ts) mean for the kernel, for the checks through the
// VIPs and for people, and what is to be told of them. Pure.
import type { Config, ServiceConfig } from '../config/schema.ts';
import {
  type Decree,
  type Drains,
  drained,
  drainKey,
  drainOf,
  isSameDecree,
  leftMs,
  type ServerName,
} from '../drain/drains.ts';
import type { ServerCounts } from '../ipvs/ipvsadm.ts';
import type { Leave } from '../ipvs/table.ts';
import type { Verdict } from '../nanny/verdict.ts';
import type { DrainReport } from '../status/status-report.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import type { ServerLoad } from '../sync/sync.ts';
import type { At, Ms } from '../units/duration.ts';
import { allServers } from './drain-target.ts';
import type { Event } from './findings.ts';
import { type DrainOf, findVerdict, hasSessions, ipvsKeyOf, ipvsPortOf } from './wanted.ts';

/** A command of an operator. */
export interface DrainOrder {
  /** As drain-target.ts reads it. */
  readonly target: string;
  readonly drained: boolean;
  /** Time for the sessions; absent: ipvs.drain. */
  readonly spanMs?: Ms;
  readonly reason: string;
  readonly who: string;
  /** Also where no server is left for new clients. */
  readonly force: boolean;
}

export type DrainOutcome =
  | {
      readonly ok: true;
      readonly servers: readonly ServerName[];
      /** Why it is not on disk; empty: it is. */
      readonly unsaved: string;
    }
  | { readonly ok: false; readonly kind: 'unknown' | 'refused'; readonly problem: string };

type Times = Pick<Config['ipvs'], 'tcp_fin_timeout'>;

/** TIME_WAIT of IPVS is fixed at two minutes; and one for the rest. */
const CLOSING_MS = 180_000;

/** As a server that left the config, but by the time of its own drain (leaving.ts). */
function leaveOfDrain(decree: Pick<Decree, 'deadlineAt' | 'spanMs'>, at: At, times: Times): Leave {
  const left = leftMs(decree, at);
  if (left === 0) return 'over';
  return left <= Math.min(times.tcp_fin_timeout, decree.spanMs / 2) ? 'ends' : 'stays';
}

export function drainRule(drains: Drains, at: At, times: Times): DrainOf {
  return (service, server) => {
    const found = drainOf(drains, { service, server });
    return found && leaveOfDrain(found, at, times);
  };
}

/** The names of those that are drained. */
export function drainedByService(drains: Drains): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const { service, server } of drained(drains)) found.set(service, [...(found.get(service) ?? []), server]);
  return found;
}

/** How far all of them are, to see when one has moved on. */
export function standOfDrains(drains: Drains, at: At, times: Times): string {
  return drained(drains)
    .map(one => `${drainKey(one)} ${one.counter} ${leaveOfDrain(one, at, times)}`)
    .join();
}

/**
 * Services that must not be checked through their VIP, since the check has, or could still have, a
 * template to a server that drains, and would keep it by coming again and again.
 */
export function servicesOfDrains(
  drains: Drains,
  { services, ipvs }: Pick<Config, 'services' | 'ipvs'>,
  counts: readonly ServerCounts[] | undefined,
  now: At,
): readonly string[] {
  return drained(drains)
    .filter(one => {
      if (leaveOfDrain(one, now, ipvs) !== 'stays') return false;
      const service = services[one.service];
      if (service === undefined) return false;
      const passed = one.spanMs - leftMs(one, now);
      if (counts === undefined) return true;
      const found = countsOf(one, { services }, counts);
      const isYoung = passed < 2 * (service.persistence ?? 0) + CLOSING_MS;
      return isYoung || (found !== undefined && hasSessions(service, found));
    })
    .map(({ service }) => service);
}

function countsOf(
  { service, server }: ServerName,
  { services }: Pick<Config, 'services'>,
  counts: readonly ServerCounts[],
): ServerCounts | undefined {
  const spec = services[service];
  const address = spec?.servers[server]?.address;
  if (spec === undefined || address === undefined) return undefined;
  const key = ipvsKeyOf(spec);
  const port = ipvsPortOf(spec);
  return counts.find(count => count.key === key && count.address === address && count.port === port);
}

/**
 * The services that would take no new clients on a real server any more, with what they would meet
 * instead; empty: none.
 */
export function emptiedBy(
  servers: readonly ServerName[],
  {
    config,
    drains,
    verdicts,
  }: { readonly config: Config; readonly drains: Drains; readonly verdicts: readonly Verdict[] },
): readonly string[] {
  const gone = new Set([...drained(drains), ...servers].map(drainKey));
  const touched = [...new Set(servers.map(({ service }) => service))];
  return touched
    .filter(
      name =>
        !allServers(config).some(one => one.service === name && !gone.has(drainKey(one)) && isTaking(one, verdicts)),
    )
    .map(name => {
      const sorry = config.services[name]?.sorry_server?.address;
      const fate = sorry === undefined ? 'they would be refused' : `they would come to its sorry server ${sorry}`;
      return `service ${name} would have no other server for new clients: ${fate}`;
    });
}

/** One that was not judged yet has the benefit of the doubt. */
function isTaking({ service, server }: ServerName, verdicts: readonly Verdict[]): boolean {
  const { state = 'unknown', kept = false } = findVerdict(verdicts, service, server) ?? {};
  return kept || state === 'up' || state === 'unknown';
}

/** What is told when the register has changed. `why`: of drains that ended without an order. */
export function decreeEvents(before: Drains, after: Drains, why: 'enabled' | 'left the config'): readonly Event[] {
  const began = drained(after).filter(one => {
    const was = drainOf(before, one);
    return was === undefined || !isSameDecree(was, one);
  });
  const ended = drained(before).filter(one => drainOf(after, one) === undefined);
  return [
    ...began.map(({ service, server, spanMs, reason, who, router }) => ({
      code: 'DRAIN_STARTED' as const,
      fields: { service, server, spanMs: Math.round(spanMs), reason, who, router },
    })),
    ...ended.map(({ service, server }) => {
      const order = after.decrees.get(drainKey({ service, server }));
      const { who = '', router = '' } = order ?? {};
      return { code: 'DRAIN_ENDED' as const, fields: { service, server, reason: why, who, router } };
    }),
  ];
}

/** What has been told of each drain, by `drainKey`. */
export type DrainsTold = ReadonlyMap<string, { readonly counter: number; readonly phase: DrainReport['phase'] }>;

/** What is told when a drain comes further: no session is left, or its time is over. */
export function progressEvents(
  before: DrainsTold,
  reports: readonly (DrainReport & { readonly counter: number })[],
): { readonly next: DrainsTold; readonly events: readonly Event[] } {
  const events: Event[] = [];
  const next = new Map<string, { counter: number; phase: DrainReport['phase'] }>();
  for (const { service, server, counter, phase, activeConnections, inactiveConnections } of reports) {
    const was = before.get(drainKey({ service, server }));
    const isNew = was?.counter !== counter || was.phase !== phase;
    next.set(drainKey({ service, server }), { counter, phase });
    if (!isNew) continue;
    if (phase === 'empty') events.push({ code: 'DRAIN_EMPTY', fields: { service, server } });
    const cut = activeConnections + inactiveConnections;
    if (phase === 'over') events.push({ code: 'DRAIN_OVER', fields: { service, server, cut } });
  }
  return { next, events };
}

/**
 * Whether the kernel of this router has all connections of a service: on the one that serves, and
 * on the other one as far as they are synced. `owns`: undefined while pulse is not heard.
 */
export function hasAllConnections(
  service: ServiceConfig,
  { owns, sync }: { readonly owns: boolean | undefined; readonly sync: Pick<SyncStatus, 'phase' | 'warm'> },
): boolean {
  if (owns !== false) return true;
  const isSynced = service.kind !== 'udp' || service.sync === 'connections';
  return isSynced && sync.phase !== 'off' && sync.warm;
}

interface DrainsLook {
  readonly drains: Drains;
  readonly config: Pick<Config, 'services' | 'ipvs'>;
  /** Undefined: the kernel was not read yet. */
  readonly counts: readonly ServerCounts[] | undefined;
  /** Whether all connections of a service are in the kernel here. */
  readonly hasAll: (service: ServiceConfig) => boolean;
  readonly now: At;
  /** By the sync's mirror; undefined: not known. */
  readonly load: (name: ServerName) => ServerLoad | undefined;
  readonly isShared: (decree: Decree) => boolean;
}

export function drainReports(look: DrainsLook): readonly (DrainReport & { readonly counter: number })[] {
  const { drains, config, counts, hasAll, now, load, isShared } = look;
  return drained(drains).map(one => {
    const { service, server, spanMs, since, reason, who, router, counter } = one;
    const found = countsOf(one, config, counts ?? []);
    const leave = leaveOfDrain(one, now, config.ipvs);
    const spec = config.services[service];
    const isBusy = found !== undefined && spec !== undefined && hasSessions(spec, found);
    const isEmpty = !isBusy && counts !== undefined && (spec === undefined || hasAll(spec));
    const { sessions = null, transfers = null } = load(one) ?? {};
    return {
      service,
      server,
      kind: spec?.kind ?? 'ftp',
      phase: leave === 'over' ? 'over' : isEmpty ? 'empty' : leave === 'ends' ? 'ending' : 'draining',
      since,
      router,
      who,
      reason,
      spanMs: Math.round(spanMs),
      leftMs: leftMs(one, now),
      sessions: isEmpty ? 0 : sessions,
      transfers: isEmpty ? 0 : transfers,
      activeConnections: found?.activeConnections ?? 0,
      inactiveConnections: found?.inactiveConnections ?? 0,
      shared: isShared(one),
      counter,
    };
  });
}
