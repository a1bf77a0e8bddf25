// Entries whose real server has changed. The kernel keeps the server of a template, and of a
// connection that is told as inactive, as long as the entry lives: the old one is made to expire
// first, and the new one goes in once it is gone. A template does not expire while connections that
// began on this very router hang on it (then the kernel gives it 60 s more): these are made to
// expire before it, and put in again, as what the peer tells them to be, which hangs on nothing.
// Deterministic. Source: ip_vs_proc_conn in net/netfilter/ipvs/ip_vs_sync.c, ip_vs_conn_expire in
// ip_vs_conn.c.
import { type At, ms } from '../../units/duration.ts';
import {
  type Entry,
  type EntryKey,
  entryKeyOf,
  FLAG,
  isInactive,
  isTemplate,
  PROTOCOL_TCP,
  TCP_STATES,
} from '../table/entry.ts';
import type { Cursor, Mirror } from '../table/mirror.ts';
import type { InjectionQueue } from './injection-queue.ts';
import type { Outbox } from './outbox.ts';

/** From when the kernel has taken the time-out of one second until the entry is surely gone. */
export const REPLACE_AFTER_MS = ms(2_000);
/**
 * A server that fails moves its clients one by one, as they come back: this many within two seconds
 * are not expected.
 */
const PENDING_MAX = 200_000;
const CONNECTIONS_MAX = 1_000;
const SLICE_ROWS = 2_000;
const STATE_CLOSE = TCP_STATES.indexOf('CLOSE');

interface Pending {
  /** In the order of their beginning. */
  readonly number: number;
  readonly key: EntryKey;
  readonly old: Entry;
  /** null: it is only to go. */
  entry: Entry | null;
  toldAt: At;
  readonly stubborn: boolean;
  /**
   * detaching: the connections that may hold on to the old template are looked for and made to
   * expire. expiring: then the old entry itself. The next thing happens at `dueAt`.
   */
  stage: 'detaching' | 'expiring';
  dueAt: number;
  readonly connections: EntryKey[];
}

/** The entry as it must be told to make the kernel drop it within a second or so. */
export function expiring(entry: Entry): Entry {
  if (isTemplate(entry)) return { ...entry, timeoutS: 1 };
  const state = entry.protocol === PROTOCOL_TCP ? STATE_CLOSE : entry.state;
  return { ...entry, flags: entry.flags | FLAG.inactive, state, timeoutS: 1 };
}

/** Whether the kernel would go on with the old server if it were just told the new entry. */
export function mustReplace(old: Pick<Entry, 'server' | 'serverPort'>, entry: Entry): boolean {
  if (old.server === entry.server && old.serverPort === entry.serverPort) return false;
  return isTemplate(entry) || isInactive(entry);
}

export class Replacements {
  readonly #mirror: Mirror;
  readonly #injections: InjectionQueue;
  readonly #out: Outbox;
  readonly #pending = new Map<EntryKey, Pending>();
  /**
   * Templates whose connections are still to be looked for, and those for which that is going on.
   */
  #wanted = new Map<EntryKey, Pending>();
  #looking: { readonly cursor: Cursor; readonly templates: ReadonlyMap<EntryKey, Pending> } | null = null;
  /**
   * Connections that are away for a moment: what is told of them meanwhile goes into the mirror
   * only, from where they come back.
   */
  readonly #away = new Set<EntryKey>();
  #failed = false;
  #number = 0;

  constructor(mirror: Mirror, injections: InjectionQueue, out: Outbox) {
    this.#mirror = mirror;
    this.#injections = injections;
    this.#out = out;
  }

  get size(): number {
    return this.#pending.size + this.#away.size;
  }

  /** Number of the one that began last. */
  get newest(): number {
    return this.#number;
  }

  /** Whether of all that began up to `number` the kernel has what it should have. */
  isDone(number: number): boolean {
    for (const pending of this.#pending.values()) {
      if (pending.number > number) return true;
      // What is only to go may wait; but not connections that are away for its sake.
      if (pending.entry !== null || pending.stage === 'detaching') return false;
    }
    return true;
  }

  /** Whether there is a slice of work to be done at once. */
  get busy(): boolean {
    return this.#looking !== null && !this.#injections.full;
  }

  has(key: EntryKey): boolean {
    return this.#pending.has(key) || this.#away.has(key);
  }

  /**
   * Newer word of an entry that is being replaced, which is in the mirror already; false when it is
   * not.
   */
  update(entry: Entry, now: At): boolean {
    const key = entryKeyOf(entry);
    const pending = this.#pending.get(key);
    if (pending === undefined) return this.#away.has(key);
    pending.entry = entry;
    pending.toldAt = now;
    return true;
  }

