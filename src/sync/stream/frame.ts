// The frames inside the links between the two directors: control messages (JSON) and numbered
// frames with entries in the kernel's own wire format. Every byte is checked: whatever came, the
// answer is a frame or a refusal, never an exception. Pure.
//
// Control: 1 | JSON, at most 4096 bytes. Numbered: 2 | kind | stream (8 bytes) | number (6) |
// payload: sync messages one after another, each with its length inside (wire.ts); of the two
// frames around a resync, JSON.
import { z } from 'zod';
import { hookWordSchema } from '../../config/hook-word.ts';
import { reloadWordSchema } from '../../config/reload-word.ts';
import { type DrainWord, drainWordSchema } from '../../drain/drain-word.ts';
import { type CheckWord, checkWordSchema } from '../../nanny/check-word.ts';
import { SYNC_ROLES } from '../../status/sync-status.ts';
import type { Epoch } from '../../units/epoch.ts';
import { decodeMessage, encodeMessages } from '../kernel/wire.ts';
import type { Entry } from '../table/entry.ts';
import type { Digest } from '../table/entry-digest.ts';

export const FRAME_VERSION = 1;
export const FRAME_BYTES_MAX = 65_536;
/**
 * Frames that came after version 1, each a type of control message. A director names those that it
 * takes (`takes`) and is sent no others.
 */
const EXTENSIONS = ['checks', 'reload', 'drains', 'hook-sent'] as const;
export type Extension = (typeof EXTENSIONS)[number];
/** More than there are: a later version names some that mean nothing here. */
const EXTENSIONS_MAX = 32;
/** With IPv6 entries of 72 bytes a frame is about half full. */
export const FRAME_ENTRIES_MAX = 500;
const CONTROL_BYTES_MAX = 4_096;
/** So many of the shortest fit in. */
const WORDS_MAX = 64;
/** For the words of one message: the rest is for what is around them. */
const PART_BYTES_MAX = CONTROL_BYTES_MAX - 64;
const TYPE = { control: 1, numbered: 2 } as const;
const HEADER_BYTES = 16;
const SEQ_MAX = 2 ** 48 - 1;
const MESSAGE_LENGTH_AT = 2;
const MESSAGE_BYTES_MAX = 0xffff;

/** Eight bytes in hex. A director takes a new one for every start and every stream. */
export type Id = string & { readonly __unit: 'id' };

const id = z
  .string()
  .regex(/^[0-9a-f]{16}$/)
  .transform(text => text as Id);
const digest = z
  .string()
  .regex(/^[0-9a-f]{16}$/)
  .transform(text => text as Digest);
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const seq = z.int().min(0).max(SEQ_MAX);
const clock = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const epoch = z.strictObject({ counter: count, node: z.int().min(0).max(2) }).transform(value => value as Epoch);

