// The sending side of the stream: numbers what it is given, keeps it until the peer's kernel has
// it, sends again what was lost with a link, and brings a peer that has nothing the whole table.
// Deterministic: time is an argument, frames to send are effects.
import { type At, ms } from '../../units/duration.ts';
import { usable } from '../kernel/wire.ts';
import { type Entry, type EntryKey, entryKeyOf } from '../table/entry.ts';
import { EntryDigest } from '../table/entry-digest.ts';
import type { Cursor, Mirror } from '../table/mirror.ts';
import {
  type ControlOf,
  FRAME_ENTRIES_MAX,
  type Id,
  type NumberedKind,
  writeEntries,
  writeResyncBegin,
  writeResyncEnd,
} from './frame.ts';
import type { Outbox } from './outbox.ts';
import type { SyncLinks } from './sync-links.ts';

const LIVE_ENTRIES_MAX = 200;
/** What comes within this time goes together; the first after a pause goes at once. */
const COALESCE_MS = ms(10);
/**
 * A minute and more of a busy site's changes: longer, and the table itself is sent sooner than all
 * that happened to it.
 */
const RING_FRAMES_MAX = 8_192;
const RING_BYTES_MAX = 32 * 1_048_576;
/** Frames of a resync that the peer's kernel has not taken yet: 32,000 entries. */
const WINDOW_FRAMES = 64;
const RETRANSMIT_MS = ms(300);
const RETRANSMIT_EVERY_MS = ms(50);
/** Frames given to links, and frames of the resync made, in one step. */
const PUMP_FRAMES_MAX = 64;
const BULK_FRAMES_MAX = 4;
const NEED_FRAMES_MAX = 256;
/** A frame that went out this lately is on its way. */
const NEED_AGAIN_MS = ms(50);

interface Sent {
  readonly seq: number;
  readonly kind: NumberedKind;
  readonly frame: Buffer;
  readonly madeAt: At;
  sentAt: At;
  /** Bit set of the links it went on, since they are up. */
  on: number;
  tries: number;
}

/** A full resync, by the instants of the monotonic clock. */
interface Resync {
  readonly number: number;
  readonly startedAt: At;
  endedAt: At | null;
  readonly entries: number;
  sent: number;
  readonly cursor: Cursor;
  readonly digest: EntryDigest;
  /** Number of its last frame, once that is made. */
  endSeq: number | null;
  told: boolean;
  ok: boolean | null;
  by: 'entries' | 'counts' | null;
  repaired: number;
}

interface SourceParts {
  readonly instance: Id;
  readonly mirror: Mirror;
  readonly links: SyncLinks;
  readonly out: Outbox;
  /** The stream's id has changed: the peer is to be told. */
  readonly announce: (now: At) => void;
}

export class Source {
  readonly #parts: SourceParts;
  #stream: Id | null = null;
  #streams = 0;
  #resyncs = 0;
  #attached = false;
  /** The mirror is not whole yet: a peer that asks has to wait. */
  #held = false;
  #wanted = false;
  #seq = 0;
  #acked = 0;
  #received = 0;
  #ring = new Map<number, Sent>();
  #bytes = 0;
  #bulkUnacked = 0;
  readonly #unsent = new Set<number>();
  readonly #pending = new Map<EntryKey, Entry>();
  #flushedAt = Number.NEGATIVE_INFINITY;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #resync: Resync | null = null;

  constructor(parts: SourceParts) {
    this.#parts = parts;
  }

  get stream(): Id | null {
    return this.#stream;
  }

  /** Number of the newest frame. */
  get seq(): number {
    return this.#seq;
  }

  /** Whether a peer takes the stream. */
  get attached(): boolean {
    return this.#attached;
  }

  get resync(): Resync | null {
    return this.#resync;
  }

  get unacknowledged(): number {
    return this.#ring.size;
  }

  get ringBytes(): number {
    return this.#bytes;
  }

  lagMs(now: At): number {
    const oldest = this.#ring.get(this.#acked + 1);
    return oldest === undefined ? 0 : now - oldest.madeAt;
  }

