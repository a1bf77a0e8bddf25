// The heartbeat's wire format, in its two versions: encoder, decoder, signature. Binary,
// big-endian, at most 256 bytes, HMAC-SHA256 over all of it (docs/internals/heartbeat.md has
// the table). The last will shares its first 46 bytes. Pure.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { VIRTUAL_LANS_MAX } from '../config/lan-id.ts';
import { VIRTUAL_ADDRESSES_MAX } from '../config/virtual-addresses.ts';
import type { Role } from '../feed/message.ts';
import { type Ms, ms } from '../units/duration.ts';
import { EPOCH_COUNTER_MAX, type Epoch } from '../units/epoch.ts';

export const DATAGRAM_BYTES_MAX = 256;
export const MAGIC = 0x544e444d; // "TNDM"
const KIND = { heartbeat: 1, will: 2 } as const;
const HEAD_BYTES = 46;
/**
 * Version 2 has the number of failed fitness checks, the number of units, more flags, and two bytes
 * for a LAN.
 */
const LAYOUT = {
  1: { bodyBytes: 88, lanBytes: 1 },
  2: { bodyBytes: 91, lanBytes: 2 },
} as const;
export type WireVersion = keyof typeof LAYOUT;
const FAILED_CHECKS_AT = 87;
const UNITS_AT = 88;
const MORE_FLAGS_AT = 89;
/** One for each address at most. */
const UNITS_MAX = VIRTUAL_ADDRESSES_MAX;
const MAC_BYTES = 6;
export const HMAC_BYTES = 32;
const WIRE_ROLES: readonly Role[] = ['starting', 'standby', 'claiming', 'active', 'handing-over', 'stopping'];
/** Bits that are not listed are ignored: a newer sender may have more to say. */
const FLAG = {
  serving: 1,
  ready: 2,
  hold: 4,
  warm: 8,
  witness: 16,
  standsDown: 32,
  sound: 64,
  readsVersion2: 128,
} as const;
/** The further flags of version 2. */
const MORE_FLAG = { mayHold: 1 } as const;
/** A boot id that nobody has: "not heard yet". */
export const BOOT_NONE = '0000000000000000';

interface Head {
  /** The layout it came in, or is to be sent in. */
  readonly version: WireVersion;
  /** 1 or 2, see NodeView. */
  readonly nodeId: number;
  /** 8 random bytes as hex, new at each start of pulse. */
  readonly bootId: string;
  /** The receiver's boot id as last heard, BOOT_NONE before that. */
  readonly peerBootId: string;
  readonly seq: number;
  readonly role: Role;
  readonly epoch: Epoch;
}

/**
 * Sent when its sender is sure that it no longer holds any VIP: closes (bootId, epoch) for good.
 */
export interface Will extends Head {
  readonly kind: 'will';
}

export interface Offer {
  readonly epoch: Epoch;
  /** Time left to claim, from the moment of sending. */
  readonly remainingMs: Ms;
}

export interface Heartbeat extends Head {
  readonly kind: 'heartbeat';
  /** vipd acknowledged the last renewal within the lease. */
  readonly serving: boolean;
  /** Its rules are in and no hold is on: it could take over. */
  readonly ready: boolean;
  readonly hold: boolean;
  /** Its tables hold what the owner's hold. */
  readonly warm: boolean;
  /** The witness has answered it lately. */
  readonly witness: boolean;
  /** It has let go because a third machine claims an address, and asks us not to claim either. */
  readonly standsDown: boolean;
  /**
   * Every LAN with virtual addresses has carrier and an own address there: what fitness doubts
   * beyond that is concluded from silence. 0.3.0 never says so.
   */
  readonly sound: boolean;
  /** It may be answered in version 2. 0.3.0 reads version 1 only. */
  readonly readsVersion2: boolean;
  readonly priority: number;
  readonly fitness: number;
  /** Fitness checks by script that fail there; undefined: version 1 does not say. */
  readonly failedChecks: number | undefined;
  /** 8 bytes as hex. */
  readonly configDigest: string;
  readonly intervalMs: Ms;
  readonly leaseMs: Ms;
  readonly deadMs: Ms;
  /** Sender's monotonic clock, microseconds. */
  readonly sentAtUs: number;
  /**
   * The receiver's own sentAtUs as last heard on this link (0: none) and how long ago that was,
   * microseconds.
   */
  readonly echoSentAtUs: number;
  readonly echoDelayUs: number;
  readonly offer: Offer | undefined;
  /** How many units it can hold (src/config/units.ts); undefined: version 1 does not say. */
  readonly units: number | undefined;
  /**
   * Its kernel may hold addresses for it, served under a lease or not; undefined: version 1 does
   * not say.
   */
  readonly mayHold: boolean | undefined;
  /**
   * MACs of the interfaces that carry VIPs. The LAN: in version 1 its index in alphabetical order,
   * which means another LAN where one was added or renamed on one router only; in version 2 its
   * lanId().
   */
  readonly macs: readonly { readonly lan: number; readonly mac: string }[];
}