const controlSchema = z.discriminatedUnion('type', [
  /** First on every link, in both directions. */
  z.strictObject({
    type: z.literal('hello'),
    version: z.literal(FRAME_VERSION),
    node: z.int().min(1).max(2),
    instance: id,
    /** Kernel release (uname -r), for people. */
    kernel: z.string().max(128),
    templates: count,
    connections: count,
    /** The sender has had the receiver's hello on this link; if not, it wants it (again). */
    met: z.boolean(),
  }),
  /**
   * `n` grows with every change: a link that is slow must not bring back an older role. `stream`:
   * only of a source.
   */
  z.strictObject({ type: z.literal('role'), n: count, role: z.enum(SYNC_ROLES), epoch, stream: id.nullable() }),
  /**
   * `seq`: number of the source's newest frame, 0 when there is none. `at`: the sender's clock, to
   * be echoed.
   */
  z.strictObject({ type: z.literal('ping'), at: clock, stream: id.nullable(), seq }),
  z.strictObject({ type: z.literal('pong'), at: clock }),
  /** The sink wants the stream from `have` + 1 on; `have` 0: everything, so a resync. */
  z.strictObject({ type: z.literal('request'), stream: id, have: seq }),
  /** Frames up to `seq` are in the sink's kernel; up to `received` they are in its memory. */
  z.strictObject({ type: z.literal('ack'), stream: id, seq, received: seq }),
  /** These frames are missing. */
  z.strictObject({ type: z.literal('need'), stream: id, from: seq, to: seq }),
  /** How the sink's comparison ended; count and digest of the entries the resync brought. */
  z.strictObject({
    type: z.literal('verified'),
    stream: id,
    resync: count,
    ok: z.boolean(),
    count,
    digest,
    by: z.enum(['entries', 'counts']),
    repaired: count,
  }),
  /**
   * The frames that the sender takes beside those of version 1: after its hello, on a link whose
   * other end knows this one (link-key.ts).
   */
  z.strictObject({ type: z.literal('takes'), frames: z.array(z.string().max(32)).max(EXTENSIONS_MAX) }),
  /** What the sender's nannies say of some servers. */
  z.strictObject({ type: z.literal('checks'), words: z.array(checkWordSchema).max(WORDS_MAX) }),
  /** One asks the other to reload, and is answered (tandem reload --pair). */
  z.strictObject({ type: z.literal('reload'), word: reloadWordSchema }),
  /** What operators have decreed for real servers, as the sender has it. */
  z.strictObject({ type: z.literal('drains'), words: z.array(drainWordSchema).max(WORDS_MAX) }),
  /** A hook of the sender has sent a message that the receiver's may have, too. */
  z.strictObject({ type: z.literal('hook-sent'), word: hookWordSchema }),
  z.strictObject({ type: z.literal('bye'), why: z.string().max(200) }),
]);
export type Control = z.output<typeof controlSchema>;
export type ControlOf<T extends Control['type']> = Extract<Control, { type: T }>;

const NUMBERED_KINDS = ['live', 'bulk', 'resync-begin', 'resync-end'] as const;
export type NumberedKind = (typeof NUMBERED_KINDS)[number];

export interface Numbered {
  readonly kind: NumberedKind;
  readonly stream: Id;
  /** From 1 on. */
  readonly seq: number;
  readonly payload: Buffer;
}

const resyncBegin = z.strictObject({ resync: count, entries: count });
const resyncEnd = z.strictObject({ resync: count, count, digest });
export type ResyncBegin = z.output<typeof resyncBegin>;
export type ResyncEnd = z.output<typeof resyncEnd>;

type FrameRefusal = 'empty' | 'too-long' | 'type' | 'json' | 'message' | 'version' | 'kind' | 'number';
type FrameResult =
  | { readonly type: 'control'; readonly message: Control }
  | { readonly type: 'numbered'; readonly frame: Numbered }
  | { readonly type: 'refused'; readonly refusal: FrameRefusal };

const refused = (refusal: FrameRefusal): FrameResult => ({ type: 'refused', refusal });

/**
 * Reads a frame; the payload of a numbered one is read by readEntries and its like, once it is
 * known to be wanted. Never throws.
 */
export function readFrame(frame: Buffer): FrameResult {
  if (frame.length === 0) return refused('empty');
  if (frame.length > FRAME_BYTES_MAX) return refused('too-long');
  if (frame[0] === TYPE.control) return readControl(frame);
  if (frame[0] !== TYPE.numbered) return refused('type');
  if (frame.length < HEADER_BYTES) return refused('number');
  const kind = NUMBERED_KINDS[frame.readUInt8(1)];
  if (kind === undefined) return refused('kind');
  const number = frame.readUIntBE(10, 6);
  if (number === 0) return refused('number');
  const stream = frame.toString('hex', 2, 10) as Id;
  return { type: 'numbered', frame: { kind, stream, seq: number, payload: frame.subarray(HEADER_BYTES) } };
}

function readControl(frame: Buffer): FrameResult {
  if (frame.length > CONTROL_BYTES_MAX) return refused('too-long');
  const value = parseJson(frame.subarray(1));
  if (value === undefined) return refused('json');
  const message = controlSchema.safeParse(value);
  if (message.success) return { type: 'control', message: message.data };
  return refused(isHelloOfOtherVersion(value) ? 'version' : 'message');
}

