// Which end of the sync this router is, by what pulse says. Pure.
import type { Snapshot } from '../feed/message.ts';
import { isOwning, owns } from '../feed/owns.ts';
import type { SyncRole } from '../status/sync-status.ts';
import { EPOCH_NONE, type Epoch, parseEpoch } from '../units/epoch.ts';

export interface SyncStanding {
  readonly role: SyncRole;
  readonly epoch: Epoch;
  /** The peer is heard and owns the VIPs. */
  readonly peerServing: boolean;
  /** There is nobody else: what is to be kept, this router keeps. */
  readonly alone: boolean;
}

/** Without pulse (null) nothing is known: neither end, and what is there stays. */
export function standingOf(snapshot: Snapshot | null): SyncStanding {
  if (!snapshot) return { role: 'idle', epoch: EPOCH_NONE, peerServing: false, alone: false };
  const peer = snapshot.peer && !snapshot.peer.silent ? snapshot.peer : null;
  const peerServing = peer !== null && (peer.serving || isOwning(peer.role));
  const role = owns(snapshot) ? 'source' : peerServing ? 'sink' : 'idle';
  return { role, epoch: parseEpoch(snapshot.epoch) ?? EPOCH_NONE, peerServing, alone: peer === null };
}
