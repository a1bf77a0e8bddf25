// What must hold at all times: buffers are bounded, an acknowledgement means that the kernel has
// it, and a warm standby holds what the owner holds.

import { type Id, type Numbered, readEntries, readFrame } from '../../../src/sync/stream/frame.ts';
import { type Entry, entryKeyOf, isInactive, isTemplate } from '../../../src/sync/table/entry.ts';
import type { History } from './history.ts';
import { NAMES, type Router, type Routers } from './routers.ts';

/** An entry of the source that is older than this must be in the kernel of a warm sink. */
const MISSING_MS = 9_000;
/** What ends within this time may be gone on one side already. */
const ENDING_MS = 6_000;

export class Invariants {
  readonly #history: History;
  readonly #routers: Routers;
  /** Entries by stream and number, and when the frame was first sent. */
  readonly #frames = new Map<string, { readonly entries: readonly Entry[]; readonly at: number } | 'checked'>();

  constructor(history: History, routers: Routers) {
    this.#history = history;
    this.#routers = routers;
  }

  /** What is said on a link must be true. */
  inspect(from: Router, frame: Buffer): void {
    // Only what is looked at is read: histories are many.
    const interesting = frame[0] === 2 || frame.includes('"ack"');
    const read = interesting ? readFrame(frame) : undefined;
    if (read?.type === 'numbered') this.#record(read.frame);
    else if (read?.type === 'control' && read.message.type === 'ack') {
      const { stream, seq } = read.message;
      this.#checkAck(from, stream, seq);
    }
  }

  #record({ kind, stream, seq, payload }: Numbered): void {
    const name = `${stream} ${seq}`;
    if (this.#frames.has(name)) return;
    const entries = kind === 'live' || kind === 'bulk' ? (readEntries(payload)?.entries ?? []) : [];
    this.#frames.set(name, { entries, at: this.#history.now });
  }

  #checkAck(from: Router, stream: Id, upTo: number): void {
    const { now } = this.#history;
    for (let seq = upTo; seq > 0; seq--) {
      const name = `${stream} ${seq}`;
      const frame = this.#frames.get(name);
      if (frame === undefined || frame === 'checked') return;
      this.#frames.set(name, 'checked');
      for (const entry of frame.entries) {
        const key = entryKeyOf(entry);
        const takenAt = from.kernel.takenAt.get(key) ?? 0;
        // What is being replaced is not yet there, and no acknowledgement waits for it.
        const replacing = from.director.machine.isReplacing(key) || now - (from.kernel.expiredAt.get(key) ?? 0) < 5_000;
        if (takenAt < frame.at && !replacing)
          this.#history.violate(`${NAMES[from.index]} acknowledged ${seq}, but ${key} is not in`);
      }
    }
  }

  check(): void {
    for (const router of this.#routers.both) {
      const { ring, reorder, backlog } = router.director.machine.held;
      if (ring > 8_192 || reorder > 4_096 || backlog > 30_000) {
        const held = `${ring} frames, ${reorder} out of order, ${backlog} entries`;
        this.#history.violate(`${NAMES[router.index]} holds ${held}`);
      }
    }
    const { standby, owner } = this.#routers;
    // Only a warm sink of a settled owner makes a promise.
    if (owner.off || standby.off || standby.director.machine.role !== 'sink' || !standby.director.warm) return;
    if (owner.director.machine.role !== 'source' || !owner.director.alive || !standby.director.alive) return;
    for (const text of this.missing(MISSING_MS)) this.#history.violate(`warm, but ${text}`);
  }

  /** What the owner's kernel has had for `olderMs` and the standby's lacks. */
  missing(olderMs: number): string[] {
    const { now } = this.#history;
    const { owner, standby } = this.#routers;
    const texts: string[] = [];
    for (const [key, row] of owner.kernel.rows) {
      if (now - row.since < olderMs || row.expiresAt - now < ENDING_MS) continue;
      // The owner itself is still about to put it right.
      if (owner.director.machine.isReplacing(key)) continue;
      const found = standby.kernel.get(key, now);
      if (found?.entry.server === row.entry.server) continue;
      texts.push(`${key} to ${row.entry.server} is ${found ? `to ${found.entry.server}` : 'missing'} on the standby`);
    }
    return texts;
  }

  /** What the standby's kernel has that the owner's has not. */
  extra(): string[] {
    const { now } = this.#history;
    const { owner, standby } = this.#routers;
    return [...standby.kernel.rows]
      .filter(([key, row]) => row.expiresAt - now > ENDING_MS && owner.kernel.get(key, now) === undefined)
      .map(([key]) => `${key} is on the standby only`);
  }

  /**
   * Clients with a connection whose template is gone on the owner: their next transfer may go
   * elsewhere.
   */
  untied(): string[] {
    const { now } = this.#history;
    const { kernel } = this.#routers.owner;
    return [...kernel.rows.values()]
      .filter(({ entry, expiresAt }) => !isTemplate(entry) && !isInactive(entry) && expiresAt > now)
      .filter(({ entry }) => kernel.get(kernel.templateKeyOf(entry), now) === undefined)
      .map(({ entry }) => `${entryKeyOf(entry)} has no template`);
  }
}
