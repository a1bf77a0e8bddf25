// What IPVS should look like: config plus verdicts plus, for servers not judged yet, what the
// kernel already does. Pure. A restart of the director must never take a working server away: until
// its first verdict a server keeps the kernel's word.
import { persistenceMask, persistenceSeconds } from '../config/persistence.ts';
import { schedulerFlags } from '../config/scheduler.ts';
import type { Config, ServiceConfig } from '../config/schema.ts';
import { mappedPort } from '../config/service-ports.ts';
import {
  connectionsOf,
  type IpvsServer,
  type IpvsService,
  type IpvsTable,
  type IpvsTimeouts,
  isInUse,
  isQuiesced,
  KEEPS_PORT,
  type Leave,
  markKey,
  type ServiceKey,
  takesClients,
  type WantedServer,
  type WantedService,
} from '../ipvs/table.ts';
import { isCondemned, SORRY, type Verdict } from '../nanny/verdict.ts';
import { type Address, familyOf } from '../units/address.ts';

/** How far the drain of a server by an operator is; undefined: it is not drained. */
export type DrainOf = (service: string, server: string) => Leave | undefined;

/** The kernel's name of a service of the config. */
export function ipvsKeyOf(service: Pick<ServiceConfig, 'mark' | 'vip'>): ServiceKey {
  return markKey(service.mark, familyOf(service.vip));
}

/** Verdicts by service and server, made once for a list. */
const indexes = new WeakMap<readonly Verdict[], ReadonlyMap<string, Verdict>>();

export function findVerdict(verdicts: readonly Verdict[], service: string, server: string): Verdict | undefined {
  const key = (of: Pick<Verdict, 'service' | 'server'>) => `${of.service}/${of.server}`;
  const index = indexes.get(verdicts) ?? new Map(verdicts.toReversed().map(verdict => [key(verdict), verdict]));
  indexes.set(verdicts, index);
  return index.get(key({ service, server }));
}

/** What the nannies say, of the real servers and of others (loop.ts), and what operators say. */
interface Sayings {
  readonly verdicts: readonly Verdict[];
  readonly otherVerdicts: readonly Verdict[];
  readonly drainOf: DrainOf;
}

/**
 * All services that the config wants, with the weights that the verdicts allow. `leaveOf`:
 * leaving.ts.
 */
export function wantedServices(
  config: Config,
  { verdicts, otherVerdicts, drainOf }: Sayings,
  actual: IpvsTable,
  leave: (key: ServiceKey, address: Address) => Leave,
): readonly WantedService[] {
  return Object.entries(config.services).map(([name, service]) => {
    const key = ipvsKeyOf(service);
    const present = actual.services.find(candidate => candidate.key === key);
    const { scheduler, forwarding } = service;
    const port = ipvsPortOf(service);
    const servers = Object.entries(service.servers).map(([serverName, server]) => {
      const { address, weight, upper_threshold: upperThreshold, lower_threshold: lowerThreshold } = server;
      const verdict = findVerdict(verdicts, name, serverName);
      const found = serverOf(present, { address, port });
      const stays = leave(key, address) === 'stays';
      const thresholds = { upperThreshold, lowerThreshold };
      const drain = drainOf(name, serverName);
      const kept =
        drain === undefined
          ? wantedWeight(verdict, weight, found, stays)
          : drainedWeight(verdict, weight, found && hasSessions(service, found), drain);
      return { address, port, forwarding, ...thresholds, ...kept };
    });
    const isJudged = Object.keys(service.servers).every(
      server =>
        drainOf(name, server) !== undefined || (findVerdict(verdicts, name, server)?.state ?? 'unknown') !== 'unknown',
    );
    const sorry = wantedSorry(service, {
      servers,
      isJudged,
      present,
      verdict: findVerdict(otherVerdicts, name, SORRY),
    });
    const persistenceS = persistenceSeconds(service);
    const mask = persistenceS === undefined ? '' : persistenceMask(service);
    const how = { scheduler, schedulerFlags: schedulerFlags(service), persistenceS, mask };
    return { key, name, ...how, servers: [...servers, ...sorry] };
  });
}

/** As much as the largest of its servers: sh and mh must find it in their tables. */
export function sorryWeight({ servers }: Pick<ServiceConfig, 'servers'>): number {
  return Math.max(1, ...Object.values(servers).map(({ weight }) => weight));
}

