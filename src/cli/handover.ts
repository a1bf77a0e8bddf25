// Follows the role feed of one router after it was asked to hand over, and says when that is done
// or has failed. Pure.
import type { Snapshot } from '../feed/message.ts';

export type Outcome =
  | { readonly state: 'waiting' }
  | { readonly state: 'done'; readonly owner: string; readonly epoch: string }
  | { readonly state: 'failed'; readonly why: string };

/**
 * What is known of a handover: who was active when it was asked for, and whether anything has
 * moved.
 */
interface Handover {
  readonly from: 'here' | 'peer' | 'nobody';
  readonly epoch: string;
  readonly moving: boolean;
}

/**
 * What a standby still lacks that comes by itself. Undefined: nothing, or something else stands in
 * the way, which pulse knows better how to say.
 */
export function worthWaitingFor({ role, peer }: Snapshot): 'rules' | 'warmth' | undefined {
  if (role !== 'active' || !peer || peer.silent || peer.role !== 'standby') return undefined;
  if (!peer.ready) return 'rules';
  return peer.warm ? undefined : 'warmth';
}

/** The state of affairs just before the command. */
export function beginHandover({ role, peer, epoch }: Snapshot): Handover {
  const here = isOwner(role);
  return { from: here ? 'here' : peer && isOwner(peer.role) ? 'peer' : 'nobody', epoch, moving: false };
}

/** The next snapshot after the command: the handover as it is now known, and its outcome. */
export function followHandover(handover: Handover, now: Snapshot): [Handover, Outcome] {
  const moving = handover.moving || now.role === 'handing-over' || now.role === 'claiming';
  const next = { ...handover, moving };
  const taker = handover.from === 'here' ? 'peer' : 'here';
  if (taker === 'peer' && now.role === 'standby' && now.peer?.role === 'active') {
    return [next, { state: 'done', owner: now.peerNode, epoch: now.peer.epoch }];
  }
  if (taker === 'here' && now.role === 'active') return [next, { state: 'done', owner: now.node, epoch: now.epoch }];
  // Back to active after the offer: the peer did not take it, and this router claimed again with a
  // higher epoch.
  const tookBack = taker === 'peer' && now.role === 'active' && (handover.moving || now.epoch !== handover.epoch);
  const gaveUp = taker === 'here' && now.role === 'standby' && handover.moving;
  if (tookBack || gaveUp) return [next, { state: 'failed', why: now.reason }];
  return [next, { state: 'waiting' }];
}

/** One line on where things stand, for people who wait. */
export function handoverProgress({ node, role, peerNode, peer }: Snapshot): string {
  return `${node} is ${role}, ${peerNode} is ${peer ? peer.role : 'not heard'}`;
}

function isOwner(role: Snapshot['role']): boolean {
  return role === 'active' || role === 'handing-over';
}
