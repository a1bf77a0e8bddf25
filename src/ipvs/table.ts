// The IPVS table as the kernel has it and as Tandem wants it, and the commands that lead from one
// to the other. Pure. The diff knows no flush: services that are not ours are never touched, and a
// real server that still has connections is quiesced (weight kept, so that its persistence
// templates stay valid; an upper threshold of 1 keeps new clients away). Source:
// net/netfilter/ipvs/ip_vs_ctl.c (update_dest), ip_vs_conn.c (ip_vs_check_template ignores the
// overload flag, but with expire_quiescent_template=1 weight 0 ends a template), ip_vs_sh.c.
import type { Address, Family } from '../units/address.ts';

export type Forwarding = 'nat' | 'dr' | 'tun';
export type Scheduler = string;

/** How ipvsadm names a virtual service: "-f 21", "-f 22 -6", "-t 192.0.2.50:80". */
export type ServiceKey = string & { readonly __unit: 'ipvs service' };

/** The name of a firewall-mark service. */
export function markKey(mark: number, family: Family): ServiceKey {
  return (family === 6 ? `-f ${mark} -6` : `-f ${mark}`) as ServiceKey;
}

export interface IpvsServer {
  readonly address: Address;
  /** 0 in a firewall-mark service: the client's port is kept. */
  readonly port: number;
  readonly forwarding: Forwarding;
  readonly weight: number;
  /** No new connections from this many on; 0: no limit. */
  readonly upperThreshold: number;
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  /** Persistence templates: clients that come back to it. */
  readonly templates: number;
}

export interface IpvsService {
  readonly key: ServiceKey;
  readonly scheduler: Scheduler;
  /** Persistence in seconds; undefined: none. */
  readonly persistenceS: number | undefined;
  /** Flags of the scheduler, as `-b` takes them, sorted; empty: none. */
  readonly schedulerFlags: string;
  /**
   * Options that Tandem never sets (netmask, one-packet, persistence engine), as text; empty: none.
   */
  readonly extras: string;
  readonly servers: readonly IpvsServer[];
}

export interface IpvsTable {
  readonly services: readonly IpvsService[];
}

export interface WantedServer {
  readonly address: Address;
  readonly forwarding: Forwarding;
  readonly weight: number;
  /** It gets no new clients; those that it has stay. */
  readonly quiesced: boolean;
}

export interface WantedService {
  readonly key: ServiceKey;
  /** Its name in the config. */
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly persistenceS: number;
  readonly servers: readonly WantedServer[];
}

/** Time-outs of IPVS connections, in seconds. */
export interface IpvsTimeouts {
  readonly tcpS: number;
  readonly tcpFinS: number;
}

export interface ServiceOptions {
  readonly key: ServiceKey;
  readonly scheduler: Scheduler;
  readonly persistenceS: number;
  readonly schedulerFlags: string;
}

export interface ServerOptions extends Omit<WantedServer, 'quiesced'> {
  readonly key: ServiceKey;
  readonly port: number;
  readonly upperThreshold: number;
}

/** One change to the table. There is deliberately none that flushes or zeroes. */
export type IpvsCommand =
  | { readonly type: 'add-service' | 'edit-service'; readonly service: ServiceOptions }
  | { readonly type: 'delete-service'; readonly key: ServiceKey }
  | { readonly type: 'add-server' | 'edit-server'; readonly server: ServerOptions }
  | { readonly type: 'drain-server'; readonly server: ServerOptions; readonly connections: number }
  | { readonly type: 'delete-server'; readonly key: ServiceKey; readonly address: Address; readonly port: number }
  | { readonly type: 'set-timeouts'; readonly timeouts: IpvsTimeouts };

/** A real server that is on its way out and still has connections. */
export interface Draining {
  readonly key: ServiceKey;
  readonly address: Address;
  readonly connections: number;
  readonly leave: Leave;
}

/**
 * How a server leaves: its clients may stay; they come to other servers, what runs goes on; it
 * goes, whatever it has.
 */
export type Leave = 'stays' | 'ends' | 'over';

interface DiffRules {
  /**
   * Services that Tandem put into the kernel at some time: only these and the wanted ones may be
   * changed.
   */
  readonly owned: ReadonlySet<ServiceKey>;
  readonly leaveOf: (key: ServiceKey, address: Address) => Leave;
}

export interface IpvsDiff {
  readonly commands: readonly IpvsCommand[];
  readonly draining: readonly Draining[];
  /** Services of others, left as they are. */
  readonly foreign: readonly ServiceKey[];
}

/**
 * The commands that make `actual` what is wanted, as far as that can be done without breaking a
 * connection.
 */