/**
 * The sorry server is always in the kernel, so that what is synced of it has a place there. It has
 * a weight only while no real server takes clients, once all of those were judged; and 0 then ends
 * its templates (expire_quiescent_template): its clients come to real servers with their next
 * session. What is not judged yet leaves it as the kernel has it.
 */
function wantedSorry(
  service: ServiceConfig,
  about: {
    readonly servers: readonly WantedServer[];
    readonly isJudged: boolean;
    readonly present: IpvsService | undefined;
    readonly verdict: Verdict | undefined;
  },
): readonly WantedServer[] {
  const address = service.sorry_server?.address;
  if (address === undefined) return [];
  const { servers, isJudged, present, verdict } = about;
  const port = ipvsPortOf(service);
  const wasUsed = (serverOf(present, { address, port })?.weight ?? 0) > 0;
  const state = verdict?.state ?? 'unknown';
  const answers = state === 'up' || (state === 'unknown' && wasUsed);
  const isUsed = answers && !servers.some(takesClients) && (isJudged || wasUsed);
  const weight = isUsed ? sorryWeight(service) : 0;
  const { forwarding } = service;
  return [{ address, port, forwarding, weight, upperThreshold: 0, lowerThreshold: 0, quiesced: false }];
}

/** The port that IPVS is given for the real servers of a service. */
export function ipvsPortOf(service: ServiceConfig): number {
  return mappedPort(service) ?? KEEPS_PORT;
}

/** The server in the kernel's service; one with another port is not ours. */
export function serverOf(
  present: IpvsService | undefined,
  { address, port }: Pick<IpvsServer, 'address' | 'port'>,
): IpvsServer | undefined {
  return present?.servers.find(candidate => candidate.address === address && candidate.port === port);
}

/**
 * A server that is down or misconfigured, but answers, keeps its clients, and its weight with them,
 * which their templates need; without any it has weight 0, like a dead one. `stays`: it has not
 * been so for too long.
 */
function wantedWeight(
  verdict: Verdict | undefined,
  weight: number,
  found: IpvsServer | undefined,
  stays: boolean,
): Pick<WantedServer, 'weight' | 'quiesced'> {
  const { state = 'unknown', alive = true, kept = false } = verdict ?? {};
  if (kept) return { weight, quiesced: false };
  switch (state) {
    case 'up':
      return { weight, quiesced: false };
    case 'misconfigured':
    case 'down': {
      const quiesced = alive && stays && found !== undefined && isInUse(found);
      return { weight: quiesced ? weight : 0, quiesced };
    }
    case 'unknown':
      return found && found.weight > 0 ? { weight, quiesced: isQuiesced(found) } : { weight: 0, quiesced: false };
  }
}

/**
 * One that an operator drains keeps its sessions, whatever its check says, unless it is dead. Only
 * while it has one: as long as closed connections are not forgotten the kernel still lets no new
 * client in, so that the weight is 0 before it would (ip_vs_unbind_dest).
 */
function drainedWeight(
  verdict: Verdict | undefined,
  weight: number,
  isBusy: boolean | undefined,
  drain: Leave,
): Pick<WantedServer, 'weight' | 'quiesced' | 'cut'> {
  if (drain === 'over') return { weight: 0, quiesced: false, cut: true };
  const isDead = verdict !== undefined && isCondemned(verdict) && !verdict.alive;
  const quiesced = drain === 'stays' && !isDead && isBusy === true;
  return { weight: quiesced ? weight : 0, quiesced };
}

/**
 * Whether a session may be open there: a connection is established. No datagram ends anything, and
 * IPVS counts every connection of UDP as inactive: there each one that it has not forgotten yet is
 * a session.
 */
export function hasSessions(
  { kind }: Pick<ServiceConfig, 'kind'>,
  server: Pick<IpvsServer, 'activeConnections' | 'inactiveConnections'>,
): boolean {
  return kind === 'udp' ? connectionsOf(server) > 0 : server.activeConnections > 0;
}

export function wantedTimeouts(config: Config): IpvsTimeouts {
  const hasUdp = Object.values(config.services).some(({ kind }) => kind === 'udp');
  return {
    tcpS: Math.ceil(config.ipvs.tcp_timeout / 1_000),
    tcpFinS: Math.ceil(config.ipvs.tcp_fin_timeout / 1_000),
    udpS: hasUdp ? Math.ceil(config.ipvs.udp_timeout / 1_000) : 0,
  };
}
