// A digest of a set of entries that does not depend on their order: two routers that sent and
// received the same (key, server) pairs have the same one. Against mistakes, not against forgery:
// the links are authenticated. Pure.
import { type Entry, entryKeyOf } from './entry.ts';

/** 16 hex digits. */
export type Digest = string & { readonly __unit: 'digest' };

/** The sums of two independent 32-bit hashes over all pairs, each modulo 2^32. */
export class EntryDigest {
  #high = 0;
  #low = 0;
  count = 0;

  add(entry: Entry): void {
    const text = `${entryKeyOf(entry)} ${entry.server} ${entry.serverPort}`;
    let high = 0x9e3779b9;
    let low = 0x85ebca6b;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      high = Math.imul(high ^ unit, 0x01000193);
      low = Math.imul((low << 5) | (low >>> 27), 0xcc9e2d51) ^ unit;
    }
    this.#high = (this.#high + finish(high ^ (low >>> 16))) >>> 0;
    this.#low = (this.#low + finish(low ^ Math.imul(high, 0xc2b2ae35))) >>> 0;
    this.count++;
  }

  get value(): Digest {
    return (hex(this.#high) + hex(this.#low)) as Digest;
  }
}

/**
 * Every bit of the input moves about half of the output's (murmur3's last step): sums of similar
 * keys do not cancel out.
 */
function finish(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function hex(n: number): string {
  return n.toString(16).padStart(8, '0');
}
