// Makes the entries expire that only this router's kernel has: those of the mirror that the source
// did not name in its last resync (stale), and those found in the kernel. Connections hold on to
// their templates: they go first. Deterministic.
import type { At } from '../../units/duration.ts';
import type { EntryKey } from '../table/entry.ts';
import type { Mirror } from '../table/mirror.ts';
import { type Chore, Chores } from './chores.ts';
import type { InjectionQueue } from './injection-queue.ts';
import type { Outbox } from './outbox.ts';
import { expiring, REPLACE_AFTER_MS, type Replacements } from './replacement.ts';

const SLICE_ROWS = 2_000;

interface CleanerParts {
  readonly mirror: Mirror;
  readonly out: Outbox;
  readonly injections: InjectionQueue;
  readonly replacements: Replacements;
  /**
   * Entries that this router's own kernel has reported lately, though the VIPs are not here as far
   * as is known: perhaps it is just taking over, and these are its new clients.
   */
  readonly toldHere: () => ReadonlySet<EntryKey>;
}

export class Cleaner {
  readonly #parts: CleanerParts;
  readonly #chores = new Chores();
  #next: { readonly kind: 'connections' | 'templates'; readonly at: number } | null = null;
  /** What is still under way for a former run must not count for this one. */
  #session = 0;
  #done: (now: At) => void = () => {};
  /** When entries were last made to expire. */
  expiredAt = Number.NEGATIVE_INFINITY;

  constructor(parts: CleanerParts) {
    this.#parts = parts;
  }

  /** From `at` on; a run before it is given up. `done`: all have been told to go. */
  start(at: number, done: (now: At) => void = () => {}): void {
    this.cancel();
    this.#done = done;
    this.#next = { kind: 'connections', at };
  }

  cancel(): void {
    this.#session++;
    this.#next = null;
    this.#chores.clear();
  }

  wakeAt(now: At): number {
    if (this.#chores.pending && !this.#parts.injections.full) return now;
    return this.#next?.at ?? Number.POSITIVE_INFINITY;
  }

  tick(now: At): void {
    if (this.#next !== null && now >= this.#next.at) {
      const { kind } = this.#next;
      this.#next = null;
      this.#chores.add(this.#clean(kind));
    }
    if (!this.#parts.injections.full) this.#chores.run(now);
  }

  #clean(kind: 'connections' | 'templates'): Chore {
    const { mirror, out, injections, replacements, toldHere } = this.#parts;
    const session = this.#session;
    const told = toldHere();
    const cursor = mirror.cursor(kind);
    let expired = 0;
    return now => {
      const stale = cursor
        .next(SLICE_ROWS, now)
        .filter(row => mirror.isStale(row) && !told.has(row.key) && !replacements.has(row.key));
      const entries = stale.map(row => mirror.entryOf(row, now));
      for (const row of stale) mirror.remove(row.key);
      expired += entries.length;
      out.count('expired_extra', entries.length);
      if (kind === 'templates') for (const entry of entries) replacements.remove(entry, now);
      const last = cursor.done;
      injections.push(kind === 'connections' ? entries.map(expiring) : [], (_ok, takenAt) => {
        if (last && session === this.#session) this.#cleaned(kind, expired > 0, takenAt);
      });
      return last;
    };
  }

  #cleaned(kind: 'connections' | 'templates', any: boolean, now: At): void {
    if (any) this.expiredAt = now;
    if (kind === 'templates') this.#done(now);
    else this.#next = { kind: 'templates', at: any ? now + REPLACE_AFTER_MS : now };
  }
}
