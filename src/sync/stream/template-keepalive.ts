// Keeps the persistence templates of clients with a live connection alive on the router that owns
// the VIPs: connections that came by synchronisation do not hold on to their template as native
// ones do, and a client whose template has gone gets any server for its next transfer. A client
// whose connection has no template at all gets one again. Deterministic.
import { type At, ms } from '../../units/duration.ts';
import { type Entry, type EntryKey, isInactive, isTemplate, type RawAddress, templateOf } from '../table/entry.ts';
import type { Cursor, Mirror, Row } from '../table/mirror.ts';
import type { Scope } from '../table/scope.ts';
import type { Chores } from './chores.ts';
import type { InjectionQueue } from './injection-queue.ts';
import type { Outbox } from './outbox.ts';

const SWEEP_EVERY_MAX_MS = ms(30_000);
const SWEEP_EVERY_MIN_MS = ms(250);
const SLICE_ROWS = 2_000;
/** A template is told again when a third of its time has passed. */
const FRESH_SHARE = 2 / 3;

interface KeepaliveParts {
  readonly mirror: Mirror;
  readonly injections: InjectionQueue;
  readonly out: Outbox;
  readonly chores: Chores;
  readonly scope: () => Scope | null;
  readonly publish: (entries: readonly Entry[], now: At) => void;
  readonly isReplacing: (key: EntryKey) => boolean;
}

export class TemplateKeepalive {
  readonly #parts: KeepaliveParts;
  #running = false;
  #session = 0;
  #sweepAt = Number.POSITIVE_INFINITY;

  constructor(parts: KeepaliveParts) {
    this.#parts = parts;
  }

  /** This router owns the VIPs: the first sweep is due at once. */
  begin(now: At): void {
    this.#session++;
    this.#running = false;
    this.#sweepAt = now;
  }

  stop(): void {
    this.#session++;
    this.#sweepAt = Number.POSITIVE_INFINITY;
  }

  tick(now: At): void {
    if (now < this.#sweepAt || this.#running) return;
    this.#running = true;
    this.#walk('all', (row, at) => (isTemplate(row) ? this.#isDue(row, at) : this.#isUntied(row, at)));
    this.#sweepAt = now + this.#sweepEveryMs();
  }

  /**
   * The kernel has told of these. A template that was put in with what was left of its time, or
   * that the kernel has kept for the sake of a connection (60 s then), has a short time-out for
   * good: the full one is given back to it.
   */
  seen(entries: readonly Entry[], now: At): void {
    const { mirror } = this.#parts;
    const short = new Map<string, Row>();
    for (const entry of entries) {
      if (!isTemplate(entry) && isInactive(entry)) continue;
      const row = mirror.get(mirror.templateKeyOf(entry), now);
      if (row === undefined || row.timeoutS >= this.#fullS(row)) continue;
      if (mirror.liveOf(row).all > 0) short.set(row.key, row);
    }
    this.#refresh([...short.values()], now);
  }

  /**
   * A server takes clients again: templates to it may have been made invalid by clients that came
   * meanwhile.
   */
  serverUp(mark: number, server: RawAddress): void {
    this.#walk('templates', row => row.mark === mark && row.server === server, false);
  }

  #isDue(row: Row, now: At): boolean {
    const { mirror } = this.#parts;
    const fullS = this.#fullS(row);
    if (row.timeoutS >= fullS && mirror.remainingS(row, now) >= fullS * FRESH_SHARE) return false;
    return mirror.liveOf(row).established > 0;
  }

  /**
   * A connection whose template has got lost: a native one always has one, but for services without
   * persistence.
   */
  #isUntied(row: Row, now: At): boolean {
    const { mirror, isReplacing, scope } = this.#parts;
    const service = scope()?.ofMark(row.mark);
    if (isInactive(row) || (service !== undefined && service.persistenceS === undefined)) return false;
    const key = mirror.templateKeyOf(row);
    return mirror.get(key, now) === undefined && !isReplacing(key);
  }

  /**
   * Goes through the table in slices; `full`: with the full persistence, else with what is left.
   */
  #walk(kinds: 'all' | 'templates', wanted: (row: Row, now: At) => boolean, full = true): void {
    const { mirror, injections, chores } = this.#parts;
    const session = this.#session;
    const cursor: Cursor = mirror.cursor(kinds);
    chores.add(now => {
      if (session !== this.#session) return true;
      if (injections.full) return false;
      const rows = cursor.next(SLICE_ROWS, now).filter(row => wanted(row, now));
      if (full) this.#refresh(rows, now);
      else injections.push(rows.map(row => mirror.entryOf(row, now)));
      if (cursor.done && full) this.#running = false;
      return cursor.done;
    });
  }

  #refresh(rows: readonly Row[], now: At): void {
    const { mirror, injections, out, publish } = this.#parts;
    if (rows.length === 0) return;
    // Two clients of one network share a template: the first one's server it is, as in the kernel.
    const templates = new Map<EntryKey, Entry>();
    for (const row of rows) {
      const key = mirror.templateKeyOf(row);
      if (templates.has(key)) continue;
      const { server, mark, flags } = row;
      templates.set(key, templateOf({ client: mirror.networkOf(row), server, mark, flags }, this.#fullS(row)));
    }
    const entries = [...templates.values()];
    for (const entry of entries) mirror.upsert(entry, now);
    out.count('keepalive', entries.length);
    injections.push(entries);
    publish(entries, now);
  }

  #fullS({ mark, timeoutS }: Pick<Row, 'mark' | 'timeoutS'>): number {
    return this.#parts.scope()?.ofMark(mark)?.persistenceS ?? timeoutS;
  }

  #sweepEveryMs(): number {
    const services = this.#parts.scope()?.services ?? [];
    const quarterMs = Math.min(...services.map(({ persistenceS }) => (persistenceS ?? Number.POSITIVE_INFINITY) * 250));
    return Math.max(SWEEP_EVERY_MIN_MS, Math.min(SWEEP_EVERY_MAX_MS, quarterMs));
  }
}
