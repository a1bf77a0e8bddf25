// The receiving side of the stream: puts frames in order, gives their entries to the kernel,
// acknowledges what the kernel has taken, and says whether this router is warm. How the kernel is
// compared with the mirror is in verify.ts. Deterministic.
import { type At, ms } from '../../units/duration.ts';
import { type Entry, type EntryKey, entryKeyOf } from '../table/entry.ts';
import { EntryDigest } from '../table/entry-digest.ts';
import type { Mirror } from '../table/mirror.ts';
import type { Scope } from '../table/scope.ts';
import { Cleaner } from './cleaner.ts';
import {
  type Control,
  type Id,
  type Numbered,
  type ResyncBegin,
  type ResyncEnd,
  readEntries,
  readResyncBegin,
  readResyncEnd,
  writeControl,
} from './frame.ts';
import type { InjectionQueue } from './injection-queue.ts';
import type { Outbox } from './outbox.ts';
import { mustReplace, type Replacements } from './replacement.ts';
import type { SyncLinks } from './sync-links.ts';
import { Verifier, type VerifyReads } from './verify.ts';

const REORDER_FRAMES_MAX = 4_096;
const REORDER_BYTES_MAX = 32 * 1_048_576;
/** Frames put into mirror and injection queue in one step: some ten milliseconds of work. */
const APPLY_FRAMES_MAX = 4;
const NEED_AFTER_MS = ms(100);
const NEED_EVERY_MS = ms(200);
const NEED_FRAMES_MAX = 256;
/**
 * A hole that is still there after this, with a link up all the time, is not going to be repaired.
 */
const HOLE_MAX_MS = ms(5_000);
/** Without word of the source, or behind it, for longer than this: cold. */
const STALE_AFTER_MS = ms(5_000);
const REQUEST_EVERY_MS = ms(1_000);
const RESTART_EVERY_MS = ms(5_000);
const ACK_EVERY_MS = ms(50);
/** The source's word on its newest frame, kept until all up to it is in the kernel. */
const MARKS_MAX = 32;
/** The outcome of a comparison is said this often, in case it is lost with a link. */
const ANSWERS = 6;
/**
 * Longer than pulse's word of a takeover is under way: what the kernel has too much may be what its
 * new clients do.
 */
const EXTRA_AFTER_MS = ms(1_000);

/**
 * none: no stream. resync: the table is coming. cleaning: what only this router had is made to
 * expire. verifying: the kernel is compared. verified: it was the same. doubtful: it was not, even
 * after repairs; it will be compared again.
 */
type SinkPhase = 'none' | 'resync' | 'cleaning' | 'verifying' | 'verified' | 'doubtful';

interface Bulk {
  readonly number: number;
  readonly startedAt: At;
  readonly expected: number;
  readonly digest: EntryDigest;
  endedAt: At | null;
  ended: ResyncEnd | null;
}

interface SinkParts {
  readonly mirror: Mirror;
  readonly links: SyncLinks;
  readonly out: Outbox;
  readonly injections: InjectionQueue;
  readonly replacements: Replacements;
  readonly reads: VerifyReads;
  readonly scope: () => Scope | null;
  readonly toldHere: () => ReadonlySet<EntryKey>;
}

export class Sink {
  readonly #parts: SinkParts;
  readonly #verifier: Verifier;
  readonly #cleaner: Cleaner;
  #phase: SinkPhase = 'none';
  #stream: Id | null = null;
  /** What is still under way for a former stream must not count for this one. */
  #session = 0;
  #next = 1;
  /** Highest number that the source is known to have used. */
  #known = 0;
  #taken = 0;
  readonly #reorder = new Map<number, Numbered>();
  #reorderBytes = 0;
  #holeAt: At | null = null;
  #neededAt = Number.NEGATIVE_INFINITY;
  #needLink = 0;
  #requestedAt = Number.NEGATIVE_INFINITY;
  #restartAt: number | null = null;
  #restartedAt = Number.NEGATIVE_INFINITY;
  #ackedAt = Number.NEGATIVE_INFINITY;
  #ackDue = false;
  #heardAt = Number.NEGATIVE_INFINITY;
  #caughtUpAt = Number.NEGATIVE_INFINITY;
  #marks: { readonly seq: number; readonly at: At }[] = [];
  #answersLeft = 0;
  /** The kernel is compared once what had another server up to this replacement is in it. */
  #verifyAfter: number | null = null;
  #bulk: Bulk | null = null;
  /** Why it is not warm, from the last thing that made it cold. */
  #cold = 'no resync yet';

