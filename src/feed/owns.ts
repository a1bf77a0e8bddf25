// Whether a router owns the VIPs, by what its pulse says. Pure.
import type { Role, Snapshot } from './message.ts';

const OWNING: ReadonlySet<Role> = new Set(['claiming', 'active', 'handing-over']);

/** The role of a router that owns the VIPs, or is about to. */
export function isOwning(role: Role): boolean {
  return OWNING.has(role);
}

/**
 * Whether the VIPs are this router's: by its role, or because the addresses are there. A pulse that
 * was restarted alone begins as "starting" while vipd keeps the VIPs, and its connections live.
 */
export function owns({ role, vips }: Pick<Snapshot, 'role' | 'vips'>): boolean {
  return isOwning(role) || vips.some(vip => vip.held);
}