  /**
   * False: too many at once. `stubborn`: the kernel has kept the old one against all word, so
   * something unknown may hold on to it.
   */
  start(old: Entry, entry: Entry, now: At, stubborn = false): boolean {
    if (this.#pending.size >= PENDING_MAX) return false;
    const pending = this.#add(old, entry, now, stubborn);
    this.#out.count('replaced');
    if (this.#mayBeHeld(pending)) this.#wanted.set(pending.key, pending);
    else this.#expire(pending);
    return true;
  }

  /** Whether connections that began here may hold on to it. */
  #mayBeHeld({ old, stubborn }: Pending): boolean {
    return isTemplate(old) && (stubborn || this.#mirror.hadNative) && this.#mirror.liveOf(old).all > 0;
  }

  /** Makes it expire. */
  remove(old: Entry, now: At): void {
    if (this.#pending.has(entryKeyOf(old))) return;
    if (this.#pending.size >= PENDING_MAX) {
      this.#injections.push([expiring(old)]);
      return;
    }
    const pending = this.#add(old, null, now, false);
    if (this.#mayBeHeld(pending)) this.#wanted.set(pending.key, pending);
    else this.#expire(pending);
  }

  tick(now: At): void {
    this.#look(now);
    for (const pending of this.#pending.values()) {
      if (pending.dueAt > now) continue;
      if (pending.stage === 'detaching') this.#expire(pending, this.#attached(pending, false, now));
      else this.#finish(pending, now);
    }
  }

  /**
   * This router becomes the owner: connections that were away come back at once, what was to go and
   * has not been told stays. Templates go on getting their new server, unless the kernel's own word
   * is that it uses them: see `overruled`.
   */
  settle(now: At): void {
    for (const pending of this.#pending.values()) {
      const { stage, entry, old, key } = pending;
      if (stage === 'detaching') this.#injections.push(this.#attached(pending, true, now));
      if (stage === 'detaching' && entry !== null) this.#expire(pending);
      if (stage === 'detaching' && entry === null) this.#mirror.upsertNative(old, now);
      if (entry === null) this.#pending.delete(key);
    }
    this.#wanted.clear();
    this.#away.clear();
    this.#looking = null;
  }

  /** The owner's kernel has told of the entry: that is what holds. */
  overruled(key: EntryKey): void {
    this.#pending.delete(key);
  }

  /** Whether the kernel did not take an entry since this was asked last. */
  takeFailed(): boolean {
    const failed = this.#failed;
    this.#failed = false;
    return failed;
  }

  #add(old: Entry, entry: Entry | null, now: At, stubborn: boolean): Pending {
    const key = entryKeyOf(old);
    const dueAt = Number.POSITIVE_INFINITY;
    const number = ++this.#number;
    const pending: Pending = {
      number,
      key,
      old,
      entry,
      toldAt: now,
      stubborn,
      stage: 'detaching',
      dueAt,
      connections: [],
    };
    this.#pending.set(key, pending);
    return pending;
  }

  /** One slice of the search for connections of templates that are to be replaced. */
  #look(now: At): void {
    if (this.#looking === null && this.#wanted.size > 0) {
      this.#looking = { cursor: this.#mirror.cursor('connections'), templates: this.#wanted };
      this.#wanted = new Map();
    }
    if (this.#looking === null || this.#injections.full) return;
    const { cursor, templates } = this.#looking;
    const found: Entry[] = [];
    for (const row of cursor.next(SLICE_ROWS, now)) {
      const pending = templates.get(this.#mirror.templateKeyOf(row));
      if (pending === undefined || row.server !== pending.old.server || !(row.native || pending.stubborn)) continue;
      if (pending.connections.length >= CONNECTIONS_MAX) continue;
      pending.connections.push(row.key);
      this.#away.add(row.key);
      found.push(expiring(this.#mirror.entryOf(row, now)));
    }
    const last = cursor.done;
    if (last) this.#looking = null;
    this.#injections.push(found, (_ok, takenAt) => {
      if (!last) return;
      for (const pending of templates.values()) {
        pending.dueAt = pending.connections.length === 0 ? takenAt : takenAt + REPLACE_AFTER_MS;
      }
    });
  }

  /**
   * The connections that were made to expire, as they are by now. `all`: also those that the source
   * has not named.
   */
  #attached({ connections }: Pending, all: boolean, now: At): Entry[] {
    return connections.flatMap(key => {
      this.#away.delete(key);
      const row = this.#mirror.get(key, now);
      if (row === undefined) return [];
      if (all || !this.#mirror.isStale(row)) return [this.#mirror.entryOf(row, now)];
      this.#mirror.remove(key);
      return [];
    });
  }

  /** Puts `again` in, and makes the old entry expire. */
  #expire(pending: Pending, again: readonly Entry[] = []): void {
    pending.stage = 'expiring';
    pending.dueAt = Number.POSITIVE_INFINITY;
    this.#injections.push([...again, expiring(pending.old)], (ok, takenAt) => {
      if (!ok) this.#failed = true;
      pending.dueAt = takenAt + REPLACE_AFTER_MS;
    });
  }

  #finish({ key, entry, toldAt }: Pending, now: At): void {
    this.#pending.delete(key);
    if (entry === null) return;
    const timeoutS = entry.timeoutS - Math.floor((now - toldAt) / 1_000);
    if (timeoutS <= 0) return;
    this.#injections.push([{ ...entry, timeoutS }], ok => {
      if (!ok) this.#failed = true;
    });
  }
}
