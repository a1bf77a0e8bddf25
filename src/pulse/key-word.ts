// What a router says of its keys while they are being changed: a datagram beside the heartbeats,
// signed as they are, with the names of the keys that it accepts. No part of the election, which
// never hears of it; who does not know it refuses it as malformed. Pure.
import { createHmac } from 'node:crypto';
import type { KeyIds } from '../config/key-id.ts';
import { type At, between } from '../units/duration.ts';
import { HMAC_BYTES, MAGIC, signedBy } from './heartbeat.ts';
import { KEYS_COUNT_MS } from './timing.ts';

const VERSION = 2;
const KIND = 3;
const COUNT_AT = 38;
const LIST_AT = 39;
const ID_BYTES = 4;
const IDS_MAX = 2;

export interface KeyWord {
  readonly nodeId: number;
  readonly bootId: string;
  readonly peerBootId: string;
  /** Grows with each word of this life. */
  readonly seq: number;
  /** See keyId: all that are accepted. */
  readonly accepts: readonly string[];
}

export function encodeKeyWord(word: KeyWord, pairId: Buffer, key: Buffer): Buffer {
  const size = LIST_AT + word.accepts.length * ID_BYTES;
  const out = Buffer.alloc(size + HMAC_BYTES);
  out.writeUInt32BE(MAGIC, 0);
  out[4] = VERSION;
  out[5] = KIND;
  out[6] = word.nodeId;
  pairId.copy(out, 8);
  out.write(word.bootId, 16, 'hex');
  out.write(word.peerBootId, 24, 'hex');
  out.writeUIntBE(word.seq, 32, 6);
  out[COUNT_AT] = word.accepts.length;
  for (const [i, id] of word.accepts.entries()) out.write(id, LIST_AT + i * ID_BYTES, 'hex');
  createHmac('sha256', key).update(out.subarray(0, size)).digest().copy(out, size);
  return out;
}

/** undefined: it is none, or none of this pair's, or not genuine. Never throws. */
export function readKeyWord(datagram: Buffer, pairId: Buffer, keys: readonly Buffer[]): KeyWord | undefined {
  const count = (datagram.length - HMAC_BYTES - LIST_AT) / ID_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > IDS_MAX || datagram[COUNT_AT] !== count) return undefined;
  if (datagram.readUInt32BE(0) !== MAGIC || datagram[4] !== VERSION || datagram[5] !== KIND) return undefined;
  if (!datagram.subarray(8, 16).equals(pairId) || !keys.some(key => signedBy(datagram, key))) return undefined;
  return {
    nodeId: datagram[6] as number,
    bootId: datagram.toString('hex', 16, 24),
    peerBootId: datagram.toString('hex', 24, 32),
    seq: datagram.readUIntBE(32, 6),
    accepts: Array.from({ length: count }, (_, i) =>
      datagram.toString('hex', LIST_AT + i * ID_BYTES, LIST_AT + (i + 1) * ID_BYTES),
    ),
  };
}

/** What is known of the keys of the peer's present life. */
interface PeerKeys {
  readonly bootId: string;
  /** Of its newest heartbeat. */
  readonly signs: { readonly id: string; readonly seq: number } | undefined;
  readonly said: { readonly accepts: readonly string[]; readonly seq: number; readonly at: At } | undefined;
}

export const NO_PEER_KEYS: PeerKeys = { bootId: '', signs: undefined, said: undefined };

const ofLife = (known: PeerKeys, bootId: string): PeerKeys =>
  known.bootId === bootId ? known : { ...NO_PEER_KEYS, bootId };

/**
 * A heartbeat that counts, of the life `bootId`, came under this key. A slower link is not newer.
 */
export function hearSigned(known: PeerKeys, bootId: string, seq: number, id: string): PeerKeys {
  const before = ofLife(known, bootId);
  return before.signs !== undefined && before.signs.seq >= seq ? before : { ...before, signs: { id, seq } };
}

/** `bootId`: of the peer's present life. A recorded word is older than the last one. */
export function hearKeyWord(known: PeerKeys, word: KeyWord, bootId: string, now: At): PeerKeys {
  if (word.bootId !== bootId) return known;
  const before = ofLife(known, bootId);
  if (before.said !== undefined && before.said.seq >= word.seq) return before;
  return { ...before, said: { accepts: word.accepts, seq: word.seq, at: now } };
}

/** The keys of the peer as far as it has shown them; undefined: it has sent nothing yet. */
export function keysOfPeer({ signs, said }: PeerKeys, now: At): KeyIds | undefined {
  if (signs === undefined) return undefined;
  const fresh = said !== undefined && between(said.at, now) <= KEYS_COUNT_MS ? said.accepts : [];
  return { signs: signs.id, accepts: [...new Set([signs.id, ...fresh])] };
}
