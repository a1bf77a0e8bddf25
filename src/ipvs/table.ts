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

/** The port of a server that is given connections to whatever port the client asked for. */
export const KEEPS_PORT = 0;

/** The name of a firewall-mark service. */
export function markKey(mark: number, family: Family): ServiceKey {
  return (family === 6 ? `-f ${mark} -6` : `-f ${mark}`) as ServiceKey;
}

export interface IpvsServer {
  readonly address: Address;
  /** KEEPS_PORT, or another one: only without persistence, by NAT. */
  readonly port: number;
  readonly forwarding: Forwarding;
  readonly weight: number;
  /** No new clients from this many connections on; 0: no limit. Templates do not count. */
  readonly upperThreshold: number;
  /** New ones again below this; 0: the kernel's own, three quarters of the upper one. */
  readonly lowerThreshold: number;
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
  /** What of a client's address a template has, as `-M` takes it; empty: all of it. */
  readonly mask: string;
  /** Flags of the scheduler, as `-b` takes them, sorted; empty: none. */
  readonly schedulerFlags: string;
  /**
   * Options that Tandem never sets (one-packet, persistence engine), as text; empty: none.
   */
  readonly extras: string;
  readonly servers: readonly IpvsServer[];
}

export interface IpvsTable {
  readonly services: readonly IpvsService[];
}

export interface WantedServer {
  readonly address: Address;
  readonly port: number;
  readonly forwarding: Forwarding;
  readonly weight: number;
  /** As the config has them; not in force while it is quiesced. */
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
  /** It gets no new clients; those that it has stay. */
  readonly quiesced: boolean;
  /** Its time as a drained server is over: it leaves the kernel with what it has. */
  readonly cut?: true;
}

export interface WantedService {
  readonly key: ServiceKey;
  /** Its name in the config. */
  readonly name: string;
  readonly scheduler: Scheduler;
  /** As `-b` takes them, sorted; empty: none. */
  readonly schedulerFlags: string;
  /** Undefined: none. */
  readonly persistenceS: number | undefined;
  /** As `-M` takes it; empty: the whole address. */
  readonly mask: string;
  readonly servers: readonly WantedServer[];
}

/** Time-outs of IPVS connections, in seconds. */
export interface IpvsTimeouts {
  readonly tcpS: number;
  readonly tcpFinS: number;
  /** 0, of a wanted one: as it is. */
  readonly udpS: number;
}

export interface ServiceOptions {
  readonly key: ServiceKey;
  readonly scheduler: Scheduler;
  readonly persistenceS: number | undefined;
  readonly mask: string;
  readonly schedulerFlags: string;
}

export interface ServerOptions extends Omit<WantedServer, 'quiesced' | 'cut'> {
  readonly key: ServiceKey;
}

/** One change to the table. There is deliberately none that flushes or zeroes. */
export type IpvsCommand =
  | { readonly type: 'add-service'; readonly service: ServiceOptions }
  /** `vital`: not only how new clients are spread, but what keeps sessions together. */
  | { readonly type: 'edit-service'; readonly service: ServiceOptions; readonly vital: boolean }
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

/**
 * The thresholds that keep new clients away. Nobody else writes this upper one: the config's is 0
 * or at least 2.
 */
const QUIESCED = { upperThreshold: 1, lowerThreshold: 0 } as const;

export function isQuiesced({ upperThreshold }: Pick<IpvsServer, 'upperThreshold'>): boolean {
  return upperThreshold === QUIESCED.upperThreshold;
}

export function takesClients({ weight, quiesced }: Pick<WantedServer, 'weight' | 'quiesced'>): boolean {
  return weight > 0 && !quiesced;
}

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

/**
 * The services that are not as these commands say, for all their schedulers: after a complaint that
 * the kernel lacks one.
 */
export function withoutScheduler(commands: readonly IpvsCommand[], actual: IpvsTable): readonly ServiceOptions[] {
  return commands.flatMap(command => {
    if (command.type !== 'add-service' && command.type !== 'edit-service') return [];
    const { key, scheduler } = command.service;
    const present = actual.services.find(candidate => candidate.key === key);
    return present?.scheduler === scheduler ? [] : [command.service];
  });
}

/** Connections that IPVS counts for a server, idle and closing ones included. */
export function connectionsOf(server: Pick<IpvsServer, 'activeConnections' | 'inactiveConnections'>): number {
  return server.activeConnections + server.inactiveConnections;
}

/** Whether clients depend on the server: connections, or templates that bring its clients back. */
export function isInUse(server: Pick<IpvsServer, 'activeConnections' | 'inactiveConnections' | 'templates'>): boolean {
  return connectionsOf(server) + server.templates > 0;
}

function serviceCommands(present: IpvsService | undefined, wanted: WantedService): IpvsCommand[] {
  const { key, scheduler, schedulerFlags, persistenceS, mask } = wanted;
  const service = { key, scheduler, persistenceS, mask, schedulerFlags };
  if (!present) return [{ type: 'add-service', service }];
  const spread = present.scheduler === scheduler && present.schedulerFlags === schedulerFlags;
  const vital = present.persistenceS !== persistenceS || present.mask !== mask || present.extras !== '';
  return spread && !vital ? [] : [{ type: 'edit-service', service, vital }];
}

function serverCommands(present: IpvsService | undefined, service: WantedService, wanted: WantedServer): IpvsCommand[] {
  const { quiesced, cut, ...about } = wanted;
  const { key } = service;
  const { address, port } = wanted;
  const server: ServerOptions = { ...about, key, ...(quiesced && QUIESCED) };
  const found = present?.servers.find(candidate => candidate.address === address && candidate.port === port);
  if (cut) return found ? [{ type: 'delete-server', key, address, port }] : [];
  if (!found) return [{ type: 'add-server', server }];
  const same =
    found.weight === wanted.weight &&
    found.forwarding === wanted.forwarding &&
    found.upperThreshold === server.upperThreshold &&
    found.lowerThreshold === server.lowerThreshold;
  return same ? [] : [{ type: 'edit-server', server }];
}

/**
 * Servers in the kernel's service that are not wanted; one with another port is a different one.
 */
function leftovers(present: IpvsService | undefined, wanted: WantedService): readonly IpvsServer[] {
  const ends = new Set(wanted.servers.map(({ address, port }) => `${address} ${port}`));
  return (present?.servers ?? []).filter(({ address, port }) => !ends.has(`${address} ${port}`));
}

function leaveCommands(key: ServiceKey, server: IpvsServer, leave: Leave): IpvsCommand[] {
  const { address, port, forwarding } = server;
  const connections = connectionsOf(server);
  if (connections === 0 || leave === 'over') return [{ type: 'delete-server', key, address, port }];
  // Weight 0 ends its templates: clients that come back go to other servers. It gets no new ones
  // anyway.
  const weight = leave === 'ends' ? 0 : server.weight;
  if (server.weight === 0 || (weight > 0 && isQuiesced(server))) return [];
  return [{ type: 'drain-server', connections, server: { key, address, port, forwarding, weight, ...QUIESCED } }];
}

function drainingOf(key: ServiceKey, server: IpvsServer, leave: Leave): Draining {
  return { key, address: server.address, connections: connectionsOf(server), leave };
}
