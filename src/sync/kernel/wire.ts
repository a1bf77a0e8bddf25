// The kernel's IPVS sync messages, version 1, read and written: what its master daemon reports and
// its backup daemon takes in. Pure. Whatever arrives is checked more strictly than the kernel does,
// since it was sent as a datagram that anybody could have written. Source:
// net/netfilter/ipvs/ip_vs_sync.c (struct ip_vs_sync_mesg, ip_vs_sync_v4, ip_vs_sync_v6),
// include/uapi/linux/ip_vs.h.
import {
  type Entry,
  FLAG,
  isTemplate,
  PROTOCOL_MARK,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  type RawAddress,
  TCP_STATES,
  UDP_STATES,
} from '../table/entry.ts';

/**
 * What the backup daemon takes in one piece on a link of 1500 bytes (its maxlen, 40 IPv4 entries):
 * larger ones it drops in silence.
 */
export const MESSAGE_BYTES_MAX = 1_472;
/** Above the longest time-out of the config (7 days). */
export const TIMEOUT_S_MAX = 30 * 86_400;
/**
 * Flags that a backup takes in (IP_VS_CONN_F_BACKUP_MASK) without those of sequence numbers: only
 * ip_vs_ftp adjusts these, it is never loaded in marks mode, and an entry here does not carry the
 * numbers.
 */
export const BACKUP_FLAGS = 0x7 | FLAG.noOutput | FLAG.inactive | FLAG.noClientPort | FLAG.template;

const HEADER_BYTES = 8;
const VERSION = 1;
const COUNT_MAX = 255;
/**
 * type (1 byte), protocol (1), version and size (2), flags (4), state (2), three ports (6), mark
 * (4), time-out (4).
 */
const FIXED_BYTES = 24;
const ADDRESS_BYTES = { 4: 4, 6: 16 } as const;
const TYPE = { 4: 0, 6: 1 } as const;
const SIZE_MASK = 0x0fff;
/** The forwarding method with the largest number, IP_VS_CONN_F_BYPASS. */
const FORWARDING_MAX = 4;
const TEMPLATE_STATES = 2;
/**
 * Virtual port of a template that the kernel has made invalid, because its server may take no new
 * client.
 */
export const INVALID_TEMPLATE_PORT = 0xffff;
const PORT_MAX = 0xffff;
const MARK_MAX = 0xffff_ffff;
const RAW = /^(?:[0-9a-f]{8}|[0-9a-f]{32})$/;
const UNSPECIFIED = /^0+$/;

/**
 * Optional parameters after an entry: type and length (1 byte each), then the value. The high bit
 * marks those one may skip.
 */
const OPTION = { sequence: 1, engineData: 2, engineName: 3 } as const;
const OPTION_SKIPPABLE = 0x40;
const OPTION_BYTES_MAX: Readonly<Record<number, number>> = {
  [OPTION.sequence]: 24,
  [OPTION.engineData]: 255,
  [OPTION.engineName]: 16,
};

/** Why a whole message is refused. Stable: it names a counter. */
type MessageRefusal =
  | 'too-short'
  | 'too-long'
  | 'size'
  | 'version'
  | 'cut'
  | 'entry-version'
  | 'entry-type'
  | 'trailing';

type DecodeResult =
  | {
      readonly ok: true;
      readonly syncId: number;
      readonly entries: readonly Entry[];
      /** Of the right size, but with options or values that no kernel has: see `usable`. */
      readonly skipped: number;
      /**
       * Other protocols than TCP and UDP, and templates that the kernel has made invalid: nothing
       * is wrong with them.
       */
      readonly ignored: number;
    }
  | { readonly ok: false; readonly refusal: MessageRefusal };

/**
 * Reads one datagram. Never throws; the work is bounded by its length. One broken entry's size
 * makes all that follows unreadable.
 */
export function decodeMessage(message: Buffer): DecodeResult {
  const refusal = refusalOfHeader(message);
  if (refusal !== undefined) return { ok: false, refusal };
  const entries: Entry[] = [];
  let skipped = 0;
  let ignored = 0;
  let at = HEADER_BYTES;
  let end = at;
  for (let left = message.readUInt8(4); left > 0; left--) {
    const place = placeAt(message, at);
    if (typeof place === 'string') return { ok: false, refusal: place };
    end = at + place.bytes;
    // Aligned to 4 bytes, except that nothing follows the last one.
    at = (end + 3) & ~3;
    if (isForeign(message, place)) {
      ignored++;
      continue;
    }
    const entry = entryAt(message, place);
    if (place.optionsFit && usable(entry)) entries.push(entry);
    else skipped++;
  }
  if (message.length !== end && message.length !== at) return { ok: false, refusal: 'trailing' };
  return { ok: true, syncId: message.readUInt8(1), entries, skipped, ignored };
}

