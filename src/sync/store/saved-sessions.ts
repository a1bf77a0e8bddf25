// Saved sessions: the format of a snapshot of the table in the store. Who saved it and when, then
// one row for each entry with the rest of its lifetime, then counts, a SHA-256 over all of it
// (damage) and an HMAC of that with a key made from the pair's (a store that others can write to
// must not feed the kernel). Written and read in steps, so that a million rows never block the
// event loop. Pure; the format is ours.
import { createHash, createHmac, type Hash, timingSafeEqual } from 'node:crypto';
import type { Epoch } from '../../units/epoch.ts';
import { type Entry, isTemplate, type RawAddress } from '../table/entry.ts';

/** Most rows of a snapshot; what the mirror has beyond them is left out and counted. */
export const SAVED_ROWS_MAX = 1_500_000;
/** Largest snapshot that is read or written, in bytes: above the most rows of IPv6. */
export const SAVED_BYTES_MAX = 128 * 1_048_576;

const MAGIC = Buffer.from('TNDMSNAP');
const END_MAGIC = Buffer.from('TNDMEND\n');
const VERSION = 1;
const NAME_BYTES_MAX = 31;
/** magic, version, node, epoch, time, instance, pair, name of the router: see writeHeader. */
const HEADER_BYTES = 100;
const DIGEST_BYTES = 32;
const COUNTS_BYTES = END_MAGIC.length + 8;
const TRAILER_BYTES = COUNTS_BYTES + 2 * DIGEST_BYTES;
/** A row before its three addresses; see writeRow. */
const ROW_FIXED_BYTES = 26;
const ADDRESS_BYTES = { 4: 4, 6: 16 } as const;
const ROW_BYTES = { 4: ROW_FIXED_BYTES + 3 * ADDRESS_BYTES[4], 6: ROW_FIXED_BYTES + 3 * ADDRESS_BYTES[6] } as const;
const LIFETIME_S_MAX = 0xffff_ffff;

/** Work between two chances to let others run: under a millisecond each. */
const ROWS_PER_STEP = 500;
const SEGMENT_BYTES = 262_144;

export interface SavedHeader {
  /** Name of the pair. */
  readonly pair: string;
  /** The router that saved it. */
  readonly node: string;
  readonly nodeId: number;
  /** The term of ownership whose table this is. */
  readonly epoch: Epoch;
  /** Wall time of the save, ms since 1970. */
  readonly savedAtMs: number;
  /** Tells two lives of a director apart: 16 hex digits. */
  readonly instance: string;
}

export interface SavedRow {
  readonly entry: Entry;
  /** Seconds it had left when it was saved. */
  readonly remainingS: number;
}

interface SavedCounts {
  readonly templates: number;
  readonly connections: number;
}

export interface EncodedSessions extends SavedCounts {
  readonly buffer: Buffer;
  /** Rows left out because there were more than SAVED_ROWS_MAX. */
  readonly omitted: number;
}

/** Why a snapshot cannot be used. The first three mean damage: set it aside. */
export type SavedFault = 'not-a-snapshot' | 'truncated' | 'damaged' | 'version' | 'foreign-pair' | 'foreign-key';

export type SavedSessions =
  | {
      readonly ok: true;
      readonly header: SavedHeader;
      readonly counts: SavedCounts;
      /** Reads the rows anew at every call, one by one: a million of them need no memory. */
      rows(): Iterable<SavedRow>;
    }
  | {
      readonly ok: false;
      readonly why: SavedFault /** As far as it could be read. */;
      readonly header: SavedHeader | undefined;
    };

/** The key that seals snapshots, made from a key of the pair. */
export function sealKey(pairKey: Buffer): Buffer {
  return createHmac('sha256', pairKey).update('tandem snapshot 1').digest();
}

/** Runs the steps of encoding or decoding at once: for tests and small tables. */
export function runSteps<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * Encodes a snapshot; each step is well below a millisecond. `rows` may change between steps, as a
 * Map's iterator allows. Throws RangeError for names and numbers that do not fit.
 */
export function* encodeSteps(
  header: SavedHeader,
  rows: Iterable<SavedRow>,
  key: Buffer,
): Generator<void, EncodedSessions> {
  const hash = createHash('sha256');
  const segments = new Segments(hash);
  writeHeader(segments.reserve(HEADER_BYTES), header);
  let [templates, connections, omitted] = [0, 0, 0];
  for (const row of rows) {
    const count = templates + connections;
    if (count >= SAVED_ROWS_MAX) {
      omitted++;
      if (omitted % ROWS_PER_STEP === 0) yield;
      continue;
    }
    writeRow(segments.reserve(ROW_BYTES[familyOf(row.entry)]), row);
    if (isTemplate(row.entry)) templates++;
    else connections++;
    if (count % ROWS_PER_STEP === 0) yield;
  }
  const counts = segments.reserve(COUNTS_BYTES);
  END_MAGIC.copy(counts);
  counts.writeUInt32BE(templates, END_MAGIC.length);
  counts.writeUInt32BE(connections, END_MAGIC.length + 4);
  const parts = segments.finish();
  const digest = hash.digest();
  parts.push(digest, createHmac('sha256', key).update(digest).digest());
  const buffer = Buffer.allocUnsafe(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    at += part.copy(buffer, at);
    yield;
  }
  return { buffer, templates, connections, omitted };
}

