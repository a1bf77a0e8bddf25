// The ports of a service of any kind: what clients open on the VIP, what the real servers have, and
// what the nannies check of it. Pure. Sources: ip_vs_schedule and ip_vs_sched_persist in
// net/netfilter/ipvs/ip_vs_core.c: a server of a mark service keeps the client's port where its own
// is 0, and always with persistence.
import type { PortRange } from './fields.ts';
import { checkedControlPorts } from './ftp-ports.ts';
import type { PlainServiceConfig, ServiceConfig } from './schema.ts';

const single = (port: number): PortRange => ({ first: port, last: port });

export type Transport = 'tcp' | 'udp';

export function transportOf({ kind }: Pick<ServiceConfig, 'kind'>): Transport {
  return kind === 'udp' ? 'udp' : 'tcp';
}

/** What clients open connections to, on the VIP: of FTP, control and passive data. */
export function openedPorts(service: ServiceConfig): readonly PortRange[] {
  if (service.kind !== 'ftp') return service.ports;
  return [...service.control_port.map(single), service.passive_ports];
}

/** The port of the real servers where IPVS changes it; undefined: they have the client's. */
export function mappedPort(service: ServiceConfig): number | undefined {
  return service.kind === 'ftp' ? undefined : service.server_port;
}

/** The same ports on the real servers. */
export function serverPorts(service: ServiceConfig): readonly PortRange[] {
  const mapped = mappedPort(service);
  return mapped === undefined ? openedPorts(service) : [single(mapped)];
}

/** The ports of a real server that are checked. */
export function checkedPorts(service: ServiceConfig): readonly number[] {
  return service.kind === 'ftp' ? checkedControlPorts(service) : [checkedPort(service)];
}

export function checkedPort(service: PlainServiceConfig): number {
  const first = serverPorts(service)[0]?.first ?? 0;
  return service.check.type === 'icmp' ? first : (service.check.port ?? first);
}

/** Where a check through the VIP comes to what it checks on a server. */
export function viaVipPort(service: PlainServiceConfig): number {
  const port = checkedPort(service);
  const isSame = mappedPort(service) === undefined && isInRanges(port, service.ports);
  return isSame ? port : (service.ports[0]?.first ?? 0);
}

export function isInRanges(port: number, ranges: readonly PortRange[]): boolean {
  return ranges.some(({ first, last }) => port >= first && port <= last);
}

/** As people and nft write it. */
export function rangeText({ first, last }: PortRange): string {
  return first === last ? `${first}` : `${first}-${last}`;
}
