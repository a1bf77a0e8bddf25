// What the peers prove themselves with on a sync link: a key derived from the pair's own, and a
// name by which the other side finds it. Pure. Sources: RFC 5869 (HKDF), RFC 8446 sections 2.2 and
// 4.2.11 (pre-shared keys in TLS 1.3). The heartbeat signs with the pair's key itself; a key
// derived for one purpose says nothing about it should it ever become known.
import { createHash, hkdfSync } from 'node:crypto';

const INFO = 'tandem sync stream';
const KEY_BYTES = 32;
const NAME_DIGITS = 8;

/**
 * Only version 1.3 with a pre-shared key: Node's key callbacks work with it, OpenSSL adds an
 * ephemeral Diffie-Hellman exchange by itself (psk_dhe_ke: what was recorded stays secret when the
 * key becomes known later), and both ends are of this program.
 */
export const TLS_ONLY = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // A key that a callback gives is tied to SHA-256 (RFC 8446 section 4.2.11), so to one of these.
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
} as const;

export interface LinkKey {
  /**
   * Names the pair and, by a short hash, the key: during a rotation each side knows which of two is
   * meant. Sent in clear.
   */
  readonly identity: string;
  readonly key: Buffer;
}

/**
 * Both ends say which frames they take beside those of version 1 (`takes` in frame.ts). By the TLS
 * handshake (ALPN), since a director that does not know it takes no notice, while a frame would be
 * counted as a fault.
 */
export const TAKES_PROTOCOL = 'tandem-sync+takes';

export interface LinkKeys {
  /** What the connecting side offers. */
  readonly offer: LinkKey;
  /** What it offers in turn, should that be refused: the peer may have lost a key. */
  readonly offers: readonly LinkKey[];
  /** What the listening side takes, by identity. */
  readonly accept: ReadonlyMap<string, Buffer>;
}

export function linkKeys(pair: string, keys: { readonly sign: Buffer; readonly accept: readonly Buffer[] }): LinkKeys {
  const accepted = keys.accept.map(key => linkKey(pair, key));
  const offer = linkKey(pair, keys.sign);
  const others = accepted.filter(({ identity }) => identity !== offer.identity);
  return { offer, offers: [offer, ...others], accept: new Map(accepted.map(({ identity, key }) => [identity, key])) };
}

function linkKey(pair: string, pairKey: Buffer): LinkKey {
  const key = Buffer.from(hkdfSync('sha256', pairKey, Buffer.alloc(0), INFO, KEY_BYTES));
  const name = createHash('sha256').update(key).digest('hex').slice(0, NAME_DIGITS);
  return { identity: `tandem-sync ${pair} ${name}`, key };
}
