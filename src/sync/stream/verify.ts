// Compares this router's kernel with the mirror: every entry of a small table, the per-server
// counters of a large one (the kernel's list takes a time that grows with its square). What is
// missing is put in again, what is too much is made to expire. Deterministic.
import { type At, ms } from '../../units/duration.ts';
import type { ServerEntryCounts } from '../table/entry.ts';
import { type Entry, type EntryKey, entryKeyOf, isInactive, isTemplate, rawOf } from '../table/entry.ts';
import type { Mirror, ServerRows } from '../table/mirror.ts';
import { type Chore, Chores } from './chores.ts';
import type { InjectionQueue } from './injection-queue.ts';
import type { Outbox } from './outbox.ts';
import { mustReplace, REPLACE_AFTER_MS, type Replacements } from './replacement.ts';

/** Tables up to this size are compared entry by entry. */
const VERIFY_ENTRIES_MAX = 20_000;
const ROUNDS_MAX = 3;
/** What ends within this time may be gone on one side and not on the other. */
const ENDING_S = 5;
/** After a comparison that failed for good, and after one that could not be made. */
const AGAIN_AFTER_MS = ms(15_000);
const READ_AGAIN_AFTER_MS = ms(2_000);
/** A kernel may lose entries without a word; this is how long it can go unnoticed. */
const AUDIT_EVERY_MS = ms(600_000);
const SLICE_ROWS = 2_000;

export interface VerifyReads {
  table(activeData: boolean, answer: (entries: readonly Entry[] | null, now: At) => void): void;
  counts(answer: (counts: readonly ServerEntryCounts[] | null, now: At) => void): void;
}

interface VerifierParts {
  readonly mirror: Mirror;
  readonly out: Outbox;
  readonly injections: InjectionQueue;
  readonly replacements: Replacements;
  readonly reads: VerifyReads;
  /** Entries that only the kernel has. */
  readonly extra: (entries: readonly Entry[], now: At) => void;
  /** When entries were last made to expire: for a moment the kernel's counters have them still. */
  readonly expiredAt: () => number;
  /** The kernel was found to lack entries; they are being put in. */
  readonly lacking: () => void;
  readonly ended: (ok: boolean, now: At) => void;
}

export class Verifier {
  readonly #parts: VerifierParts;
  readonly #chores = new Chores();
  /** Answers to a comparison that was given up must not count for the next. */
  #session = 0;
  #running = false;
  #round = 0;
  #startAt: number | null = null;
  #endedAt = Number.NEGATIVE_INFINITY;
  #ok = false;
  /** Told since the kernel was asked for its entries: whether they are in the answer is chance. */
  readonly #unsettled = new Set<EntryKey>();
  #asked = false;
  by: 'entries' | 'counts' = 'entries';
  /** Entries that the kernel lacked, since start(). */
  repaired = 0;
  /** Comparisons in a row that ended badly. */
  failures = 0;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  start(now: At): void {
    this.cancel();
    this.#running = true;
    this.#round = 0;
    this.repaired = 0;
    this.#startAt = now;
    this.tick(now, false);
  }

  cancel(): void {
    this.#session++;
    this.#running = false;
    this.#startAt = null;
    this.#asked = false;
    this.#unsettled.clear();
    this.#chores.clear();
  }

