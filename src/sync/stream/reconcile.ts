// Brings the owner's mirror in line with its kernel's table, in slices: at the start, after a
// takeover before it was warm, and after events were lost. What differs is published, so that the
// stream to the peer goes on without a resync. Deterministic.
import type { At } from '../../units/duration.ts';
import { type Entry, type EntryKey, entryKeyOf, isInactive, isTemplate } from '../table/entry.ts';
import type { Mirror } from '../table/mirror.ts';
import type { Chore } from './chores.ts';

const SLICE_ROWS = 2_000;
/**
 * A template or connection whose timer differs by more than this has been used since it was told.
 */
const TIMER_S = 10;

interface Reconciled {
  /** Entries that the mirror lacked, or had otherwise. */
  readonly changed: number;
  /** Rows that the kernel has no more. */
  readonly gone: number;
}

/**
 * `told`: what the kernel reported by itself since it was asked for `entries`. `publish` gets what
 * is new to the mirror.
 */
export function reconcile(
  mirror: Mirror,
  entries: readonly Entry[],
  told: ReadonlySet<EntryKey>,
  publish: (entries: readonly Entry[], now: At) => void,
  done: (result: Reconciled, now: At) => void,
): Chore {
  const inKernel = new Set<EntryKey>();
  let at = 0;
  let changed = 0;
  let gone = 0;
  const cursor = mirror.cursor();
  const take = (now: At): void => {
    const slice = entries.slice(at, at + SLICE_ROWS);
    at += slice.length;
    const news = slice.filter(entry => {
      inKernel.add(entryKeyOf(entry));
      return !told.has(entryKeyOf(entry)) && isNews(mirror, entry, now);
    });
    for (const entry of news) mirror.upsertNative(entry, now, true);
    changed += news.length;
    publish(news, now);
  };
  return now => {
    if (at < entries.length) {
      take(now);
      return false;
    }
    for (const row of cursor.next(SLICE_ROWS, now)) {
      if (inKernel.has(row.key) || told.has(row.key)) continue;
      mirror.remove(row.key);
      gone++;
    }
    if (cursor.done) done({ changed, gone }, now);
    return cursor.done;
  };
}

/** Whether the kernel's word says more than the mirror, which knows full time-outs. */
function isNews(mirror: Mirror, entry: Entry, now: At): boolean {
  const row = mirror.get(entryKeyOf(entry), now);
  if (row === undefined) return true;
  if (row.server !== entry.server || row.serverPort !== entry.serverPort) return true;
  if (!isTemplate(entry) && isInactive(entry) !== isInactive(row)) return true;
  return entry.timeoutS > mirror.remainingS(row, now) + TIMER_S;
}
