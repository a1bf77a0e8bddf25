// The kernel's connection table as user space knows it: what was last told of each entry, and until
// when it lives. Made for a million rows: one object a row, no work that grows with the table in
// any single call. Deterministic: time is an argument.
import type { At } from '../../units/duration.ts';
import {
  type Entry,
  type EntryKey,
  entryKeyOf,
  isClosing,
  isInactive,
  isTemplate,
  networkOf,
  type RawAddress,
  templateKeyOf,
} from './entry.ts';

export const MIRROR_ROWS_MAX = 1_500_000;
/**
 * A row outlives its time-out by this: the kernel's timer may be late, and a row that is gone while
 * the kernel still has the entry would be taken for an entry that only the kernel has.
 */
const MARGIN_MS = 2_000;
/**
 * Rows are looked at once within this many seconds at least, so that the wheel holds on to no dead
 * row for longer.
 */
const WHEEL_S = 64;
/** Rows looked at for one that may go when the table is full. */
const EVICTION_LOOK_MAX = 64;
/** Later than every second there will be, and still a small whole number. */
const NEVER_S = 0x7fff_ffff;
const INTERNED_MAX = 100_000;
/** Connections of one client and mark in one number: all × this + established. */
const LIVE_UNIT = 2 ** 20;

/**
 * One row: the entry as last told, and when. `timeoutS` is what was told, not what is left: see
 * remainingS.
 */
export interface Row extends Entry {
  readonly key: EntryKey;
  /** When it was last told or refreshed. */
  touchedAt(): At;
  /**
   * When this router first heard of it: its beginning, as far as it is known. A connection with the
   * key of one that has ended, and a template with another server, begin anew.
   */
  firstSeenAt(): At;
  /** It was there before this router looked, so it began earlier than `firstSeenAt`. */
  readonly older: boolean;
  /** Whether traffic on this router may have made it: then it may hold on to its template. */
  readonly native: boolean;
}

class MirrorRow implements Row {
  readonly key: EntryKey;
  protocol: number;
  client: RawAddress;
  clientPort: number;
  virtual: RawAddress;
  virtualPort: number;
  server: RawAddress;
  serverPort: number;
  flags: number;
  state: number;
  mark: number;
  timeoutS: number;
  /** Tenths of a second: whole numbers that stay small take no memory of their own. */
  expiresDs = 0;
  touchedDs = 0;
  firstSeenDs = 0;
  older = false;
  /** The second of the wheel it is in; -1: removed. */
  dueS = 0;
  generation = 0;
  native = false;
  /** A connection: the network of its client by which it was counted. */
  network: RawAddress;

  constructor(key: EntryKey, entry: Entry) {
    this.key = key;
    this.protocol = entry.protocol;
    this.client = entry.client;
    this.clientPort = entry.clientPort;
    this.virtual = entry.virtual;
    this.virtualPort = entry.virtualPort;
    this.server = entry.server;
    this.serverPort = entry.serverPort;
    this.flags = entry.flags;
    this.state = entry.state;
    this.mark = entry.mark;
    this.timeoutS = entry.timeoutS;
    this.network = entry.client;
  }

  touchedAt(): At {
    return (this.touchedDs * 100) as At;
  }

  firstSeenAt(): At {
    return (this.firstSeenDs * 100) as At;
  }
}

/**
 * new: it was not there. moved: it has another server than before. refreshed: nothing but state and
 * time. full: not taken.
 */
type Upserted = 'new' | 'moved' | 'refreshed' | 'full';

export interface ServerRows {
  readonly mark: number;
  readonly server: RawAddress;
  readonly templates: number;
  readonly connections: number;
}

interface LiveConnections {
  readonly established: number;
  readonly all: number;
}

export class Mirror {
  readonly #templates = new Map<EntryKey, MirrorRow>();
  readonly #connections = new Map<EntryKey, MirrorRow>();
  /** Connections by the key of their template: see LIVE_UNIT. */
  readonly #live = new Map<EntryKey, number>();
  readonly #servers = new Map<string, { -readonly [K in keyof ServerRows]: ServerRows[K] }>();
  readonly #interned = new Map<RawAddress, RawAddress>();
  readonly #rowsMax: number;
  readonly #wheel: MirrorRow[][] = Array.from({ length: WHEEL_S }, () => []);
  /** Rows of the second that is being looked through. */
  #due: MirrorRow[] = [];
  /** Seconds up to this one have been taken off the wheel. */
  #sweptS: number | undefined;
  #version = 0;
  #refused = 0;
  #hadNative = false;
  #generation = 0;
  /** Leading bits of a client's address that a template has, by mark; absent: all. */
  #prefixes: ReadonlyMap<number, number> = new Map();