  /** `held`: the mirror is still being made; a resync waits for release(). */
  begin(held: boolean, now: At): void {
    this.#held = held;
    this.#renew(now);
  }

  end(): void {
    this.#forget();
    this.#stream = null;
    this.#held = false;
  }

  release(now: At): void {
    this.#held = false;
    if (this.#wanted) this.#attach(now);
  }

  /**
   * The stream cannot be continued: a new one, which begins with a resync as soon as the peer asks
   * for it.
   */
  restart(reason: string, now: At): void {
    if (this.#stream === null) return;
    const unacknowledged = this.#ring.size;
    const attached = this.#attached;
    this.#renew(now);
    if (attached) this.#parts.out.event('SYNC_STREAM_RESTARTED', { reason, unacknowledged });
  }

  /** Another director runs on the peer: it has nothing of the stream. */
  peerChanged(now: At): void {
    this.#wanted = false;
    if (this.#attached) this.restart('the peer has a new director', now);
  }

  publish(entries: readonly Entry[], now: At): void {
    const { out } = this.#parts;
    if (!this.#attached) {
      out.count('unpublished', entries.length);
      return;
    }
    for (const entry of entries) {
      if (!usable(entry)) continue;
      out.count('published');
      this.#pending.set(entryKeyOf(entry), entry);
    }
    this.#flushIfDue(now);
  }

  /** The peer asks for the stream from `have` + 1 on. */
  request({ stream, have }: ControlOf<'request'>, now: At): void {
    if (this.#stream === null) return;
    if (stream !== this.#stream) {
      this.#parts.announce(now);
      return;
    }
    if (!this.#attached) {
      if (have > 0) this.restart('the peer knows more of the stream than this router', now);
      else if (this.#held) this.#wanted = true;
      else this.#attach(now);
      return;
    }
    // A peer that begins anew has nothing. One that had less than it has acknowledged since asked
    // before, and the question was long on its way, by a slower link.
    if (have > this.#seq) {
      this.restart('the peer knows more of the stream than this router', now);
      return;
    }
    if (have === 0 && this.#acked > 0) {
      this.restart('the peer has lost what it had', now);
      return;
    }
    this.#received = Math.max(this.#received, have);
    for (const sent of this.#ring.values()) {
      if (sent.seq > have && now - sent.sentAt > RETRANSMIT_MS) this.#again(sent);
    }
    this.pump(now);
  }

  ack({ stream, seq, received }: ControlOf<'ack'>, now: At): void {
    if (stream !== this.#stream || !this.#attached) return;
    if (seq > received || received > this.#seq) {
      this.#parts.out.count('control_refused');
      return;
    }
    this.#received = Math.max(this.#received, received);
    while (this.#acked < seq) {
      const sent = this.#ring.get(++this.#acked);
      if (sent === undefined) continue;
      this.#ring.delete(sent.seq);
      this.#unsent.delete(sent.seq);
      this.#bytes -= sent.frame.length;
      if (sent.kind === 'bulk') this.#bulkUnacked--;
    }
    this.#tellSent();
    this.pump(now);
  }

  need({ stream, from, to }: ControlOf<'need'>, now: At): void {
    if (stream !== this.#stream || !this.#attached || from < 1 || to < from) return;
    // What it has acknowledged since is on its way no more: this question was, for long.
    for (let seq = Math.max(from, this.#acked + 1); seq <= Math.min(to, from + NEED_FRAMES_MAX - 1, this.#seq); seq++) {
      const sent = this.#ring.get(seq);
      if (sent !== undefined && now - sent.sentAt > NEED_AGAIN_MS) this.#again(sent);
    }
    this.pump(now);
  }

  verified(message: ControlOf<'verified'>, now: At): void {
    const resync = this.#resync;
    if (message.stream !== this.#stream || resync?.number !== message.resync || resync.endSeq === null) return;
    const { out } = this.#parts;
    const same = message.count === resync.digest.count && message.digest === resync.digest.value;
    const ok = message.ok && same;
    // The sink says it again and again.
    if (resync.ok === ok && resync.by === message.by && resync.repaired === message.repaired) return;
    if (!same) out.count('resync_mismatches');
    resync.ok = ok;
    resync.by = message.by;
    resync.repaired = message.repaired;
    if (ok) resync.endedAt ??= now;
    const { by, repaired } = message;
    const tookMs = Math.round(now - resync.startedAt);
    out.event('SYNC_RESYNC_ENDED', { ok, same, entries: resync.digest.count, by, repaired, tookMs });
  }

  linkDown(link: number, now: At): void {
    for (const sent of this.#ring.values()) this.#lost(sent, link);
    this.pump(now);
  }

  refused(link: number, seq: number, now: At): void {
    const sent = this.#ring.get(seq);
    if (sent !== undefined) this.#lost(sent, link);
    this.pump(now);
  }

  tick(now: At): void {
    if (this.#attached && now - this.#checkedAt >= RETRANSMIT_EVERY_MS) {
      this.#checkedAt = now;
      this.#retransmit(now);
    }
    this.#flushIfDue(now);
    this.#fill(now);
    this.pump(now);
  }

  wakeAt(now: At): number {
    if (!this.#attached) return Number.POSITIVE_INFINITY;
    if (this.#pending.size > 0) return this.#flushedAt + COALESCE_MS;
    if (this.#mayFill || this.#unsent.size > 0) {
      return this.#parts.links.ready(now).length > 0 ? now : now + RETRANSMIT_EVERY_MS;
    }
    return this.#ring.size > 0 ? now + RETRANSMIT_EVERY_MS : Number.POSITIVE_INFINITY;
  }

  /** Gives the links what they have not had yet, or lost. */
  pump(now: At): void {
    const { links, out } = this.#parts;
    let left = PUMP_FRAMES_MAX;
    for (const seq of this.#unsent) {
      if (left-- === 0) break;
      const sent = this.#ring.get(seq) as Sent;
      const ready = links.ready(now);
      // What went out once already needs only one way; so does a resync, whose frames are many.
      const chosen = sent.kind === 'live' && sent.tries === 0 ? ready : ready.slice(0, 1);
      if (chosen.length === 0) break;
      this.#unsent.delete(seq);
      for (const link of chosen) this.#transmit(sent, link, now);
      if (sent.tries++ > 0) out.count('frames_resent');
    }
  }

  #transmit(sent: Sent, link: number, now: At): void {
    sent.on |= 1 << link;
    sent.sentAt = now;
    this.#parts.out.count('frames_sent');
    this.#parts.out.send(link, sent.frame, sent.seq);
  }

  #again(sent: Sent): void {
    sent.on = 0;
    this.#unsent.add(sent.seq);
  }

  /** The frame did not get through on that link. If it was on no other, it has to go out again. */
  #lost(sent: Sent, link: number): void {
    if ((sent.on & (1 << link)) === 0) return;
    sent.on &= ~(1 << link);
    if (sent.on === 0 && sent.seq > this.#received) this.#unsent.add(sent.seq);
  }

  /**
   * What has been on its way for too long goes out on a link that it has not been on: a link that
   * is dead may seem alive.
   */
  #retransmit(now: At): void {
    let left = PUMP_FRAMES_MAX;
    for (let seq = this.#received + 1; seq <= this.#seq && left > 0; seq++) {
      const sent = this.#ring.get(seq);
      if (sent === undefined || now - sent.sentAt <= RETRANSMIT_MS || this.#unsent.has(seq)) continue;
      const link = this.#parts.links.best(now, sent.on);
      if (link === undefined) continue;
      this.#parts.out.count('frames_resent');
      sent.tries++;
      this.#transmit(sent, link, now);
      left--;
    }
  }

  #flushIfDue(now: At): void {
    if (this.#pending.size === 0) return;
    if (this.#pending.size < LIVE_ENTRIES_MAX && now - this.#flushedAt < COALESCE_MS) return;
    const entries = [...this.#pending.values()];
    this.#pending.clear();
    this.#flushedAt = now;
    const stream = this.#stream;
    for (let from = 0; from < entries.length && stream === this.#stream; from += LIVE_ENTRIES_MAX) {
      const part = entries.slice(from, from + LIVE_ENTRIES_MAX);
      this.#number('live', seq => writeEntries('live', stream as Id, seq, part), now);
    }
    this.pump(now);
  }

  /** Gives the frame its number and a place in the ring. */
  #number(kind: NumberedKind, write: (seq: number) => Buffer, now: At): void {
    const frame = write(this.#seq + 1);
    if (this.#ring.size >= RING_FRAMES_MAX || this.#bytes + frame.length > RING_BYTES_MAX) {
      this.#parts.out.count('ring_overflows');
      this.restart('the peer is too far behind', now);
      return;
    }
    const seq = ++this.#seq;
    this.#ring.set(seq, { seq, kind, frame, madeAt: now, sentAt: now, on: 0, tries: 0 });
    this.#bytes += frame.length;
    if (kind === 'bulk') this.#bulkUnacked++;
    this.#unsent.add(seq);
  }

  #attach(now: At): void {
    const { mirror, out } = this.#parts;
    this.#wanted = false;
    this.#attached = true;
    const number = ++this.#resyncs;
    out.count('resyncs');
    const entries = mirror.size;
    this.#resync = {
      number,
      startedAt: now,
      endedAt: null,
      entries,
      sent: 0,
      cursor: mirror.cursor(),
      digest: new EntryDigest(),
      endSeq: null,
      told: false,
      ok: null,
      by: null,
      repaired: 0,
    };
    out.event('SYNC_RESYNC_STARTED', { entries, templates: mirror.templates, connections: mirror.connections });
    this.#number('resync-begin', seq => writeResyncBegin(this.#stream as Id, seq, { resync: number, entries }), now);
    this.#fill(now);
    this.pump(now);
  }

  get #mayFill(): boolean {
    return (
      this.#resync !== null &&
      this.#resync.endSeq === null &&
      this.#bulkUnacked < WINDOW_FRAMES &&
      this.#unsent.size < WINDOW_FRAMES &&
      this.#bytes < RING_BYTES_MAX / 2 &&
      this.#ring.size < RING_FRAMES_MAX / 2
    );
  }

  /** The next frames of the resync, as many as the window has room for. */
  #fill(now: At): void {
    const { mirror } = this.#parts;
    const resync = this.#resync;
    for (let frames = 0; frames < BULK_FRAMES_MAX && resync !== null && this.#mayFill; frames++) {
      const rows = resync.cursor.next(FRAME_ENTRIES_MAX, now);
      const entries = rows.map(row => mirror.entryOf(row, now)).filter(usable);
      for (const entry of entries) resync.digest.add(entry);
      resync.sent += entries.length;
      const stream = this.#stream as Id;
      if (entries.length > 0) this.#number('bulk', seq => writeEntries('bulk', stream, seq, entries), now);
      if (!resync.cursor.done) continue;
      const { count, value } = resync.digest;
      const end = { resync: resync.number, count, digest: value };
      this.#number('resync-end', seq => writeResyncEnd(stream, seq, end), now);
      resync.endSeq = this.#seq;
    }
  }

  #tellSent(): void {
    const resync = this.#resync;
    if (resync === null || resync.told || resync.endSeq === null || this.#acked < resync.endSeq) return;
    resync.told = true;
    this.#parts.out.event('SYNC_RESYNC_SENT', { entries: resync.sent, digest: resync.digest.value });
  }

  #renew(now: At): void {
    this.#forget();
    // The instance's first half is random: with a counter beside it no two streams have one id.
    this.#stream = (this.#parts.instance.slice(0, 8) + (++this.#streams).toString(16).padStart(8, '0')) as Id;
    this.#parts.out.count('streams');
    this.#parts.announce(now);
  }

  #forget(): void {
    this.#attached = false;
    this.#wanted = false;
    this.#seq = 0;
    this.#acked = 0;
    this.#received = 0;
    this.#ring = new Map();
    this.#bytes = 0;
    this.#bulkUnacked = 0;
    this.#unsent.clear();
    this.#pending.clear();
    this.#resync = null;
  }
}