/** Grows without copying what is written; every full segment goes into the hash. */
class Segments {
  readonly #hash: Hash;
  readonly #done: Buffer[] = [];
  #current = Buffer.allocUnsafe(SEGMENT_BYTES);
  #used = 0;

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  /** The next `bytes` bytes, to be written before the next call. */
  reserve(bytes: number): Buffer {
    if (this.#used + bytes > this.#current.length) this.#close();
    const start = this.#used;
    this.#used += bytes;
    return this.#current.subarray(start, this.#used);
  }

  finish(): Buffer[] {
    this.#close();
    return this.#done;
  }

  #close(): void {
    const full = this.#current.subarray(0, this.#used);
    this.#hash.update(full);
    this.#done.push(full);
    this.#current = Buffer.allocUnsafe(SEGMENT_BYTES);
    this.#used = 0;
  }
}

function writeHeader(out: Buffer, header: SavedHeader): void {
  out.fill(0);
  MAGIC.copy(out);
  out.writeUInt16BE(VERSION, 8);
  out.writeUInt8(header.nodeId, 10);
  out.writeUInt8(header.epoch.node, 11);
  out.writeUIntBE(header.epoch.counter, 12, 6);
  out.writeUIntBE(Math.max(0, Math.floor(header.savedAtMs)), 20, 6);
  const instance = Buffer.from(header.instance, 'hex');
  if (instance.length !== 8) throw new RangeError(`instance ${header.instance} is not 16 hex digits`);
  instance.copy(out, 28);
  writeName(out, 36, header.pair);
  writeName(out, 68, header.node);
}

function writeName(out: Buffer, at: number, name: string): void {
  const bytes = Buffer.from(name, 'utf8');
  if (bytes.length > NAME_BYTES_MAX) throw new RangeError(`name "${name}" is longer than ${NAME_BYTES_MAX} bytes`);
  out.writeUInt8(bytes.length, at);
  bytes.copy(out, at + 1);
}

function readName(buffer: Buffer, at: number): string {
  return buffer.toString('utf8', at + 1, at + 1 + Math.min(buffer.readUInt8(at), NAME_BYTES_MAX));
}

/**
 * What the header says, whether or not the rest is sound; undefined when this is no snapshot of our
 * version.
 */
