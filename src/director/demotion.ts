// What a change of role means for the kernel: an audit at once on takeover, stale conntrack entries deleted on demotion. Pure.
import type { Config } from '../config/schema.ts';
import type { Role, Snapshot } from '../feed/message.ts';
import type { Address } from '../units/address.ts';

/** Conntrack entries to delete: those to `toAddress`, or those from `fromAddress` and port 20. */
export type ConntrackTarget = { readonly toAddress: Address } | { readonly fromAddress: Address };

const OWNING: ReadonlySet<Role> = new Set(['claiming', 'active', 'handing-over']);

/** Whether the router has just begun to own the VIPs: the rules are audited at once, not at the next timer. */
export function isTakeover(before: Role | undefined, now: Role): boolean {
  return (now === 'claiming' || now === 'active') && before !== 'claiming' && before !== 'active';
}

/**
 * Whether the VIPs are this router's: by its role, or because the addresses are there. A pulse that was restarted alone begins as
 * "starting" while vipd keeps the VIPs, and its connections live.
 */
export function owns({ role, vips }: Pick<Snapshot, 'role' | 'vips'>): boolean {
  return OWNING.has(role) || vips.some(vip => vip.held);
}

/**
 * Our own conntrack entries: those to the VIPs, and those of active mode, from the real servers' port 20. If they stayed, a
 * transfer that came back later (A→B→A) would meet sequence windows that it has left long ago.
 */
export function conntrackTargets(config: Config): readonly ConntrackTarget[] {
  const services = Object.values(config.services);
  const vips = new Set(services.map(service => service.vip));
  const servers = new Set(
    services.filter(service => service.active).flatMap(service => Object.values(service.servers).map(s => s.address)),
  );
  return [...[...vips].map(toAddress => ({ toAddress })), ...[...servers].map(fromAddress => ({ fromAddress }))];
}