export function diff(actual: IpvsTable, wanted: readonly WantedService[], rules: DiffRules): IpvsDiff {
  const commands: IpvsCommand[] = [];
  const draining: Draining[] = [];
  for (const service of wanted) {
    const present = actual.services.find(candidate => candidate.key === service.key);
    commands.push(...serviceCommands(present, service));
    for (const server of service.servers) commands.push(...serverCommands(present, service, server));
    for (const leftover of leftovers(present, service)) {
      const leave = rules.leaveOf(service.key, leftover.address);
      if (connectionsOf(leftover) > 0) draining.push(drainingOf(service.key, leftover, leave));
      commands.push(...leaveCommands(service.key, leftover, leave));
    }
  }
  const wantedKeys = new Set(wanted.map(service => service.key));
  const others = actual.services.filter(service => !wantedKeys.has(service.key));
  for (const service of others.filter(other => rules.owned.has(other.key))) {
    const busy = service.servers
      .filter(server => connectionsOf(server) > 0)
      .map(server => drainingOf(service.key, server, rules.leaveOf(service.key, server.address)));
    // Nothing marks packets for it any more, so no new client comes; its connections need the
    // service until they end.
    if (busy.every(({ leave }) => leave === 'over')) commands.push({ type: 'delete-service', key: service.key });
    draining.push(...busy);
  }
  const foreign = others.filter(service => !rules.owned.has(service.key)).map(service => service.key);
  return { commands, draining, foreign };
}

/** Connections that IPVS counts for a server, idle and closing ones included. */
export function connectionsOf(server: Pick<IpvsServer, 'activeConnections' | 'inactiveConnections'>): number {
  return server.activeConnections + server.inactiveConnections;
}

/** Whether clients depend on the server: connections, or templates that bring its clients back. */
export function isInUse(server: Pick<IpvsServer, 'activeConnections' | 'inactiveConnections' | 'templates'>): boolean {
  return connectionsOf(server) + server.templates > 0;
}

/**
 * Source hashing without this flag refuses every client whose own server is down or draining
 * (ip_vs_sh.c).
 */
function schedulerFlagsOf(scheduler: Scheduler): string {
  return scheduler === 'sh' ? 'sh-fallback' : '';
}

function serviceCommands(present: IpvsService | undefined, wanted: WantedService): IpvsCommand[] {
  const { key, scheduler, persistenceS } = wanted;
  const service = { key, scheduler, persistenceS, schedulerFlags: schedulerFlagsOf(scheduler) };
  if (!present) return [{ type: 'add-service', service }];
  const same =
    present.scheduler === scheduler &&
    present.persistenceS === persistenceS &&
    present.schedulerFlags === service.schedulerFlags &&
    present.extras === '';
  return same ? [] : [{ type: 'edit-service', service }];
}

function serverCommands(present: IpvsService | undefined, service: WantedService, wanted: WantedServer): IpvsCommand[] {
  const { quiesced, ...about } = wanted;
  const server: ServerOptions = { ...about, key: service.key, port: 0, upperThreshold: quiesced ? 1 : 0 };
  const found = present?.servers.find(candidate => candidate.address === wanted.address && candidate.port === 0);
  if (!found) return [{ type: 'add-server', server }];
  const same =
    found.weight === wanted.weight &&
    found.forwarding === wanted.forwarding &&
    found.upperThreshold === server.upperThreshold;
  return same ? [] : [{ type: 'edit-server', server }];
}

/**
 * Servers in the kernel's service that are not wanted; one with another port than 0 is a different
 * one.
 */
function leftovers(present: IpvsService | undefined, wanted: WantedService): readonly IpvsServer[] {
  const addresses = new Set<string>(wanted.servers.map(server => server.address));
  return (present?.servers ?? []).filter(server => server.port !== 0 || !addresses.has(server.address));
}

function leaveCommands(key: ServiceKey, server: IpvsServer, leave: Leave): IpvsCommand[] {
  const { address, port, forwarding } = server;
  const connections = connectionsOf(server);
  if (connections === 0 || leave === 'over') return [{ type: 'delete-server', key, address, port }];
  // Weight 0 ends its templates: clients that come back go to other servers. It gets no new ones
  // anyway.
  const weight = leave === 'ends' ? 0 : server.weight;
  if (server.weight === 0 || (weight > 0 && server.upperThreshold === 1)) return [];
  return [{ type: 'drain-server', connections, server: { key, address, port, forwarding, weight, upperThreshold: 1 } }];
}

function drainingOf(key: ServiceKey, server: IpvsServer, leave: Leave): Draining {
  return { key, address: server.address, connections: connectionsOf(server), leave };
}
