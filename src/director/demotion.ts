// What a change of role means for the kernel: an audit at once on takeover, stale conntrack entries
// deleted on demotion. Pure.
import { activePortsOf } from '../config/ftp-ports.ts';
import type { Config } from '../config/schema.ts';
import type { Role } from '../feed/message.ts';
import type { Address } from '../units/address.ts';

/**
 * Conntrack entries to delete: those opened to `toAddress`, those whose answers go to `replyTo`
 * (opened from there, or translated to come from there), or those from `fromAddress` and its active
 * port.
 */
export type ConntrackTarget =
  | { readonly toAddress: Address }
  | { readonly replyTo: Address }
  | { readonly fromAddress: Address; readonly port: number };

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
  // Of the others conntrack knows nothing.
  const services = Object.values(config.services).filter(({ forwarding }) => forwarding === 'nat');
  const vips = new Set(services.map(service => service.vip));
  const active = services.flatMap(service =>
    (service.kind === 'ftp' ? activePortsOf(service) : []).flatMap(port =>
      Object.values(service.servers).map(({ address }) => ({ fromAddress: address, port })),
    ),
  );
  const once = new Map(active.map(target => [`${target.fromAddress} ${target.port}`, target]));
  return [...[...vips].flatMap(vip => [{ toAddress: vip }, { replyTo: vip }]), ...once.values()];
}
