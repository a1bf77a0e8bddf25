// Which end of the sync this router is, by what pulse says. Pure.
import type { Role, Snapshot } from '../feed/message.ts';
import type { SyncRole } from '../status/sync-status.ts';
import { EPOCH_NONE, type Epoch, parseEpoch } from '../units/epoch.ts';

const OWNING: ReadonlySet<Role> = new Set(['claiming', 'active', 'handing-over']);

/**
 * Whether the VIPs are this router's: by its role, or because the addresses are there. A pulse that was restarted alone begins as
 * "starting" while vipd keeps the VIPs, and its connections live.
 */
export function owns({ role, vips }: Pick<Snapshot, 'role' | 'vips'>): boolean {
  return OWNING.has(role) || vips.some(vip => vip.held);
}

export interface Standing {
  readonly role: SyncRole;
  readonly epoch: Epoch;
  /** The peer is heard and owns the VIPs. */
  readonly peerServing: boolean;
  /** There is nobody else: what is to be kept, this router keeps. */
  readonly alone: boolean;
}

/** Without pulse (null) nothing is known: neither end, and what is there stays. */
export function standingOf(snapshot: Snapshot | null): Standing {
  if (!snapshot) return { role: 'idle', epoch: EPOCH_NONE, peerServing: false, alone: false };
  const peer = snapshot.peer && !snapshot.peer.silent ? snapshot.peer : null;
  const peerServing = peer !== null && (peer.serving || OWNING.has(peer.role));
  const role = owns(snapshot) ? 'source' : peerServing ? 'sink' : 'idle';
  return { role, epoch: parseEpoch(snapshot.epoch) ?? EPOCH_NONE, peerServing, alone: peer === null };
}