function refusalOfHeader(message: Buffer): MessageRefusal | undefined {
  if (message.length < HEADER_BYTES) return 'too-short';
  if (message.length > 0xffff) return 'too-long';
  if (message.readUInt16BE(2) !== message.length) return 'size';
  // Version 0 has the count of its entries in the first byte.
  if (message.readUInt8(0) !== 0 || message.readUInt8(5) !== VERSION || message.readUInt16BE(6) !== 0) return 'version';
  return undefined;
}

interface Place {
  readonly at: number;
  readonly bytes: number;
  readonly addressBytes: number;
  readonly optionsFit: boolean;
}

/** Where an entry lies, its options walked through. */
function placeAt(message: Buffer, at: number): Place | MessageRefusal {
  if (at + FIXED_BYTES > message.length) return 'cut';
  const type = message.readUInt8(at);
  if (type !== TYPE[4] && type !== TYPE[6]) return 'entry-type';
  const versionAndSize = message.readUInt16BE(at + 2);
  if (versionAndSize > SIZE_MASK) return 'entry-version';
  const addressBytes = type === TYPE[4] ? ADDRESS_BYTES[4] : ADDRESS_BYTES[6];
  const bytes = versionAndSize;
  const optionsAt = at + FIXED_BYTES + 3 * addressBytes;
  if (optionsAt > at + bytes || at + bytes > message.length) return 'cut';
  return { at, bytes, addressBytes, optionsFit: optionsFit(message, optionsAt, at + bytes) };
}

/**
 * Whether the options from `at` fill the space to `end` exactly, each at most once and no longer
 * than it may be.
 */
function optionsFit(message: Buffer, at: number, end: number): boolean {
  let seen = 0;
  let next = at;
  while (next < end) {
    if (next + 2 > end) return false;
    const type = message.readUInt8(next) & ~OPTION_SKIPPABLE;
    const skippable = (message.readUInt8(next) & OPTION_SKIPPABLE) !== 0;
    const length = message.readUInt8(next + 1);
    const lengthMax = OPTION_BYTES_MAX[type];
    next += 2 + length;
    if (length === 0 || next > end) return false;
    if (lengthMax === undefined) {
      if (!skippable) return false;
      continue;
    }
    if (length > lengthMax || (type === OPTION.sequence && length !== lengthMax)) return false;
    if ((seen & (1 << type)) !== 0) return false;
    seen |= 1 << type;
  }
  return true;
}

/**
 * Entries of other people's services, and templates the kernel gave up: none of ours, and none of
 * our concern.
 */
function isForeign(message: Buffer, { at }: Place): boolean {
  const protocol = message.readUInt8(at + 1);
  const template = (message.readUInt32BE(at + 4) & FLAG.template) !== 0;
  if (template && message.readUInt16BE(at + 12) === INVALID_TEMPLATE_PORT) return true;
  return !hasConnections(protocol) && !(template && protocol === PROTOCOL_MARK);
}

function entryAt(message: Buffer, { at, addressBytes }: Place): Entry {
  const address = (index: number): RawAddress => {
    const from = at + FIXED_BYTES + index * addressBytes;
    return message.toString('hex', from, from + addressBytes) as RawAddress;
  };
  return {
    protocol: message.readUInt8(at + 1),
    client: address(0),
    clientPort: message.readUInt16BE(at + 10),
    virtual: address(1),
    virtualPort: message.readUInt16BE(at + 12),
    server: address(2),
    serverPort: message.readUInt16BE(at + 14),
    flags: message.readUInt32BE(at + 4) & BACKUP_FLAGS,
    state: message.readUInt16BE(at + 8),
    mark: message.readUInt32BE(at + 16),
    timeoutS: message.readUInt32BE(at + 20),
  };
}

/**
 * Whether every value of an entry is one that a kernel could have reported and may be given: to be
 * asked of all that came from a network or a file, before it is put into a kernel. Whether the
 * entry is ours is the scope's question.
 */