export type Message = Heartbeat | Will;

/** Why a datagram was refused; each has a counter. */
const REFUSALS = ['oversized', 'truncated', 'not-tandem', 'version', 'wrong-pair', 'forged', 'malformed'] as const;
type Refusal = (typeof REFUSALS)[number];
type Decoded = { readonly ok: true; readonly message: Message } | { readonly ok: false; readonly refusal: Refusal };

/** 8 bytes that stand for the pair's name on the wire. */
export function pairIdOf(pair: string): Buffer {
  return createHash('sha256').update(`tandem pair ${pair}`).digest().subarray(0, 8);
}

/**
 * Encodes and signs a message. `pairId` is pairIdOf(name); `key` the signing key. Throws RangeError
 * for fields out of range.
 */
export function encode(message: Message, pairId: Buffer, key: Buffer): Buffer {
  const macs = message.kind === 'heartbeat' ? message.macs : [];
  if (macs.length > VIRTUAL_LANS_MAX)
    throw new RangeError(`at most ${VIRTUAL_LANS_MAX} MACs fit into a heartbeat, not ${macs.length}`);
  if (message.kind === 'heartbeat' && (message.units ?? 0) > UNITS_MAX)
    throw new RangeError(`at most ${UNITS_MAX} units fit into a heartbeat, not ${message.units}`);
  const size = message.kind === 'will' ? HEAD_BYTES : bodyBytes(message.version, macs.length);
  const out = Buffer.alloc(size + HMAC_BYTES);
  out.writeUInt32BE(MAGIC, 0);
  out[4] = message.version;
  out[5] = KIND[message.kind];
  out[6] = message.nodeId;
  pairId.copy(out, 8);
  out.write(message.bootId, 16, 'hex');
  out.write(message.peerBootId, 24, 'hex');
  out.writeUIntBE(message.seq, 32, 6);
  out[38] = WIRE_ROLES.indexOf(message.role);
  out[39] = message.epoch.node;
  out.writeUIntBE(message.epoch.counter, 40, 6);
  if (message.kind === 'heartbeat') writeBody(out, message);
  createHmac('sha256', key).update(out.subarray(0, size)).digest().copy(out, size);
  return out;
}

/** Of a heartbeat, without the signature. */
function bodyBytes(version: WireVersion, macs: number): number {
  const layout = LAYOUT[version];
  return layout.bodyBytes + macs * (layout.lanBytes + MAC_BYTES);
}

function writeBody(out: Buffer, message: Heartbeat): void {
  out[7] =
    (message.serving ? FLAG.serving : 0) |
    (message.ready ? FLAG.ready : 0) |
    (message.hold ? FLAG.hold : 0) |
    (message.warm ? FLAG.warm : 0) |
    (message.witness ? FLAG.witness : 0) |
    (message.standsDown ? FLAG.standsDown : 0) |
    (message.sound ? FLAG.sound : 0) |
    (message.readsVersion2 ? FLAG.readsVersion2 : 0);
  out[46] = message.priority;
  out[47] = message.fitness;
  out.write(message.configDigest, 48, 'hex');
  out.writeUInt16BE(message.intervalMs, 56);
  out.writeUInt16BE(message.leaseMs, 58);
  out.writeUInt16BE(message.deadMs, 60);
  out.writeUIntBE(message.sentAtUs, 62, 6);
  out.writeUIntBE(message.echoSentAtUs, 68, 6);
  out.writeUInt32BE(Math.min(message.echoDelayUs, 0xffff_ffff), 74);
  out.writeUIntBE(message.offer?.epoch.counter ?? 0, 78, 6);
  out[84] = message.offer?.epoch.node ?? 0;
  out.writeUInt16BE(Math.max(0, Math.floor(message.offer?.remainingMs ?? 0)), 85);
  const { lanBytes, bodyBytes: listAt } = LAYOUT[message.version];
  if (message.version === 2) {
    out[FAILED_CHECKS_AT] = message.failedChecks ?? 0;
    out[UNITS_AT] = message.units ?? 0;
    out[MORE_FLAGS_AT] = message.mayHold ? MORE_FLAG.mayHold : 0;
  }
  out[listAt - 1] = message.macs.length;
  for (const [i, { lan, mac }] of message.macs.entries()) {
    const at = listAt + i * (lanBytes + MAC_BYTES);
    out.writeUIntBE(lan, at, lanBytes);
    out.write(mac.replaceAll(':', ''), at + lanBytes, 'hex');
  }
}

