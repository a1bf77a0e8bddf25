// What a change of role means for the kernel: an audit at once on takeover, stale conntrack entries
// deleted on demotion. Pure.
import type { Config } from '../config/schema.ts';
import type { Role } from '../feed/message.ts';
import type { Address } from '../units/address.ts';

/**
 * Conntrack entries to delete: those opened to `toAddress`, those whose answers go to `replyTo`
 * (opened from there, or translated to come from there), or those from `fromAddress` and port 20.
 */
export type ConntrackTarget =
  | { readonly toAddress: Address }
  | { readonly replyTo: Address }
  | { readonly fromAddress: Address };

/**
 * Whether the router has just begun to own the VIPs: the rules are audited at once, not at the next
 * timer.
 */
export function isTakeover(before: Role | undefined, now: Role): boolean {
  return (now === 'claiming' || now === 'active') && before !== 'claiming' && before !== 'active';
}

/**
 * Our own conntrack entries: those to the VIPs; those whose first packet after a takeover came from
 * the real server, which IPVS turned so that the answers go to the VIP; and those of active mode.
 * If they stayed, a transfer that came back later (A→B→A) would meet sequence windows that it has
 * left long ago. IPVS's own connections stay: the new owner's stream renews them.
 */
export function conntrackTargets(config: Config): readonly ConntrackTarget[] {
  const services = Object.values(config.services);
  const vips = new Set(services.map(service => service.vip));
  const servers = new Set(
    services.filter(service => service.active).flatMap(service => Object.values(service.servers).map(s => s.address)),
  );
  return [
    ...[...vips].flatMap(vip => [{ toAddress: vip }, { replyTo: vip }]),
    ...[...servers].map(fromAddress => ({ fromAddress })),
  ];
}
