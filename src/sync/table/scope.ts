// Which entries of the kernel's connection table are ours, by the config: templates by firewall
// mark, connections by VIP and port, and the real server in both. Built once for a config, asked
// for every entry of tables with a million. Pure.
import type { PortRange } from '../../config/fields.ts';
import { activePortsOf } from '../../config/ftp-ports.ts';
import { persistencePrefix, persistenceSeconds } from '../../config/persistence.ts';
import type { Config, ServiceConfig } from '../../config/schema.ts';
import { isInRanges, mappedPort, openedPorts, transportOf } from '../../config/service-ports.ts';
import { type Address, addressOf } from '../../units/address.ts';
import {
  type Entry,
  FLAG,
  isTemplate,
  markAddress,
  networkOf,
  PROTOCOL_MARK,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  type RawAddress,
  rawOf,
} from './entry.ts';

/** Forwarding methods as the lowest three flag bits of an entry (IP_VS_CONN_F_FWD_MASK). */
const FORWARDING_MASK = 0x7;
/**
 * Under TUN and DR the servers answer by themselves: the kernel sees one direction of a connection.
 */
const FORWARDING = { nat: 0, tun: 2 | FLAG.noOutput, dr: 3 | FLAG.noOutput } as const satisfies Record<
  ServiceConfig['forwarding'],
  number
>;

/** One service of the config, as the sync needs it. */
export interface ServiceScope {
  readonly name: string;
  readonly vip: RawAddress;
  readonly mark: number;
  /** PROTOCOL_TCP or PROTOCOL_UDP. */
  readonly protocol: number;
  /** Its connections are told to the standby, not only its templates. */
  readonly syncsConnections: boolean;
  /** What clients open on the VIP. */
  readonly ports: readonly PortRange[];
  /** The port of its servers where IPVS changes it. */
  readonly mappedPort: number | undefined;
  /**
   * Where active mode's data come from on the real servers; on the VIP these ports are ours, too.
   * Empty: it is not served.
   */
  readonly activePorts: readonly number[];
  readonly forwarding: ServiceConfig['forwarding'];
  /** The same as the flag bits of its connections. */
  readonly flags: number;
  /** Undefined: its connections have no template. */
  readonly persistenceS: number | undefined;
  /** Leading bits of a client's address that a template has. */
  readonly persistencePrefix: number;
  /** Configured and draining. */
  readonly servers: ReadonlySet<RawAddress>;
}

export interface Scope {
  readonly services: readonly ServiceScope[];
  /** IPVS's time-outs as the config sets them. */
  readonly tcpTimeoutS: number;
  readonly tcpFinTimeoutS: number;
  ofMark(mark: number): ServiceScope | undefined;
  /** The service a connection to `port` of `vip` belongs to; default: over TCP. */
  ofVirtual(vip: RawAddress, port: number, protocol?: number): ServiceScope | undefined;
  /** Its mark, over TCP. */
  markOf(vip: RawAddress, port: number): number | undefined;
  /**
   * Services of active mode that have `server`, which opens their data connections through this
   * router.
   */
  ofActiveServer(server: RawAddress): readonly ServiceScope[];
  /** Whether it is an own address of one of the routers. */
  isRouter(address: RawAddress): boolean;
  /** Whether the entry belongs to one of our services and its server is one of that service's. */
  inScope(entry: Entry): boolean;
}

/**
 * `draining` names, by service, real servers that left the config but still have connections. Marks
 * are unique and the ports of services on one VIP are disjoint (rules/services.ts); should two
 * services share an active port of a VIP, the server tells them apart.
 */
export function scopeOf(config: Config, draining: ReadonlyMap<string, readonly Address[]> = new Map()): Scope {
  const services = Object.entries(config.services).map(([name, service]) =>
    serviceScope(name, service, draining.get(name) ?? []),
  );
  const byMark = new Map(services.map(service => [service.mark, service]));
  const byTemplate = new Map(services.map(service => [markAddress(service.mark, service.vip), service]));
  const routers = routerAddresses(config);
  const byVip = groupBy(services, service => [service.vip]);
  const byActiveServer = groupBy(
    services.filter(({ forwarding, activePorts }) => forwarding === 'nat' && activePorts.length > 0),
    service => [...service.servers],
  );

  const find = (protocol: number, vip: RawAddress, port: number, server?: RawAddress): ServiceScope | undefined => {
    const candidates = byVip.get(vip);
    if (candidates === undefined) return undefined;
    return candidates.find(
      service =>
        service.protocol === protocol &&
        hasPort(service, port) &&
        (server === undefined || service.servers.has(server)),
    );
  };
  return {
    services,
    tcpTimeoutS: Math.ceil(config.ipvs.tcp_timeout / 1_000),
    tcpFinTimeoutS: Math.ceil(config.ipvs.tcp_fin_timeout / 1_000),
    ofMark: mark => byMark.get(mark),
    ofVirtual: (vip, port, protocol = PROTOCOL_TCP) => find(protocol, vip, port),
    markOf: (vip, port) => find(PROTOCOL_TCP, vip, port)?.mark,
    ofActiveServer: server => byActiveServer.get(server) ?? [],
    isRouter: address => routers.has(address),
    inScope: entry => {
      if (routers.has(entry.client)) return false;
      const template = isTemplate(entry);
      const service = template
        ? byTemplate.get(entry.virtual)
        : find(entry.protocol, entry.virtual, entry.virtualPort, entry.server);
      return (
        service !== undefined &&
        fits(service, entry) &&
        (template ? isOurTemplate(service, entry) : isOurConnection(service, entry))
      );
    },
  };
}