  constructor(parts: SinkParts) {
    this.#parts = parts;
    this.#cleaner = new Cleaner(parts);
    this.#verifier = new Verifier({
      ...parts,
      extra: (entries, now) => this.#takeExtra(entries, now),
      expiredAt: () => this.#cleaner.expiredAt,
      lacking: () => this.#lacking(),
      ended: (ok, now) => this.#verified(ok, now),
    });
  }

  get phase(): SinkPhase {
    return this.#phase;
  }

  get stream(): Id | null {
    return this.#stream;
  }

  /** Frames up to this one are in the kernel. */
  get taken(): number {
    return this.#taken;
  }

  get buffered(): { readonly frames: number; readonly bytes: number } {
    return { frames: this.#reorder.size, bytes: this.#reorderBytes };
  }

  get bulk(): (Bulk & { readonly received: number }) | null {
    return this.#bulk && { ...this.#bulk, received: this.#bulk.digest.count };
  }

  get verifiedBy(): 'entries' | 'counts' | null {
    return this.#phase === 'verified' ? this.#verifier.by : null;
  }

  get repaired(): number {
    return this.#verifier.repaired;
  }

  get failures(): number {
    return this.#verifier.failures;
  }

  /** How long ago this router is known to have had all that the source had. */
  lagMs(now: At): number {
    return Number.isFinite(this.#caughtUpAt) ? now - this.#caughtUpAt : 0;
  }

  /** `expectWord`: pulse says that the peer serves, so its director should be heard. */
  warmth(now: At, expectWord: boolean): { readonly warm: boolean; readonly reason: string } {
    if (this.#phase !== 'verified') return { warm: false, reason: this.#cold };
    if (expectWord && now - this.#heardAt > STALE_AFTER_MS) return { warm: false, reason: 'no word of the source' };
    if (expectWord && this.lagMs(now) > STALE_AFTER_MS) return { warm: false, reason: 'behind the source' };
    return { warm: true, reason: 'compared with the source' };
  }

  /** The source's newest word on its stream; null: it has none. */
  follow(stream: Id | null, now: At): void {
    if (stream === null || stream === this.#stream) return;
    this.#reset(stream, 'a new stream');
    this.#request(now);
  }

  /** No source any more: what came of it stays in the mirror and the kernel. */
  leave(reason: string): void {
    this.#reset(null, reason);
    this.#heardAt = Number.NEGATIVE_INFINITY;
    this.#caughtUpAt = Number.NEGATIVE_INFINITY;
  }

  /** Anything at all came from the source. */
  heard(now: At): void {
    this.#heardAt = now;
  }

  /** The source's newest frame has the number `seq`. */
  told(stream: Id | null, seq: number, now: At): void {
    if (stream === null || stream !== this.#stream) return;
    this.#known = Math.max(this.#known, seq);
    if (this.#marks.length < MARKS_MAX) this.#marks.push({ seq, at: now });
    this.#catchUp();
  }

  linkUp(now: At): void {
    if (this.#stream === null) return;
    this.#holeAt = null;
    this.#request(now);
  }

  frame(frame: Numbered, now: At): void {
    const { out } = this.#parts;
    if (frame.stream !== this.#stream || this.#restartAt !== null) {
      out.count('frames_stale');
      return;
    }
    const { seq } = frame;
    if (seq < this.#next || this.#reorder.has(seq)) {
      out.count('frames_duplicate');
      this.#ackDue = true;
      return;
    }
    this.#known = Math.max(this.#known, seq);
    const ahead = seq - this.#next;
    const bytes = this.#reorderBytes + frame.payload.length;
    if (ahead >= REORDER_FRAMES_MAX || (ahead > 0 && bytes > REORDER_BYTES_MAX)) {
      out.count('frames_beyond');
      return;
    }
    this.#reorder.set(seq, frame);
    this.#reorderBytes = bytes;
    this.#apply(now);
  }

  tick(now: At): void {
    if (this.#restartAt !== null && now >= this.#restartAt) this.#restartNow(now);
    this.#apply(now);
    this.#repairHole(now);
    if (this.#verifyAfter !== null && this.#parts.replacements.isDone(this.#verifyAfter)) this.#verify(now);
    this.#cleaner.tick(now);
    if (this.#phase === 'verified' && this.#parts.replacements.takeFailed()) this.#verify(now);
    this.#verifier.tick(now, this.#phase === 'verified' || this.#phase === 'doubtful');
    if (this.#phase === 'none' && this.#restartAt === null && now - this.#requestedAt >= REQUEST_EVERY_MS) {
      this.#request(now);
    }
    if (this.#ackDue && now - this.#ackedAt >= ACK_EVERY_MS) this.#ack(now);
  }

  wakeAt(now: At): number {
    if (this.#stream === null) return Number.POSITIVE_INFINITY;
    if (!this.#parts.injections.full && this.#reorder.has(this.#next)) return now;
    if (this.#verifyAfter !== null && this.#parts.replacements.isDone(this.#verifyAfter)) return now;
    const waiting = this.#known >= this.#next || this.#ackDue;
    const parts = Math.min(this.#cleaner.wakeAt(now), this.#verifier.wakeAt(now));
    return Math.min(parts, waiting ? now + ACK_EVERY_MS : Number.POSITIVE_INFINITY);
  }

  /** What the source must know once more, in case it was lost with a link. */
  repeat(now: At): void {
    if (this.#stream === null || this.#phase === 'none') return;
    this.#ack(now);
    if (this.#phase === 'verified' && this.#answersLeft-- > 0) this.#answer(true, now);
  }

  /**
   * This router takes the VIPs over: all that has come goes into mirror and kernel, also what lies
   * behind a hole. True when the mirror is whole: it held all that the source had.
   */
  handOver(now: At): boolean {
    const whole = this.#phase === 'verified';
    if (this.#stream !== null && this.#restartAt === null) {
      for (const seq of [...this.#reorder.keys()].sort((a, b) => a - b)) {
        this.#takeFrame(this.#reorder.get(seq) as Numbered, now);
      }
    }
    this.leave('this router was the source');
    return whole;
  }

  #reset(stream: Id | null, reason: string): void {
    this.#session++;
    this.#stream = stream;
    this.#phase = 'none';
    this.#cold = reason;
    this.#next = 1;
    this.#known = 0;
    this.#taken = 0;
    this.#reorder.clear();
    this.#reorderBytes = 0;
    this.#holeAt = null;
    this.#restartAt = null;
    this.#ackDue = false;
    this.#marks = [];
    this.#bulk = null;
    this.#verifyAfter = null;
    this.#cleaner.cancel();
    this.#verifier.cancel();
  }

  /** Cold, and a new resync is asked for, though not again and again. */
  #restart(reason: string, now: At): void {
    const stream = this.#stream;
    this.#reset(stream, reason);
    this.#restartAt = Math.max(now, this.#restartedAt + RESTART_EVERY_MS);
  }

  #restartNow(now: At): void {
    this.#restartAt = null;
    this.#restartedAt = now;
    this.#request(now);
  }

  #request(now: At): void {
    const link = this.#parts.links.best(now);
    if (this.#stream === null || link === undefined || this.#restartAt !== null) return;
    this.#requestedAt = now;
    this.#send(link, { type: 'request', stream: this.#stream, have: this.#next - 1 });
  }

  #send(link: number, message: Control): void {
    this.#parts.out.send(link, writeControl(message));
  }

  #ack(now: At): void {
    const link = this.#parts.links.best(now);
    if (this.#stream === null || link === undefined) return;
    this.#ackDue = false;
    this.#ackedAt = now;
    this.#send(link, { type: 'ack', stream: this.#stream, seq: this.#taken, received: this.#next - 1 });
  }

  /** All that is next in order, as far as the kernel keeps up. */
  #apply(now: At): void {
    for (let frames = 0; frames < APPLY_FRAMES_MAX && !this.#parts.injections.full; frames++) {
      const frame = this.#reorder.get(this.#next);
      if (frame === undefined) break;
      this.#reorder.delete(frame.seq);
      this.#reorderBytes -= frame.payload.length;
      this.#next++;
      this.#holeAt = null;
      this.#ackDue = true;
      if (!this.#takeFrame(frame, now)) {
        this.#parts.out.count('frames_refused');
        this.#restart('a frame could not be read', now);
        return;
      }
    }
  }

  #takeFrame(frame: Numbered, now: At): boolean {
    switch (frame.kind) {
      case 'live':
      case 'bulk': {
        const read = readEntries(frame.payload);
        if (read === undefined) return false;
        this.#parts.out.count('entries_received', read.entries.length);
        this.#parts.out.count('entries_invalid', read.invalid);
        if (frame.kind === 'bulk') for (const entry of read.entries) this.#bulk?.digest.add(entry);
        this.#inject(frame.seq, this.#takeEntries(read.entries, now, frame.kind === 'bulk'));
        return true;
      }
      case 'resync-begin': {
        const begin = readResyncBegin(frame.payload);
        if (begin === undefined) return false;
        this.#begin(begin, now);
        this.#inject(frame.seq, []);
        return true;
      }
      case 'resync-end': {
        const end = readResyncEnd(frame.payload);
        if (end === undefined) return false;
        this.#inject(frame.seq, [], takenAt => this.#endBulk(end, takenAt));
        return true;
      }
    }
  }

  /** Gives the frame's entries to the kernel; once it has taken them, the frame is acknowledged. */
  #inject(seq: number, entries: readonly Entry[], then: (now: At) => void = () => {}): void {
    const session = this.#session;
    this.#parts.injections.push(entries, (ok, now) => {
      if (session !== this.#session) return;
      if (!ok) {
        this.#restart('the kernel did not take entries', now);
        return;
      }
      this.#taken = seq;
      this.#ackDue = true;
      this.#ackedAt = Number.NEGATIVE_INFINITY;
      this.#catchUp();
      then(now);
    });
  }

  /**
   * Into the mirror; gives back what the kernel is to be told as it is. `older`: they are no news.
   */
  #takeEntries(entries: readonly Entry[], now: At, older: boolean): Entry[] {
    const { mirror, out, replacements } = this.#parts;
    const scope = this.#parts.scope();
    const forKernel: Entry[] = [];
    for (const entry of entries) {
      if (scope === null || !scope.inScope(entry)) {
        out.count('entries_out_of_scope');
        continue;
      }
      const key = entryKeyOf(entry);
      const row = mirror.get(key, now);
      const old = row && mustReplace(row, entry) ? mirror.entryOf(row, now) : undefined;
      if (mirror.upsert(entry, now, older) === 'full') {
        out.count('table_full');
        continue;
      }
      this.#verifier.told(key);
      if (replacements.update(entry, now)) continue;
      if (old === undefined || !replacements.start(old, entry, now)) forKernel.push(entry);
    }
    return forKernel;
  }

  /**
   * Once the kernel has all up to a word of the source, this router knew all that the source did
   * when it came.
   */
  #catchUp(): void {
    while (this.#marks[0] !== undefined && this.#marks[0].seq <= this.#taken) {
      this.#caughtUpAt = this.#marks[0].at;
      this.#marks.shift();
    }
  }

  #repairHole(now: At): void {
    if (this.#known < this.#next || this.#reorder.has(this.#next) || this.#stream === null) {
      this.#holeAt = null;
      return;
    }
    const links = this.#parts.links.ready(now);
    if (links.length === 0 || this.#restartAt !== null) {
      this.#holeAt = null;
      return;
    }
    this.#holeAt ??= now;
    if (now - this.#holeAt > HOLE_MAX_MS) {
      this.#restart('a gap in the stream could not be repaired', now);
      return;
    }
    if (now - this.#holeAt < NEED_AFTER_MS || now - this.#neededAt < NEED_EVERY_MS) return;
    let to = this.#next;
    while (to < this.#known && to - this.#next < NEED_FRAMES_MAX - 1 && !this.#reorder.has(to + 1)) to++;
    this.#neededAt = now;
    this.#parts.out.count('holes');
    // By turns: a link that seems alive may be dead.
    const link = links[this.#needLink++ % links.length] as number;
    this.#send(link, { type: 'need', stream: this.#stream, from: this.#next, to });
  }

  #begin({ resync, entries }: ResyncBegin, now: At): void {
    this.#phase = 'resync';
    this.#cold = 'a resync is under way';
    this.#verifyAfter = null;
    this.#cleaner.cancel();
    this.#verifier.cancel();
    this.#bulk = {
      number: resync,
      startedAt: now,
      expected: entries,
      digest: new EntryDigest(),
      endedAt: null,
      ended: null,
    };
    this.#parts.mirror.beginGeneration();
  }

  #endBulk(end: ResyncEnd, now: At): void {
    const bulk = this.#bulk;
    if (bulk === null || this.#phase !== 'resync') return;
    bulk.ended = end;
    const same = bulk.number === end.resync && bulk.digest.count === end.count && bulk.digest.value === end.digest;
    if (!same) {
      this.#parts.out.count('resync_mismatches');
      this.#answer(false, now);
      this.#restart('the resync was not what the source sent', now);
      return;
    }
    this.#phase = 'cleaning';
    this.#cold = 'what only this router had is made to expire';
    this.#cleaner.start(now, () => {
      this.#verifyAfter = this.#parts.replacements.newest;
    });
  }

  /** Found in the kernel: they are in the mirror now, as what it will not be for long. */
  #takeExtra(entries: readonly Entry[], now: At): void {
    if (entries.length === 0) return;
    for (const entry of entries) this.#parts.mirror.upsertStale(entry, now);
    this.#cleaner.start(now + EXTRA_AFTER_MS);
  }

  #verify(now: At): void {
    this.#verifyAfter = null;
    this.#phase = 'verifying';
    this.#cold = 'the kernel is being compared';
    this.#verifier.start(now);
  }

  #lacking(): void {
    if (this.#phase === 'verified') this.#phase = 'verifying';
    this.#cold = 'the kernel lacks entries of the source';
  }

  #verified(ok: boolean, now: At): void {
    if (this.#stream === null || this.#bulk === null) return;
    this.#phase = ok ? 'verified' : 'doubtful';
    if (ok) this.#bulk.endedAt ??= now;
    else this.#cold = 'the kernel lacks entries of the source';
    this.#answersLeft = ANSWERS;
    this.#answer(ok, now);
  }

  #answer(ok: boolean, now: At): void {
    const link = this.#parts.links.best(now);
    const bulk = this.#bulk;
    if (link === undefined || bulk === null || this.#stream === null) return;
    this.#send(link, {
      type: 'verified',
      stream: this.#stream,
      resync: bulk.number,
      ok,
      count: bulk.digest.count,
      digest: bulk.digest.value,
      by: this.#verifier.by,
      repaired: this.#verifier.repaired,
    });
  }
}
