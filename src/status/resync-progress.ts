// How far a resync is. Pure.
import type { SyncStatus } from './sync-status.ts';

/** How much of a resync under way has been sent, 0 to 1; undefined when none runs. */
export function resyncProgress({ resync }: Pick<SyncStatus, 'resync'>): number | undefined {
  if (resync === null || resync.endedAt !== null) return undefined;
  return resync.entries === 0 ? 0 : Math.min(1, resync.sent / resync.entries);
}