/**
 * Those whose connections conntrack is asked for: under DR and TUN it sees the clients' half only,
 * and is told not to look at it; of UDP the kernel's sync master tells soon enough.
 */
export function trackedServices(services: readonly ServiceScope[]): readonly ServiceScope[] {
  return services.filter(({ forwarding, protocol }) => forwarding === 'nat' && protocol === PROTOCOL_TCP);
}

/** What to ask conntrack for active mode's data connections: its arguments, a question each. */
export function activeQuestions(services: readonly ServiceScope[]): readonly (readonly string[])[] {
  const questions = trackedServices(services).flatMap(({ vip, activePorts }) =>
    activePorts.map(port => ['-f', vip.length === 8 ? 'ipv4' : 'ipv6', '--orig-port-src', `${port}`]),
  );
  return [...new Map(questions.map(question => [question.join(' '), question])).values()];
}

/**
 * A router that is a client itself checks the other one through the VIP. In its own kernel such a
 * connection would take the check's packets from the way that it is to prove: IPVS looks up what
 * leaves the host, too.
 */
function routerAddresses({ lans }: Config): ReadonlySet<RawAddress> {
  const own = Object.values(lans).flatMap(lan => Object.values(lan.addresses).flat());
  return new Set(own.map(addressOf).map(rawOf));
}

function serviceScope(name: string, service: ServiceConfig, draining: readonly Address[]): ServiceScope {
  const configured = [...Object.values(service.servers), ...[service.sorry_server ?? []].flat()].map(
    server => server.address,
  );
  return {
    name,
    vip: rawOf(service.vip),
    mark: service.mark,
    protocol: transportOf(service) === 'udp' ? PROTOCOL_UDP : PROTOCOL_TCP,
    syncsConnections: service.kind !== 'udp' || service.sync === 'connections',
    ports: openedPorts(service),
    mappedPort: mappedPort(service),
    activePorts: service.kind === 'ftp' ? activePortsOf(service) : [],
    forwarding: service.forwarding,
    flags: FORWARDING[service.forwarding],
    persistenceS: persistenceSeconds(service),
    persistencePrefix: persistencePrefix(service),
    servers: new Set([...configured, ...draining].map(rawOf)),
  };
}

function groupBy(
  services: readonly ServiceScope[],
  keysOf: (service: ServiceScope) => readonly RawAddress[],
): ReadonlyMap<RawAddress, readonly ServiceScope[]> {
  const groups = new Map<RawAddress, ServiceScope[]>();
  for (const service of services) {
    for (const key of keysOf(service)) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [service]);
      else group.push(service);
    }
  }
  return groups;
}

function hasPort({ ports, activePorts }: ServiceScope, port: number): boolean {
  return isInRanges(port, ports) || activePorts.includes(port);
}

/** The port of a server for a connection to `port` of the VIP. */
export function portOnServer({ mappedPort }: Pick<ServiceScope, 'mappedPort'>, port: number): number {
  return mappedPort ?? port;
}

function fits({ vip, mark, flags, servers }: ServiceScope, entry: Entry): boolean {
  // Raw addresses of one family have one length.
  if (entry.client.length !== vip.length || entry.mark !== mark) return false;
  return (entry.flags & FORWARDING_MASK) === (flags & FORWARDING_MASK) && servers.has(entry.server);
}

/**
 * The templates of plain services carry a protocol, and the VIP instead of a mark. One of another
 * prefix, from before a change of the config, is looked up by nobody any more.
 */
function isOurTemplate({ persistencePrefix, persistenceS }: ServiceScope, entry: Entry): boolean {
  if (persistenceS === undefined) return false;
  const { protocol, client, clientPort, virtualPort, serverPort } = entry;
  if (client !== networkOf(client, persistencePrefix)) return false;
  return protocol === PROTOCOL_MARK && clientPort === 0 && virtualPort === 0 && serverPort === 0;
}

/** The servers of a mark service have port 0, so that connections keep theirs, or one port. */
function isOurConnection(service: ServiceScope, { protocol, clientPort, virtualPort, serverPort }: Entry): boolean {
  const isTold = protocol === service.protocol && service.syncsConnections;
  return isTold && clientPort > 0 && serverPort === portOnServer(service, virtualPort);
}
