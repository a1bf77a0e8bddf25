// How much of a client's address decides whose server it shares: `persistence_prefix`, and the same
// as ipvsadm's -M takes it. Pure. Source: ip_vs_sched_persist in net/netfilter/ipvs/ip_vs_core.c.
import { type Family, familyOf, netmask } from '../units/address.ts';
import type { ServiceConfig } from './schema.ts';

export const PREFIX_MAX: Readonly<Record<Family, number>> = { 4: 32, 6: 128 };

type Persistence = Pick<ServiceConfig, 'vip' | 'persistence_prefix'>;

/** Leading bits of a client's address that its template has. */
export function persistencePrefix({ vip, persistence_prefix: prefix }: Persistence): number {
  return prefix ?? PREFIX_MAX[familyOf(vip)];
}

/** As IPVS takes it; undefined: off. */
export function persistenceSeconds({ persistence }: Pick<ServiceConfig, 'persistence'>): number | undefined {
  return persistence === undefined ? undefined : Math.ceil(persistence / 1_000);
}

/** For IPv4 a netmask, for IPv6 the length; '': the whole address. */
export function persistenceMask(service: Persistence): string {
  const prefix = persistencePrefix(service);
  const family = familyOf(service.vip);
  if (prefix === PREFIX_MAX[family]) return '';
  return family === 6 ? `${prefix}` : netmask(prefix);
}
