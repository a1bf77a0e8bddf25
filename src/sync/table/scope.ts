// Which entries of the kernel's connection table are ours, by the config: templates by firewall
// mark, connections by VIP and port, and the real server in both. Built once for a config, asked
// for every entry of tables with a million. Pure.
import type { Config, ServiceConfig } from '../../config/schema.ts';
import type { Address } from '../../units/address.ts';
import { type Entry, isTemplate, markAddress, PROTOCOL_MARK, PROTOCOL_TCP, type RawAddress, rawOf } from './entry.ts';

/** Source port of active mode's data connections, RFC 959 section 3.2. */
export const FTP_DATA_PORT = 20;

/** Forwarding methods as the lowest three flag bits of an entry (IP_VS_CONN_F_FWD_MASK). */
const FORWARDING_MASK = 0x7;
const FORWARDING = { nat: 0 } as const satisfies Record<ServiceConfig['forwarding'], number>;

/** One service of the config, as the sync needs it. */
export interface ServiceScope {
  readonly name: string;
  readonly vip: RawAddress;
  readonly mark: number;
  readonly controlPort: number;
  readonly passivePorts: { readonly first: number; readonly last: number };
  /** Whether active mode is served: then port 20 of the VIP is ours too. */
  readonly active: boolean;
  /** Forwarding method, as the flag bits of its entries. */
  readonly flags: number;
  readonly persistenceS: number;
  /** Configured and draining. */
  readonly servers: ReadonlySet<RawAddress>;
}

export interface Scope {
  readonly services: readonly ServiceScope[];
  /** IPVS's time-outs as the config sets them. */
  readonly tcpTimeoutS: number;
  readonly tcpFinTimeoutS: number;
  ofMark(mark: number): ServiceScope | undefined;
  /** The service a connection to `port` of `vip` belongs to. */
  ofVirtual(vip: RawAddress, port: number): ServiceScope | undefined;
  markOf(vip: RawAddress, port: number): number | undefined;
  /** Services of active mode that have `server`, which opens data connections from its port 20. */
  ofActiveServer(server: RawAddress): readonly ServiceScope[];
  /** Whether the entry belongs to one of our services and its server is one of that service's. */
  inScope(entry: Entry): boolean;
}

/**
 * `draining` names, by service, real servers that left the config but still have connections. Marks
 * are unique and the ports of services on one VIP are disjoint (rules/services.ts); should two
 * services share port 20 of a VIP, the server tells them apart.
 */
export function scopeOf(config: Config, draining: ReadonlyMap<string, readonly Address[]> = new Map()): Scope {
  const services = Object.entries(config.services).map(([name, service]) =>
    serviceScope(name, service, draining.get(name) ?? []),
  );
  const byMark = new Map(services.map(service => [service.mark, service]));
  const byTemplate = new Map(services.map(service => [markAddress(service.mark, service.vip), service]));
  const byVip = groupBy(services, service => [service.vip]);
  const byActiveServer = groupBy(
    services.filter(service => service.active),
    service => [...service.servers],
  );

  const find = (vip: RawAddress, port: number, server?: RawAddress): ServiceScope | undefined => {
    const candidates = byVip.get(vip);
    if (candidates === undefined) return undefined;
    return candidates.find(service => hasPort(service, port) && (server === undefined || service.servers.has(server)));
  };
  return {
    services,
    tcpTimeoutS: Math.ceil(config.ipvs.tcp_timeout / 1_000),
    tcpFinTimeoutS: Math.ceil(config.ipvs.tcp_fin_timeout / 1_000),
    ofMark: mark => byMark.get(mark),
    ofVirtual: (vip, port) => find(vip, port),
    markOf: (vip, port) => find(vip, port)?.mark,
    ofActiveServer: server => byActiveServer.get(server) ?? [],
    inScope: entry => {
      const template = isTemplate(entry);
      const service = template ? byTemplate.get(entry.virtual) : find(entry.virtual, entry.virtualPort, entry.server);
      return (
        service !== undefined && fits(service, entry) && (template ? isOurTemplate(entry) : isOurConnection(entry))
      );
    },
  };
}

function serviceScope(name: string, service: ServiceConfig, draining: readonly Address[]): ServiceScope {
  const configured = Object.values(service.servers).map(server => server.address);
  return {
    name,
    vip: rawOf(service.vip),
    mark: service.mark,
    controlPort: service.control_port,
    passivePorts: service.passive_ports,
    active: service.active,
    flags: FORWARDING[service.forwarding],
    persistenceS: Math.ceil(service.persistence / 1_000),
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

function hasPort({ controlPort, passivePorts, active }: ServiceScope, port: number): boolean {
  if (port >= passivePorts.first && port <= passivePorts.last) return true;
  return port === controlPort || (active && port === FTP_DATA_PORT);
}

function fits({ vip, mark, flags, servers }: ServiceScope, entry: Entry): boolean {
  // Raw addresses of one family have one length.
  if (entry.client.length !== vip.length || entry.mark !== mark) return false;
  return (entry.flags & FORWARDING_MASK) === flags && servers.has(entry.server);
}

/** The templates of plain services carry a protocol, and the VIP instead of a mark. */
function isOurTemplate({ protocol, clientPort, virtualPort, serverPort }: Entry): boolean {
  return protocol === PROTOCOL_MARK && clientPort === 0 && virtualPort === 0 && serverPort === 0;
}

/** The servers of a mark service have port 0: connections keep their port. */
function isOurConnection({ protocol, clientPort, virtualPort, serverPort }: Entry): boolean {
  return protocol === PROTOCOL_TCP && clientPort > 0 && serverPort === virtualPort;
}