  /** An entry was told just now. */
  told(key: EntryKey): void {
    if (this.#asked) this.#unsettled.add(key);
  }

  wakeAt(now: At): number {
    if (this.#chores.pending && !this.#parts.injections.full) return now;
    return this.#startAt ?? Number.POSITIVE_INFINITY;
  }

  /** `audit`: nothing else is going on, so a comparison may be due by itself. */
  tick(now: At, audit: boolean): void {
    if (!this.#parts.injections.full) this.#chores.run(now);
    if (audit && !this.#running && now - this.#endedAt >= (this.#ok ? AUDIT_EVERY_MS : AGAIN_AFTER_MS)) {
      this.start(now);
      return;
    }
    if (this.#startAt !== null && now >= this.#startAt) this.#compare(now);
  }

  #compare(now: At): void {
    const { mirror, out, reads } = this.#parts;
    this.by = mirror.size <= VERIFY_ENTRIES_MAX ? 'entries' : 'counts';
    const settledAt = this.#parts.expiredAt() + REPLACE_AFTER_MS;
    if (this.by === 'counts' && now < settledAt) {
      this.#startAt = settledAt;
      return;
    }
    this.#startAt = null;
    this.#round++;
    out.count('verify_rounds');
    const session = this.#session;
    this.#asked = this.by === 'entries';
    const answered =
      <T>(compare: (read: T, at: At) => void) =>
      (read: T | null, at: At) => {
        if (session !== this.#session) return;
        this.#asked = false;
        if (read !== null) compare(read, at);
        else {
          this.#round--;
          this.#startAt = at + READ_AGAIN_AFTER_MS;
        }
      };
    const { version } = mirror;
    if (this.by === 'entries') reads.table(false, answered(this.#byEntries.bind(this)));
    else reads.counts(answered((counts, at) => this.#byCounts(counts, version, at)));
  }

  #byEntries(entries: readonly Entry[], now: At): void {
    const { mirror, replacements } = this.#parts;
    const inKernel = new Map<EntryKey, Entry>(entries.map(entry => [entryKeyOf(entry), entry]));
    const missing: Entry[] = [];
    let wrong = 0;
    for (const cursor = mirror.cursor(); !cursor.done; ) {
      for (const row of cursor.next(SLICE_ROWS, now)) {
        const found = inKernel.get(row.key);
        inKernel.delete(row.key);
        if (replacements.has(row.key) || mirror.isStale(row)) continue;
        const entry = mirror.entryOf(row, now);
        const other = found !== undefined && mustReplace(found, entry);
        // A template with another server is not put right by what has been told since.
        if (entry.timeoutS < ENDING_S || (this.#unsettled.has(row.key) && !(other && isTemplate(row)))) continue;
        if (found === undefined) missing.push(entry);
        else if (other && replacements.start(found, entry, now, true)) wrong++;
        else if (differs(found, row)) missing.push(entry);
      }
    }
    // Also what ends soon: until then a connection holds on to its template.
    this.#parts.extra(
      [...inKernel.values()].filter(entry => !replacements.has(entryKeyOf(entry))),
      now,
    );
    this.repaired += missing.length + wrong;
    this.#parts.out.count('repaired', missing.length + wrong);
    this.#parts.injections.push(missing);
    this.#roundEnds(missing.length + wrong, wrong > 0, now);
  }

  /** More in the kernel than in the mirror is no harm to anybody who fails over; less is. */
  #byCounts(counts: readonly ServerEntryCounts[], versionBefore: number, now: At): void {
    const { mirror, injections, replacements } = this.#parts;
    const inKernel = new Map(counts.map(({ mark, server, ...rest }) => [`${mark} ${rawOf(server)}`, rest]));
    // What came, went or moved since the question, what may have ended in the kernel already, what
    // has not got there yet.
    const unsettled = mirror.version - versionBefore + mirror.expiring(now, ENDING_S * 1_000);
    const allowance = unsettled + injections.backlog + replacements.size;
    const short = mirror.serverRows().filter(rows => {
      const found = inKernel.get(`${rows.mark} ${rows.server}`);
      return (
        (found?.templates ?? 0) + allowance < rows.templates || (found?.connections ?? 0) + allowance < rows.connections
      );
    });
    if (short.length === 0) this.#roundEnds(0, false, now);
    else this.#chores.add(this.#reinject(short, inKernel));
  }

  /** Which entries of these servers are missing is not known: all of them once more. */
  #reinject(
    short: readonly ServerRows[],
    inKernel: ReadonlyMap<string, Pick<ServerEntryCounts, 'templates' | 'connections'>>,
  ): Chore {
    const { mirror, injections, out, replacements } = this.#parts;
    const missing = short.reduce((sum, rows) => {
      const found = inKernel.get(`${rows.mark} ${rows.server}`);
      return sum + Math.max(0, rows.templates + rows.connections - (found?.templates ?? 0) - (found?.connections ?? 0));
    }, 0);
    this.repaired += missing;
    out.count('repaired', missing);
    const servers = new Set(short.map(rows => `${rows.mark} ${rows.server}`));
    const cursor = mirror.cursor();
    const session = this.#session;
    return now => {
      const rows = cursor
        .next(SLICE_ROWS, now)
        .filter(row => servers.has(`${row.mark} ${row.server}`) && !replacements.has(row.key));
      const last = cursor.done;
      injections.push(
        rows.map(row => mirror.entryOf(row, now)),
        (_ok, takenAt) => {
          if (last && session === this.#session) this.#roundEnds(missing, false, takenAt);
        },
      );
      return last;
    };
  }

  #roundEnds(missing: number, replaced: boolean, now: At): void {
    if (missing > 0) this.#parts.lacking();
    if (missing === 0 || this.#round >= ROUNDS_MAX) {
      this.#end(missing, now);
      return;
    }
    const session = this.#session;
    this.#parts.injections.push([], (_ok, takenAt) => {
      // What was replaced is away for a moment.
      if (session === this.#session) this.#startAt = takenAt + (replaced ? 3 * REPLACE_AFTER_MS : 0);
    });
  }

  #end(missing: number, now: At): void {
    this.#running = false;
    this.#endedAt = now;
    this.#ok = missing === 0;
    this.failures = this.#ok ? 0 : this.failures + 1;
    if (!this.#ok) this.#parts.out.event('SYNC_VERIFY_FAILED', { missing, rounds: this.#round, by: this.by });
    this.#parts.ended(this.#ok, now);
  }
}

/**
 * Whether the kernel's entry is another one than it should be, in all that a comparison can see.
 */
function differs(found: Entry, wanted: Entry): boolean {
  if (found.server !== wanted.server || found.serverPort !== wanted.serverPort) return true;
  return !isTemplate(wanted) && isInactive(found) !== isInactive(wanted);
}