/** A director of another version says so in its hello, whatever else it may have in there. */
function isHelloOfOtherVersion(value: unknown): boolean {
  const hello = z.looseObject({ type: z.literal('hello'), version: z.int() }).safeParse(value);
  return hello.success && hello.data.version !== FRAME_VERSION;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

export function writeControl(message: Control): Buffer {
  return Buffer.concat([Buffer.of(TYPE.control), Buffer.from(JSON.stringify(message))]);
}

/** What this version takes. */
export function writeTakes(): Buffer {
  return writeControl({ type: 'takes', frames: [...EXTENSIONS] });
}

/** As many control messages as it takes, each within its bound. */
export function writeChecks(words: readonly CheckWord[]): Buffer[] {
  return partsOf(words).map(part => writeControl({ type: 'checks', words: part }));
}

/** The same for drains. */
export function writeDrains(words: readonly DrainWord[]): Buffer[] {
  return partsOf(words).map(part => writeControl({ type: 'drains', words: part }));
}

function partsOf<T>(words: readonly T[]): T[][] {
  const parts: T[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const word of words) {
    const size = Buffer.byteLength(JSON.stringify(word)) + 1;
    const last = parts.at(-1);
    if (last === undefined || last.length >= WORDS_MAX || bytes + size > PART_BYTES_MAX) {
      parts.push([word]);
      bytes = size;
    } else {
      last.push(word);
      bytes += size;
    }
  }
  return parts;
}

function writeNumbered(kind: NumberedKind, stream: Id, number: number, payload: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(TYPE.numbered, 0);
  header.writeUInt8(NUMBERED_KINDS.indexOf(kind), 1);
  header.write(stream, 2, 'hex');
  header.writeUIntBE(number, 10, 6);
  return Buffer.concat([header, ...payload]);
}

/** At most FRAME_ENTRIES_MAX entries; those that are not `usable` (wire.ts) are left out. */
export function writeEntries(kind: 'live' | 'bulk', stream: Id, number: number, entries: readonly Entry[]): Buffer {
  if (entries.length > FRAME_ENTRIES_MAX) throw new Error(`a frame of ${entries.length} entries`);
  return writeNumbered(kind, stream, number, encodeMessages(entries, 0, MESSAGE_BYTES_MAX));
}

export function writeResyncBegin(stream: Id, number: number, value: ResyncBegin): Buffer {
  return writeNumbered('resync-begin', stream, number, [Buffer.from(JSON.stringify(value))]);
}

export function writeResyncEnd(stream: Id, number: number, value: ResyncEnd): Buffer {
  return writeNumbered('resync-end', stream, number, [Buffer.from(JSON.stringify(value))]);
}

/**
 * The entries of a live or bulk frame; undefined when a message in it cannot be read. `invalid`:
 * entries left out.
 */
export function readEntries(
  payload: Buffer,
): { readonly entries: readonly Entry[]; readonly invalid: number } | undefined {
  const entries: Entry[] = [];
  let invalid = 0;
  for (let at = 0; at < payload.length; ) {
    if (at + MESSAGE_LENGTH_AT + 2 > payload.length) return undefined;
    const bytes = payload.readUInt16BE(at + MESSAGE_LENGTH_AT);
    if (bytes === 0 || at + bytes > payload.length) return undefined;
    const message = decodeMessage(payload.subarray(at, at + bytes));
    if (!message.ok) return undefined;
    for (const entry of message.entries) entries.push(entry);
    invalid += message.skipped + message.ignored;
    at += bytes;
  }
  return { entries, invalid };
}

export function readResyncBegin(payload: Buffer): ResyncBegin | undefined {
  return resyncBegin.safeParse(payload.length <= CONTROL_BYTES_MAX ? parseJson(payload) : undefined).data;
}

export function readResyncEnd(payload: Buffer): ResyncEnd | undefined {
  return resyncEnd.safeParse(payload.length <= CONTROL_BYTES_MAX ? parseJson(payload) : undefined).data;
}