/** Checks and reads a datagram. `keys`: all accepted ones, for key rotation. Never throws. */
export function decode(datagram: Buffer, pairId: Buffer, keys: readonly Buffer[]): Decoded {
  if (datagram.length > DATAGRAM_BYTES_MAX) return { ok: false, refusal: 'oversized' };
  if (datagram.length < HEAD_BYTES + HMAC_BYTES) return { ok: false, refusal: 'truncated' };
  if (datagram.readUInt32BE(0) !== MAGIC) return { ok: false, refusal: 'not-tandem' };
  const version = datagram[4];
  if (version !== 1 && version !== 2) return { ok: false, refusal: 'version' };
  if (!datagram.subarray(8, 16).equals(pairId)) return { ok: false, refusal: 'wrong-pair' };
  if (!keys.some(key => signedBy(datagram, key))) return { ok: false, refusal: 'forged' };
  const message = readSigned(datagram.subarray(0, datagram.length - HMAC_BYTES), version);
  return message ? { ok: true, message } : { ok: false, refusal: 'malformed' };
}

/** Whether this key has made its signature. It is longer than one. */
export function signedBy(datagram: Buffer, key: Buffer): boolean {
  const end = datagram.length - HMAC_BYTES;
  const right = createHmac('sha256', key).update(datagram.subarray(0, end)).digest();
  return timingSafeEqual(right, datagram.subarray(end));
}

/**
 * The fields of a datagram whose signature is right; undefined when they make no sense (a newer or
 * a broken sender).
 */
function readSigned(bytes: Buffer, version: WireVersion): Message | undefined {
  const role = WIRE_ROLES[bytes[38] as number];
  const nodeId = bytes[6] as number;
  if (role === undefined || nodeId < 1 || nodeId > 2) return undefined;
  const head: Head = {
    version,
    nodeId,
    bootId: bytes.toString('hex', 16, 24),
    peerBootId: bytes.toString('hex', 24, 32),
    seq: bytes.readUIntBE(32, 6),
    role,
    epoch: { counter: bytes.readUIntBE(40, 6), node: bytes[39] as number },
  };
  // Counting on from a larger one would run over the field's 48 bits: our own heartbeat could not
  // be written any more.
  if (head.bootId === BOOT_NONE || head.epoch.counter > EPOCH_COUNTER_MAX) return undefined;
  if (bytes[5] === KIND.will) return bytes.length === HEAD_BYTES ? { kind: 'will', ...head } : undefined;
  const listAt = LAYOUT[version].bodyBytes;
  if (bytes[5] !== KIND.heartbeat || bytes.length < listAt) return undefined;
  const macCount = bytes[listAt - 1] as number;
  if (macCount > VIRTUAL_LANS_MAX || bytes.length !== bodyBytes(version, macCount)) return undefined;
  const body = readBody(bytes, version, macCount);
  if ((body.offer?.epoch.counter ?? 0) > EPOCH_COUNTER_MAX || (body.units ?? 0) > UNITS_MAX) return undefined;
  return { kind: 'heartbeat', ...head, ...body };
}

function readBody(bytes: Buffer, version: WireVersion, macCount: number): Omit<Heartbeat, keyof Head | 'kind'> {
  const flags = bytes[7] as number;
  const offered = bytes.readUIntBE(78, 6);
  return {
    serving: (flags & FLAG.serving) !== 0,
    ready: (flags & FLAG.ready) !== 0,
    hold: (flags & FLAG.hold) !== 0,
    warm: (flags & FLAG.warm) !== 0,
    witness: (flags & FLAG.witness) !== 0,
    standsDown: (flags & FLAG.standsDown) !== 0,
    sound: (flags & FLAG.sound) !== 0,
    readsVersion2: (flags & FLAG.readsVersion2) !== 0,
    priority: bytes[46] as number,
    fitness: bytes[47] as number,
    failedChecks: version === 2 ? bytes[FAILED_CHECKS_AT] : undefined,
    configDigest: bytes.toString('hex', 48, 56),
    intervalMs: ms(bytes.readUInt16BE(56)),
    leaseMs: ms(bytes.readUInt16BE(58)),
    deadMs: ms(bytes.readUInt16BE(60)),
    sentAtUs: bytes.readUIntBE(62, 6),
    echoSentAtUs: bytes.readUIntBE(68, 6),
    echoDelayUs: bytes.readUInt32BE(74),
    offer:
      offered === 0
        ? undefined
        : { epoch: { counter: offered, node: bytes[84] as number }, remainingMs: ms(bytes.readUInt16BE(85)) },
    units: version === 2 ? bytes[UNITS_AT] : undefined,
    mayHold: version === 2 ? ((bytes[MORE_FLAGS_AT] as number) & MORE_FLAG.mayHold) !== 0 : undefined,
    macs: Array.from({ length: macCount }, (_, i) => {
      const { lanBytes, bodyBytes: listAt } = LAYOUT[version];
      const at = listAt + i * (lanBytes + MAC_BYTES);
      const macAt = at + lanBytes;
      const mac = bytes.toString('hex', macAt, macAt + MAC_BYTES).match(/../g) as string[];
      return { lan: bytes.readUIntBE(at, lanBytes), mac: mac.join(':') };
    }),
  };
}
