// Names for the pair's keys, to be shown and compared: who reads one learns nothing of the key.
// Pure.
import { createHmac } from 'node:crypto';
import type { PairKeys } from './io/key.ts';

const ID_BYTES = 4;

/** 8 hex digits. */
export function keyId(key: Buffer): string {
  return createHmac('sha256', key).update('tandem key id').digest().toString('hex', 0, ID_BYTES);
}

/** Keys by their names. */
export interface KeyIds {
  readonly signs: string;
  /** With `signs`. */
  readonly accepts: readonly string[];
}

export function keyIds({ sign, accept }: PairKeys): KeyIds {
  return { signs: keyId(sign), accepts: accept.map(keyId) };
}

/** The first of them is the one that signs. */
export function areSameKeys(a: KeyIds, b: KeyIds): boolean {
  return a.accepts.join() === b.accepts.join();
}

/**
 * Why a router must not go over to other keys: it and its peer would not understand each other any
 * more. `peer` undefined: it is not heard, so there is nothing to lose. undefined: it may.
 */
export function whyNotKeys(next: KeyIds, peer: KeyIds | undefined, peerNode: string): string | undefined {
  if (peer === undefined) return undefined;
  if (!peer.accepts.includes(next.signs))
    return `${peerNode} has not said that it accepts key ${next.signs}, which would sign here; it accepts ${peer.accepts.join(', ')}`;
  if (!next.accepts.includes(peer.signs))
    return `${peerNode} still signs with key ${peer.signs}, which would not be accepted here any more`;
  return undefined;
}