export function readHeader(buffer: Buffer): SavedHeader | undefined {
  if (buffer.length < HEADER_BYTES || !buffer.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (buffer.readUInt16BE(8) !== VERSION) return undefined;
  return {
    pair: readName(buffer, 36),
    node: readName(buffer, 68),
    nodeId: buffer.readUInt8(10),
    epoch: { counter: buffer.readUIntBE(12, 6), node: buffer.readUInt8(11) },
    savedAtMs: buffer.readUIntBE(20, 6),
    instance: buffer.toString('hex', 28, 36),
  };
}

function familyOf(entry: Entry): 4 | 6 {
  return entry.client.length === 2 * ADDRESS_BYTES[4] ? 4 : 6;
}

function writeRow(out: Buffer, { entry, remainingS }: SavedRow): void {
  const family = familyOf(entry);
  out.writeUInt8(family, 0);
  out.writeUInt8(entry.protocol, 1);
  out.writeUInt16BE(entry.state, 2);
  out.writeUInt32BE(entry.flags, 4);
  out.writeUInt32BE(entry.mark, 8);
  out.writeUInt32BE(seconds(entry.timeoutS), 12);
  out.writeUInt32BE(seconds(remainingS), 16);
  out.writeUInt16BE(entry.clientPort, 20);
  out.writeUInt16BE(entry.virtualPort, 22);
  out.writeUInt16BE(entry.serverPort, 24);
  const bytes = ADDRESS_BYTES[family];
  writeAddress(out, ROW_FIXED_BYTES, bytes, entry.client);
  writeAddress(out, ROW_FIXED_BYTES + bytes, bytes, entry.virtual);
  writeAddress(out, ROW_FIXED_BYTES + 2 * bytes, bytes, entry.server);
}

function seconds(value: number): number {
  return Math.min(LIFETIME_S_MAX, Math.max(0, Math.floor(value)));
}

function writeAddress(out: Buffer, at: number, bytes: number, address: RawAddress): void {
  // Unlike write(…, 'hex'), which stops in silence at what is not hex and leaves old bytes behind.
  if (address.length !== 2 * bytes) throw new RangeError(`address ${address} is of another family than the client's`);
  for (let i = 0; i < bytes; i += 4) out.writeUInt32BE(Number.parseInt(address.slice(2 * i, 2 * i + 8), 16), at + i);
}

/**
 * Reads a snapshot in steps. Never throws, whatever the bytes; `keys`: any of them may have sealed
 * it.
 */
export function* decodeSteps(
  buffer: Buffer,
  { pair, keys }: { readonly pair: string; readonly keys: readonly Buffer[] },
): Generator<void, SavedSessions> {
  const bad = (why: SavedFault): SavedSessions => ({ ok: false, why, header: readHeader(buffer) });
  if (buffer.length < HEADER_BYTES + TRAILER_BYTES) return bad('truncated');
  if (!buffer.subarray(0, MAGIC.length).equals(MAGIC)) return bad('not-a-snapshot');
  if (buffer.length > SAVED_BYTES_MAX) return bad('damaged');
  // Before the end mark: another version may end otherwise.
  const header = readHeader(buffer);
  if (!header) return bad('version');
  const countsAt = buffer.length - TRAILER_BYTES;
  if (!buffer.subarray(countsAt, countsAt + END_MAGIC.length).equals(END_MAGIC)) return bad('truncated');
  const digestAt = countsAt + COUNTS_BYTES;
  const digest = yield* digestSteps(buffer.subarray(0, digestAt));
  if (!digest.equals(buffer.subarray(digestAt, digestAt + DIGEST_BYTES))) return bad('damaged');
  const seal = buffer.subarray(digestAt + DIGEST_BYTES);
  if (!keys.some(key => timingSafeEqual(createHmac('sha256', key).update(digest).digest(), seal)))
    return bad('foreign-key');
  if (header.pair !== pair) return bad('foreign-pair');
  const counts = {
    templates: buffer.readUInt32BE(countsAt + END_MAGIC.length),
    connections: buffer.readUInt32BE(countsAt + END_MAGIC.length + 4),
  };
  const body = buffer.subarray(HEADER_BYTES, countsAt);
  if (!(yield* rowsFit(body, counts))) return bad('damaged');
  return { ok: true, header, counts, rows: () => readRows(body) };
}

function* digestSteps(bytes: Buffer): Generator<void, Buffer> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += SEGMENT_BYTES) {
    hash.update(bytes.subarray(at, at + SEGMENT_BYTES));
    yield;
  }
  return hash.digest();
}

/** Walks the rows once without reading them: only the first byte of each says how long it is. */
function* rowsFit(body: Buffer, counts: SavedCounts): Generator<void, boolean> {
  const wanted = counts.templates + counts.connections;
  if (wanted > SAVED_ROWS_MAX) return false;
  let at = 0;
  let rows = 0;
  while (at < body.length) {
    const family = body[at];
    if (family !== 4 && family !== 6) return false;
    at += ROW_BYTES[family];
    rows++;
    if (rows % (10 * ROWS_PER_STEP) === 0) yield;
  }
  return at === body.length && rows === wanted;
}

function* readRows(body: Buffer): Generator<SavedRow, void> {
  const known = new Map<number, RawAddress>();
  for (let at = 0; at < body.length; ) {
    const family = body[at] === 4 ? 4 : 6;
    yield readRow(body, at, family, known);
    at += ROW_BYTES[family];
  }
}

function readRow(body: Buffer, at: number, family: 4 | 6, known: Map<number, RawAddress>): SavedRow {
  const bytes = ADDRESS_BYTES[family];
  const addressAt = (index: number): RawAddress => {
    const from = at + ROW_FIXED_BYTES + index * bytes;
    return body.toString('hex', from, from + bytes) as RawAddress;
  };
  // VIPs and servers are few: one string for each instead of one for each row.
  const sharedAt = (index: number): RawAddress => {
    if (family === 6) return addressAt(index);
    const number = body.readUInt32BE(at + ROW_FIXED_BYTES + index * bytes);
    const shared = known.get(number) ?? addressAt(index);
    if (known.size < SHARED_ADDRESSES_MAX) known.set(number, shared);
    return shared;
  };
  const entry: Entry = {
    protocol: body.readUInt8(at + 1),
    client: addressAt(0),
    clientPort: body.readUInt16BE(at + 20),
    virtual: sharedAt(1),
    virtualPort: body.readUInt16BE(at + 22),
    server: sharedAt(2),
    serverPort: body.readUInt16BE(at + 24),
    flags: body.readUInt32BE(at + 4),
    state: body.readUInt16BE(at + 2),
    mark: body.readUInt32BE(at + 8),
    timeoutS: body.readUInt32BE(at + 12),
  };
  return { entry, remainingS: body.readUInt32BE(at + 16) };
}

const SHARED_ADDRESSES_MAX = 4_096;