export function usable(entry: Entry): boolean {
  const { protocol, flags, state, mark, timeoutS } = entry;
  if (!within(flags, 0, BACKUP_FLAGS) || (flags & ~BACKUP_FLAGS) !== 0 || (flags & 0x7) > FORWARDING_MAX) return false;
  if (!within(mark, 0, MARK_MAX) || !within(timeoutS, 1, TIMEOUT_S_MAX)) return false;
  const ofConnection = protocol === PROTOCOL_UDP ? UDP_STATES : TCP_STATES.length;
  const states = isTemplate(entry) ? TEMPLATE_STATES : ofConnection;
  if (!within(state, 0, states - 1)) return false;
  if (!hasConnections(protocol) && !(protocol === PROTOCOL_MARK && isTemplate(entry))) return false;
  return portsUsable(entry) && addressesUsable(entry);
}

function hasConnections(protocol: number): boolean {
  return protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP;
}

function portsUsable(entry: Entry): boolean {
  const { clientPort, virtualPort, serverPort, flags } = entry;
  if (!within(clientPort, 0, PORT_MAX) || !within(virtualPort, 0, PORT_MAX) || !within(serverPort, 0, PORT_MAX))
    return false;
  if (isTemplate(entry)) return clientPort === 0 && virtualPort !== INVALID_TEMPLATE_PORT;
  return virtualPort > 0 && serverPort > 0 && (clientPort > 0 || (flags & FLAG.noClientPort) !== 0);
}

function addressesUsable(entry: Entry): boolean {
  const { client, virtual, server } = entry;
  if (client.length !== virtual.length || client.length !== server.length) return false;
  // The network of a client may be all zeros: that of 10.0.0.1 with a prefix of 4.
  const hosts = isTemplate(entry) ? [virtual, server] : [client, virtual, server];
  return RAW.test(client) && hosts.every(address => RAW.test(address) && !UNSPECIFIED.test(address));
}

function within(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

/**
 * Messages of at most `bytesMax` bytes with the entries in their order. Entries that are not
 * `usable` are left out: a caller that has to know asks before.
 */
export function encodeMessages(
  entries: readonly Entry[],
  syncId: number,
  bytesMax: number = MESSAGE_BYTES_MAX,
): Buffer[] {
  const room = Math.min(bytesMax, 0xffff);
  const messages: Buffer[] = [];
  let batch: Entry[] = [];
  let bytes = HEADER_BYTES;
  for (const entry of entries) {
    const entryBytes = bytesOf(entry);
    if (!usable(entry) || HEADER_BYTES + entryBytes > room) continue;
    if (bytes + entryBytes > room || batch.length === COUNT_MAX) {
      messages.push(messageOf(batch, syncId, bytes));
      batch = [];
      bytes = HEADER_BYTES;
    }
    batch.push(entry);
    bytes += entryBytes;
  }
  if (batch.length > 0) messages.push(messageOf(batch, syncId, bytes));
  return messages;
}

/** Both sizes are multiples of 4: no padding is needed. */
function bytesOf({ client }: Entry): number {
  return FIXED_BYTES + (3 * client.length) / 2;
}

function messageOf(entries: readonly Entry[], syncId: number, bytes: number): Buffer {
  const message = Buffer.alloc(bytes);
  message.writeUInt8(syncId & 0xff, 1);
  message.writeUInt16BE(bytes, 2);
  message.writeUInt8(entries.length, 4);
  message.writeUInt8(VERSION, 5);
  let at = HEADER_BYTES;
  for (const entry of entries) {
    writeEntry(message, at, entry);
    at += bytesOf(entry);
  }
  return message;
}

function writeEntry(message: Buffer, at: number, entry: Entry): void {
  message.writeUInt8(entry.client.length === 8 ? TYPE[4] : TYPE[6], at);
  message.writeUInt8(entry.protocol, at + 1);
  message.writeUInt16BE(bytesOf(entry), at + 2);
  message.writeUInt32BE(entry.flags, at + 4);
  message.writeUInt16BE(entry.state, at + 8);
  message.writeUInt16BE(entry.clientPort, at + 10);
  message.writeUInt16BE(entry.virtualPort, at + 12);
  message.writeUInt16BE(entry.serverPort, at + 14);
  message.writeUInt32BE(entry.mark, at + 16);
  message.writeUInt32BE(entry.timeoutS, at + 20);
  const addressBytes = entry.client.length / 2;
  message.write(entry.client, at + FIXED_BYTES, 'hex');
  message.write(entry.virtual, at + FIXED_BYTES + addressBytes, 'hex');
  message.write(entry.server, at + FIXED_BYTES + 2 * addressBytes, 'hex');
}