  constructor(rowsMax: number = MIRROR_ROWS_MAX) {
    this.#rowsMax = rowsMax;
  }

  /** Grows when an entry comes, goes or gets another server; not when one is refreshed. */
  get version(): number {
    return this.#version;
  }

  get templates(): number {
    return this.#templates.size;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get size(): number {
    return this.#templates.size + this.#connections.size;
  }

  /** Entries that did not fit, since the start. */
  get refused(): number {
    return this.#refused;
  }

  get(key: EntryKey, now: At): Row | undefined {
    const row = this.#rows(key).get(key);
    return row !== undefined && row.expiresDs > toDs(now) ? row : undefined;
  }

  /** Takes over what this router's own kernel tells of an entry; `older` as in upsert. */
  upsertNative(entry: Entry, now: At, older = false): Upserted {
    const upserted = this.upsert(entry, now, older);
    if (upserted === 'full') return upserted;
    const key = entryKeyOf(entry);
    (this.#rows(key).get(key) as MirrorRow).native = true;
    this.#hadNative = true;
    return upserted;
  }

  /**
   * Takes over an entry of this router's own kernel that the source has not named: it is stale from
   * the beginning.
   */
  upsertStale(entry: Entry, now: At): void {
    if (this.upsertNative(entry, now, true) === 'full') return;
    const key = entryKeyOf(entry);
    (this.#rows(key).get(key) as MirrorRow).generation = this.#generation - 1;
  }

  /** Whether any entry came from this router's own kernel, ever. */
  get hadNative(): boolean {
    return this.#hadNative;
  }

  /**
   * Takes over what is told of an entry. `older`: by a list of what there is, not by news of it, so
   * that one which was not known yet began at some time before.
   */
  upsert(entry: Entry, now: At, older = false): Upserted {
    this.#sweptS ??= toS(now);
    const key = entryKeyOf(entry);
    const row = this.#rows(key).get(key);
    if (row === undefined) return this.#insert(key, entry, now, older);
    if (row.expiresDs <= toDs(now)) {
      this.#drop(row);
      return this.#insert(key, entry, now, older);
    }
    const moved = row.server !== entry.server || row.serverPort !== entry.serverPort || row.mark !== entry.mark;
    if (moved) this.#version++;
    if (moved || (isClosing(row) && !isClosing(entry))) this.#begin(row, now, older);
    // A change of server, mark or state may change every count that the row is in.
    const recount = moved || (row.flags ^ entry.flags) !== 0;
    if (recount) this.#account(row, -1);
    row.server = this.#intern(entry.server);
    row.serverPort = entry.serverPort;
    row.flags = entry.flags;
    row.state = entry.state;
    row.mark = entry.mark;
    if (recount) this.#account(row, 1);
    this.#keep(row, entry.timeoutS, now);
    return moved ? 'moved' : 'refreshed';
  }

  remove(key: EntryKey): boolean {
    const row = this.#rows(key).get(key);
    if (row === undefined) return false;
    this.#drop(row);
    return true;
  }

  /** Rows told before this are stale until they are told again. */
  beginGeneration(): void {
    this.#generation = (this.#generation + 1) % 0x3fff_ffff;
  }

  isStale(row: Row): boolean {
    return (row as MirrorRow).generation !== this.#generation;
  }

  /** What is left of the row's time-out, in whole seconds, at least 1. */
  remainingS(row: Row, now: At): number {
    const leftMs = ((row as MirrorRow).expiresDs - toDs(now)) * 100 - MARGIN_MS;
    return Math.max(1, Math.min(row.timeoutS, Math.ceil(leftMs / 1_000)));
  }

  /** The row as an entry of its own, with what is left of its time-out. */
  entryOf(row: Row, now: At, timeoutS: number = this.remainingS(row, now)): Entry {
    const { protocol, client, clientPort, virtual, virtualPort, server, serverPort, flags, state, mark } = row;
    return { protocol, client, clientPort, virtual, virtualPort, server, serverPort, flags, state, mark, timeoutS };
  }

  /**
   * How much of a client's address a template has, by mark. True: that changed, and connections are
   * still counted by what it was: see recount().
   */
  setPrefixes(prefixes: ReadonlyMap<number, number>): boolean {
    const before = this.#prefixes;
    this.#prefixes = prefixes;
    return before.size > 0 && [...prefixes].some(([mark, prefix]) => before.get(mark) !== prefix);
  }

  /** The network of a client, as its template has it. */
  networkOf({ client, mark }: Pick<Entry, 'client' | 'mark'>): RawAddress {
    return networkOf(client, this.#prefixes.get(mark) ?? Number.POSITIVE_INFINITY);
  }

  /** The key of the template that an entry hangs on, or is. */
  templateKeyOf(entry: Pick<Entry, 'client' | 'mark'>): EntryKey {
    return templateKeyOf({ client: this.networkOf(entry), mark: entry.mark });
  }

  /** Counts a connection by the network that its client belongs to now. */
  recount(row: Row): void {
    if (isTemplate(row) || (row as MirrorRow).network === this.networkOf(row)) return;
    this.#account(row as MirrorRow, -1);
    this.#account(row as MirrorRow, 1);
  }

  /** Connections that hang on the template of `client` (a network) and `mark`. */
  liveOf(template: Pick<Entry, 'client' | 'mark'>): LiveConnections {
    const packed = this.#live.get(templateKeyOf(template)) ?? 0;
    return { established: packed % LIVE_UNIT, all: Math.floor(packed / LIVE_UNIT) };
  }

  serverRows(): readonly ServerRows[] {
    return [...this.#servers.values()].map(rows => ({ ...rows }));
  }

  /**
   * Removes rows whose time has come; looks at no more than `lookMax`. True when there is nothing
   * left to do for now.
   */
  sweep(now: At, lookMax: number): boolean {
    const nowS = toS(now);
    const nowDs = toDs(now);
    this.#sweptS ??= nowS;
    for (let looked = 0; looked < lookMax; looked++) {
      const row = this.#due.pop();
      if (row !== undefined) {
        if (row.dueS === this.#sweptS) {
          if (row.expiresDs <= nowDs) this.#drop(row);
          else this.#schedule(row);
        }
        continue;
      }
      if (this.#sweptS >= nowS) return true;
      this.#sweptS++;
      const slot = this.#sweptS % WHEEL_S;
      this.#due = this.#wheel[slot] as MirrorRow[];
      this.#wheel[slot] = [];
    }
    return false;
  }

  /**
   * How many rows end within `withinMs`: the kernel may have dropped them already. Looks at a few
   * wheel slots only.
   */
  expiring(now: At, withinMs: number): number {
    const untilDs = toDs(now) + Math.ceil((withinMs + MARGIN_MS) / 100);
    let count = 0;
    const lastS = Math.floor(untilDs / 10) + 1;
    const fromS = this.#sweptS ?? lastS;
    for (const row of this.#due) if (row.dueS === fromS && row.expiresDs <= untilDs) count++;
    for (let s = fromS + 1; s <= Math.min(lastS, fromS + WHEEL_S - 1); s++) {
      for (const row of this.#wheel[s % WHEEL_S] as MirrorRow[]) {
        if (row.dueS === s && row.expiresDs <= untilDs) count++;
      }
    }
    return count;
  }

  /**
   * Goes through the table, templates first. Rows may come, go and change meanwhile: one that is
   * there all the time is seen.
   */
  cursor(kinds: 'all' | 'templates' | 'connections' = 'all'): Cursor {
    const maps = {
      all: [this.#templates, this.#connections],
      templates: [this.#templates],
      connections: [this.#connections],
    }[kinds];
    return new Cursor(maps, row => (row as MirrorRow).expiresDs);
  }

  #rows(key: EntryKey): Map<EntryKey, MirrorRow> {
    return key.charCodeAt(0) === 0x74 ? this.#templates : this.#connections;
  }

  #begin(row: MirrorRow, now: At, older: boolean): void {
    row.firstSeenDs = toDs(now);
    row.older = older;
  }

  #insert(key: EntryKey, entry: Entry, now: At, older: boolean): Upserted {
    if (this.size >= this.#rowsMax && !this.#evict(toDs(now) + entry.timeoutS * 10)) {
      this.#refused++;
      return 'full';
    }
    const row = new MirrorRow(key, entry);
    row.server = this.#intern(row.server);
    row.virtual = this.#intern(row.virtual);
    this.#begin(row, now, older);
    this.#rows(key).set(key, row);
    this.#version++;
    this.#account(row, 1);
    row.dueS = NEVER_S;
    this.#keep(row, entry.timeoutS, now);
    return 'new';
  }

  /** Makes room by a row that ends earlier than `expiresDs`, if one is found soon. */
  #evict(expiresDs: number): boolean {
    let looked = 0;
    const fromS = this.#sweptS as number;
    for (let s = fromS; s < fromS + WHEEL_S && looked < EVICTION_LOOK_MAX; s++) {
      const slot = s === fromS ? this.#due : (this.#wheel[s % WHEEL_S] as MirrorRow[]);
      for (let i = slot.length - 1; i >= 0 && looked < EVICTION_LOOK_MAX; i--, looked++) {
        const row = slot[i] as MirrorRow;
        if (row.dueS !== s || row.expiresDs >= expiresDs) continue;
        this.#drop(row);
        this.#refused++;
        return true;
      }
    }
    return false;
  }

  #keep(row: MirrorRow, timeoutS: number, now: At): void {
    const nowDs = toDs(now);
    row.timeoutS = timeoutS;
    row.touchedDs = nowDs;
    row.generation = this.#generation;
    row.expiresDs = nowDs + timeoutS * 10 + MARGIN_MS / 100;
    // A row that lives longer than before stays where it is on the wheel: it is looked at there and
    // put further.
    if (Math.floor(row.expiresDs / 10) + 1 < row.dueS) this.#schedule(row);
  }

  #schedule(row: MirrorRow): void {
    const sweptS = this.#sweptS as number;
    const wantedS = Math.floor(row.expiresDs / 10) + 1;
    const dueS = Math.min(Math.max(wantedS, sweptS + 1), sweptS + WHEEL_S - 1);
    if (dueS === row.dueS) return;
    row.dueS = dueS;
    (this.#wheel[dueS % WHEEL_S] as MirrorRow[]).push(row);
  }

  #drop(row: MirrorRow): void {
    this.#rows(row.key).delete(row.key);
    row.dueS = -1;
    this.#version++;
    this.#account(row, -1);
  }

  #account(row: MirrorRow, sign: 1 | -1): void {
    const template = isTemplate(row);
    const name = `${row.mark} ${row.server}`;
    let rows = this.#servers.get(name);
    if (rows === undefined) {
      rows = { mark: row.mark, server: row.server, templates: 0, connections: 0 };
      this.#servers.set(name, rows);
    }
    if (template) rows.templates += sign;
    else rows.connections += sign;
    if (rows.templates === 0 && rows.connections === 0) this.#servers.delete(name);
    if (template) return;
    if (sign === 1) row.network = this.networkOf(row);
    const key = templateKeyOf({ client: row.network, mark: row.mark });
    const packed = (this.#live.get(key) ?? 0) + sign * (LIVE_UNIT + (isInactive(row) ? 0 : 1));
    if (packed === 0) this.#live.delete(key);
    else this.#live.set(key, packed);
  }

  /** Servers and virtual addresses are few: each is kept once. */
  #intern(raw: RawAddress): RawAddress {
    const known = this.#interned.get(raw);
    if (known !== undefined) return known;
    if (this.#interned.size < INTERNED_MAX) this.#interned.set(raw, raw);
    return raw;
  }
}

/** A walk through the table in pieces. */
export class Cursor {
  readonly #maps: readonly Map<EntryKey, Row>[];
  readonly #expiresDs: (row: Row) => number;
  #map = 0;
  #rows: Iterator<Row>;

  constructor(maps: readonly Map<EntryKey, Row>[], expiresDs: (row: Row) => number) {
    this.#maps = maps;
    this.#expiresDs = expiresDs;
    this.#rows = (maps[0] as Map<EntryKey, Row>).values();
  }

  get done(): boolean {
    return this.#map >= this.#maps.length;
  }

  /** The next rows that live, at most `rowsMax`; fewer or none do not mean the end: see `done`. */
  next(rowsMax: number, now: At): Row[] {
    const nowDs = toDs(now);
    const found: Row[] = [];
    for (let looked = 0; looked < rowsMax && !this.done; looked++) {
      const { value, done } = this.#rows.next();
      if (done !== true) {
        if (this.#expiresDs(value) > nowDs) found.push(value);
        continue;
      }
      const next = this.#maps[++this.#map];
      if (next !== undefined) this.#rows = next.values();
    }
    return found;
  }
}

function toDs(now: At): number {
  return Math.floor(now / 100);
}

function toS(now: At): number {
  return Math.floor(now / 1_000);
}
