// Two routers whose directors keep their connection tables the same, on a virtual clock: the shipped sync machine, a model of the kernel's
// table with its rules, links that delay, fill up and break, and a pulse that moves the VIPs. Deterministic: a seed gives one history.

import type { SyncRole } from '../../src/status/sync-status.ts';
import type { SyncEffect, SyncInput } from '../../src/sync/stream/effect.ts';
import { type Id, type Numbered, readEntries, readFrame } from '../../src/sync/stream/frame.ts';
import { SyncMachine } from '../../src/sync/stream/sync-machine.ts';
import type { ServerEntryCounts } from '../../src/sync/table/entry.ts';
import {
  type Entry,
  type EntryKey,
  entryKeyOf,
  FLAG,
  isInactive,
  isTemplate,
  PROTOCOL_TCP,
  type RawAddress,
  TCP_STATES,
  templateKeyOf,
  templateOf,
} from '../../src/sync/table/entry.ts';
import type { Scope } from '../../src/sync/table/scope.ts';
import type { Address } from '../../src/units/address.ts';
import type { At } from '../../src/units/duration.ts';

export const MARK = 21;
export const PERSISTENCE_S = 40;
const VIP = 'c0000201' as RawAddress;
const SERVERS = ['0a000001', '0a000002', '0a000003'] as RawAddress[];
/** An entry of the source that is older than this must be in the kernel of a warm sink. */
const MISSING_MS = 9_000;
/** What ends within this time may be gone on one side already. */
const ENDING_MS = 6_000;

const NAMES = ['r1', 'r2'] as const;

export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

export const scope: Scope = {
  services: [
    {
      name: 'ftp',
      vip: VIP,
      mark: MARK,
      controlPort: 21,
      passivePorts: { first: 10_000, last: 20_000 },
      active: true,
      flags: 0,
      persistenceS: PERSISTENCE_S,
      servers: new Set(SERVERS),
    },
  ],
  tcpTimeoutS: 900,
  tcpFinTimeoutS: 120,
  ofMark: mark => (mark === MARK ? scope.services[0] : undefined),
  ofVirtual: () => scope.services[0],
  markOf: () => MARK,
  ofActiveServer: () => scope.services,
  inScope: entry => entry.mark === MARK && SERVERS.includes(entry.server),
};

interface KernelRow {
  entry: Entry;
  expiresAt: number;
  /** When it came, or got its server. */
  readonly since: number;
  /** Made by traffic here, not by synchronisation: it holds on to its template. */
  native: boolean;
}

/** The kernel's table with the rules of ip_vs_sync.c and ip_vs_conn.c that matter. */
export class KernelModel {
  readonly rows = new Map<EntryKey, KernelRow>();
  /** When an entry of that key was last taken in by injection. */
  readonly takenAt = new Map<EntryKey, number>();
  readonly expiredAt = new Map<EntryKey, number>();

  inject(entries: readonly Entry[], now: number): void {
    for (const entry of entries) this.#injectOne(entry, now);
  }

  #injectOne(entry: Entry, now: number): void {
    const key = entryKeyOf(entry);
    this.takenAt.set(key, now);
    if (entry.timeoutS === 1) this.expiredAt.set(key, now);
    const expiresAt = now + entry.timeoutS * 1_000;
    const row = this.get(key, now);
    if (row === undefined) {
      this.rows.set(key, { entry, expiresAt, since: now, native: false });
      return;
    }
    const other = row.entry.server !== entry.server;
    if (other && !isTemplate(entry)) {
      if (isInactive(entry)) return;
      this.rows.set(key, { entry, expiresAt, since: now, native: false });
      return;
    }
    row.entry = { ...entry, server: row.entry.server };
    row.expiresAt = expiresAt;
  }

  get(key: EntryKey, now: number): KernelRow | undefined {
    const row = this.rows.get(key);
    return row !== undefined && row.expiresAt > now ? row : undefined;
  }

  /** Ends what is due; gives the templates that live on for the sake of their connections. */
  expire(now: number): Entry[] {
    const kept: Entry[] = [];
    for (const [key, row] of this.rows) {
      if (row.expiresAt > now) continue;
      const controls = isTemplate(row.entry) && this.#controls(key, now);
      if (!controls) {
        this.rows.delete(key);
        continue;
      }
      row.entry = { ...row.entry, timeoutS: 60 };
      row.expiresAt = now + 60_000;
      kept.push(row.entry);
    }
    return kept;
  }

  #controls(template: EntryKey, now: number): boolean {
    return [...this.rows.values()].some(
      row => row.native && row.expiresAt > now && !isTemplate(row.entry) && templateKeyOf(row.entry) === template,
    );
  }

  table(now: number): Entry[] {
    return [...this.rows.values()]
      .filter(row => row.expiresAt > now)
      .map(({ entry, expiresAt }) => ({ ...entry, timeoutS: Math.max(1, Math.floor((expiresAt - now) / 1_000)) }));
  }

  counts(now: number): ServerEntryCounts[] {
    return SERVERS.map(server => {
      const rows = [...this.rows.values()].filter(row => row.entry.server === server && row.expiresAt > now);
      const templates = rows.filter(row => isTemplate(row.entry)).length;
      const address = [...Buffer.from(server, 'hex')].join('.') as Address;
      return { mark: MARK, server: address, templates, connections: rows.length - templates };
    });
  }
}

interface Director {
  readonly machine: SyncMachine;
  readonly instance: Id;
  wakeAt: number;
  warm: boolean;
  alive: boolean;
}

interface Router {
  readonly index: 0 | 1;
  kernel: KernelModel;
  director: Director;
  role: SyncRole;
  epoch: number;
  /** The machine and its kernel are without power. */
  off: boolean;
}

interface LinkModel {
  up: boolean;
  /** Grows with every cut: what is on its way then is lost. */
  session: number;
  /** Frames vanish, but nobody has noticed yet. */
  blackhole: boolean;
  /** By sender: the queue is full. */
  readonly full: [boolean, boolean];
  readonly lastAt: [number, number];
  /** By router: when it is told that the link is up. */
  readonly upAt: [number, number];
  readonly delayMs: number;
}

export interface Faults {
  readonly linkCuts?: boolean;
  readonly congestion?: boolean;
  readonly restarts?: boolean;
  readonly failovers?: boolean;
  readonly powerLoss?: boolean;
  readonly losses?: boolean;
  readonly drops?: boolean;
  readonly hostile?: boolean;
}
export const ALL_FAULTS: Faults = {
  linkCuts: true,
  congestion: true,
  restarts: true,
  failovers: true,
  powerLoss: true,
  losses: true,
  drops: true,
  hostile: true,
};

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export interface SyncPairOptions {
  readonly seed: number;
  readonly faults: Faults;
  readonly clients?: number;
  /** Changes per second of what clients do. */
  readonly rate?: number;
  /** Clients that are in the owner's kernel from the beginning, each with a template and an idle connection. */
  readonly idle?: number;
  /** The longest time between two faults. */
  readonly faultEveryMs?: number;
  /** Breaks something on purpose, to show that the invariants notice. */
  readonly sabotage?: Partial<Sabotage>;
}

export interface Sabotage {
  /** Entries that the kernel takes of an injection; those it loses are not counted. */
  readonly losesInSilence: (entries: readonly Entry[]) => readonly Entry[];
  /** How long every injection takes. */
  readonly injectionMs: number;
  /** Stands between machine and loop. */
  readonly effects: (router: number, effects: SyncEffect[]) => SyncEffect[];
}

export class SyncPair {
  now = 1_000_000;
  readonly random: Random;
  readonly routers: [Router, Router];
  readonly links: [LinkModel, LinkModel];
  readonly violations: string[] = [];
  readonly log: string[] = [];
  readonly #options: SyncPairOptions;
  #faults: Faults;
  #queue: Scheduled[] = [];
  #order = 0;
  #instances = 0;
  #owner: 0 | 1 = 0;
  #epoch = 1;
  #ports = 30_000;
  /** Entries by stream and number, and when the frame was first sent. */
  readonly #frames = new Map<string, { readonly entries: readonly Entry[]; readonly at: number } | 'checked'>();
  readonly #recorded: Buffer[] = [];

  constructor(options: SyncPairOptions) {
    this.#options = options;
    this.#faults = options.faults;
    this.random = new Random(options.seed * 2_654_435_761);
    const link = (delayMs: number): LinkModel => ({
      up: false,
      session: 0,
      blackhole: false,
      full: [false, false],
      lastAt: [0, 0],
      upAt: [0, 0],
      delayMs,
    });
    this.links = [link(this.random.between(0.2, 5)), link(this.random.between(0.2, 40))];
    this.routers = [this.#router(0), this.#router(1)];
    for (const router of this.routers) this.#boot(router);
    for (let i = 0; i < (options.idle ?? 0); i++) this.#addIdle(i);
    this.#changeRoles(0, 0);
    for (const index of [0, 1]) this.#connect(index);
    this.#every(
      () => this.random.between(500, 1_500) / (options.rate ?? 5),
      () => this.#traffic(),
    );
    this.#every(
      () => 250,
      () => this.check(),
    );
    this.#every(
      () => 400,
      () => this.#expire(),
    );
    this.#every(
      () => this.random.between(200, options.faultEveryMs ?? 3_000),
      () => this.#fault(),
    );
  }

  get owner(): Router {
    return this.routers[this.#owner];
  }

  get standby(): Router {
    return this.routers[this.#owner === 0 ? 1 : 0];
  }

  describe(): string {
    const { seed } = this.#options;
    return [
      `seed ${seed}; replay: SYNC_SEED=${seed} node node_modules/ava/entrypoints/cli.mjs test/sim/sync.test.ts`,
      ...this.violations.slice(0, 10),
      ...this.log.slice(-40),
    ].join('\n');
  }

  run(forMs: number): void {
    const until = this.now + forMs;
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || next.at > until) break;
      this.#pop();
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = until;
  }

  /** From now on nothing goes wrong any more; what is wrong is mended. */
  calm(): void {
    this.#faults = {};
    this.note('calm');
    for (const link of this.links) {
      link.blackhole = false;
      link.full.fill(false);
    }
    for (const router of this.routers) if (router.off) this.#powerOn(router);
    this.#changeRoles(0, 0);
    for (const index of [0, 1]) if (!(this.links[index] as LinkModel).up) this.#connect(index);
  }

  note(text: string): void {
    this.log.push(`${(this.now / 1_000).toFixed(3)} ${text}`);
    if (this.log.length > 400) this.log.splice(0, 200);
  }

  violate(text: string): void {
    this.note(`VIOLATION ${text}`);
    if (this.violations.length < 100) this.violations.push(`${(this.now / 1_000).toFixed(3)} ${text}`);
  }

  // The queue

  at(at: number, run: () => void): void {
    const item = { at, order: this.#order++, run };
    this.#queue.push(item);
    let i = this.#queue.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(item, this.#queue[parent] as Scheduled)) break;
      this.#queue[i] = this.#queue[parent] as Scheduled;
      i = parent;
    }
    this.#queue[i] = item;
  }

  #pop(): void {
    const last = this.#queue.pop() as Scheduled;
    const { length } = this.#queue;
    if (length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= length) break;
      if (child + 1 < length && before(this.#queue[child + 1] as Scheduled, this.#queue[child] as Scheduled)) child++;
      if (!before(this.#queue[child] as Scheduled, last)) break;
      this.#queue[i] = this.#queue[child] as Scheduled;
      i = child;
    }
    this.#queue[i] = last;
  }

  #every(gapMs: () => number, run: () => void): void {
    this.at(this.now + gapMs(), () => {
      run();
      this.#every(gapMs, run);
    });
  }

  // Routers

  #router(index: 0 | 1): Router {
    return { index, kernel: new KernelModel(), director: this.#director(index), role: 'idle', epoch: 0, off: false };
  }

  #director(index: 0 | 1): Director {
    const instance = (++this.#instances).toString(16).padStart(8, '0').padEnd(16, 'ab') as Id;
    const machine = new SyncMachine({ node: index === 0 ? 1 : 2, instance, kernelRelease: '6.1.0' });
    return { machine, instance, wakeAt: Number.POSITIVE_INFINITY, warm: false, alive: true };
  }

  #boot(router: Router): void {
    this.input(router, { type: 'scope', scope });
    this.input(router, { type: 'tick' });
  }

  input(router: Router, input: SyncInput): void {
    const { director } = router;
    if (router.off || !director.alive) return;
    const effects = director.machine.step(input, this.now as At);
    this.#runEffects(router, director, this.#options.sabotage?.effects?.(router.index, effects) ?? effects);
    const wakeAt = Math.max(this.now + 1, director.machine.wakeAt(this.now as At));
    if (wakeAt >= director.wakeAt && director.wakeAt > this.now) return;
    director.wakeAt = wakeAt;
    this.at(wakeAt, () => {
      if (director.wakeAt !== wakeAt) return;
      director.wakeAt = Number.POSITIVE_INFINITY;
      if (router.director === director) this.input(router, { type: 'tick' });
    });
  }

  #runEffects(router: Router, director: Director, effects: readonly SyncEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          if (!this.#send(router, effect.link, effect.frame)) {
            const more = director.machine.step({ type: 'refused', ticket: effect.ticket }, this.now as At);
            this.#runEffects(router, director, more);
          }
          break;
        case 'inject':
          this.#inject(router, director, effect.id, effect.entries);
          break;
        case 'read-table':
          this.#answer(router, director, () => ({
            type: 'table',
            id: effect.id,
            entries: this.#faults.losses === true && this.random.chance(0.1) ? null : router.kernel.table(this.now),
            activeData: [],
          }));
          break;
        case 'read-counts':
          this.#answer(router, director, () => ({
            type: 'counts',
            id: effect.id,
            counts: router.kernel.counts(this.now),
          }));
          break;
        case 'event':
          this.note(`${NAMES[router.index]} ${effect.code} ${JSON.stringify(effect.fields)}`);
          break;
        case 'warm':
          director.warm = effect.warm;
          break;
      }
    }
  }

  /** The kernel is read some time before the answer arrives. */
  #answer(router: Router, director: Director, read: () => SyncInput): void {
    this.at(this.now + this.random.between(1, 150), () => {
      const answer = read();
      this.at(this.now + this.random.between(0, 150), () => {
        if (router.director === director) this.input(router, answer);
      });
    });
  }

  #inject(router: Router, director: Director, id: number, entries: readonly Entry[]): void {
    const { kernel } = router;
    const takesMs = this.#options.sabotage?.injectionMs ?? this.random.between(0.2, this.random.chance(0.05) ? 400 : 8);
    this.at(this.now + takesMs, () => {
      const dropping = this.#faults.drops === true && this.random.chance(0.1);
      const through = dropping ? entries.filter(() => this.random.chance(0.6)) : entries;
      kernel.inject(this.#options.sabotage?.losesInSilence?.(through) ?? through, this.now);
      const dropped = entries.length - through.length;
      if (router.director === director && router.kernel === kernel)
        this.input(router, { type: 'injected', id, dropped });
    });
  }

  // Links

  #send(from: Router, index: number, frame: Buffer): boolean {
    const link = this.links[index] as LinkModel;
    if (!link.up || link.full[from.index]) return false;
    this.#inspect(from, frame);
    if (link.blackhole) return true;
    const toIndex = from.index === 0 ? 1 : 0;
    // Nothing comes before the link is up on both sides.
    const at = Math.max(this.now + link.delayMs, link.lastAt[from.index] + 0.01, link.upAt[toIndex] + 0.01);
    link.lastAt[from.index] = at;
    const { session } = link;
    const to = this.routers[toIndex];
    this.at(at, () => {
      if (link.session === session && link.up && !link.blackhole) this.input(to, { type: 'frame', link: index, frame });
    });
    return true;
  }

  /** What is said on a link must be true. */
  #inspect(from: Router, frame: Buffer): void {
    // Only what is looked at is read: histories are many.
    const interesting = frame[0] === 2 || frame.includes('"ack"');
    const read = interesting ? readFrame(frame) : undefined;
    if (read?.type === 'numbered') this.#record(read.frame);
    else if (read?.type === 'control' && read.message.type === 'ack') {
      const { stream, seq } = read.message;
      this.#checkAck(from, stream, seq);
    }
    if (this.random.chance(0.05)) this.#recorded.push(frame);
    if (this.#recorded.length > 50) this.#recorded.shift();
  }

  #record({ kind, stream, seq, payload }: Numbered): void {
    const name = `${stream} ${seq}`;
    if (this.#frames.has(name)) return;
    const entries = kind === 'live' || kind === 'bulk' ? (readEntries(payload)?.entries ?? []) : [];
    this.#frames.set(name, { entries, at: this.now });
  }

  #checkAck(from: Router, stream: Id, upTo: number): void {
    for (let seq = upTo; seq > 0; seq--) {
      const name = `${stream} ${seq}`;
      const frame = this.#frames.get(name);
      if (frame === undefined || frame === 'checked') return;
      this.#frames.set(name, 'checked');
      for (const entry of frame.entries) {
        const key = entryKeyOf(entry);
        const takenAt = from.kernel.takenAt.get(key) ?? 0;
        // What is being replaced is not yet there, and no acknowledgement waits for it.
        const replacing =
          from.director.machine.isReplacing(key) || this.now - (from.kernel.expiredAt.get(key) ?? 0) < 5_000;
        if (takenAt < frame.at && !replacing)
          this.violate(`${NAMES[from.index]} acknowledged ${seq}, but ${key} is not in`);
      }
    }
  }

  #connect(index: number): void {
    const link = this.links[index] as LinkModel;
    if (link.up || this.routers.some(router => router.off || !router.director.alive)) return;
    link.up = true;
    link.session++;
    link.blackhole = false;
    for (const router of this.routers) {
      const { session } = link;
      link.upAt[router.index] = this.now + this.random.between(0, 3);
      this.at(link.upAt[router.index], () => {
        if (link.session === session) this.input(router, { type: 'link-up', link: index });
      });
    }
  }

  #disconnect(index: number, why: string): void {
    const link = this.links[index] as LinkModel;
    if (!link.up) return;
    link.up = false;
    link.session++;
    for (const router of this.routers) this.input(router, { type: 'link-down', link: index, why });
  }

  #reconnectLater(index: number, afterMs: number): void {
    this.at(this.now + afterMs, () => {
      if ((this.links[index] as LinkModel).up) return;
      this.#connect(index);
      if (!(this.links[index] as LinkModel).up) this.#reconnectLater(index, 500);
    });
  }

  // What happens

  #tellRole(router: Router): void {
    const mine = this.#owner === router.index;
    router.role = mine ? 'source' : 'sink';
    router.epoch = this.#epoch;
    const peerServing = !mine && !this.owner.off;
    this.input(router, {
      type: 'role',
      role: router.role,
      epoch: { counter: this.#epoch, node: this.#owner + 1 },
      peerServing,
    });
  }

  #changeRoles(ownerAfterMs: number, otherAfterMs: number): void {
    for (const [router, afterMs] of [
      [this.owner, ownerAfterMs],
      [this.standby, otherAfterMs],
    ] as const) {
      if (afterMs === 0) this.#tellRole(router);
      else this.at(this.now + afterMs, () => this.#tellRole(router));
    }
  }

  #failover(): void {
    if (this.standby.off) return;
    this.#owner = this.#owner === 0 ? 1 : 0;
    this.#epoch++;
    this.note(`${NAMES[this.#owner]} takes over`);
    this.#changeRoles(this.random.between(0, 200), this.random.between(0, 700));
  }

  #restart(router: Router): void {
    if (router.off || !router.director.alive) return;
    this.note(`${NAMES[router.index]} director restarts`);
    const { director } = router;
    director.alive = false;
    for (const index of [0, 1]) this.#disconnect(index, 'closed');
    this.at(this.now + this.random.between(100, 3_000), () => {
      if (router.off || router.director !== director) return;
      router.director = this.#director(router.index);
      this.#boot(router);
      this.#tellRole(router);
      for (const index of [0, 1]) this.#reconnectLater(index, this.random.between(0, 500));
    });
  }

  #powerOff(router: Router): void {
    if (router.off || this.routers.some(other => other.off)) return;
    this.note(`${NAMES[router.index]} loses its power`);
    router.off = true;
    router.director.alive = false;
    router.kernel = new KernelModel();
    for (const index of [0, 1]) this.#disconnect(index, 'reset');
    if (router === this.owner) this.#failover();
    else this.#tellRole(this.owner);
    this.at(this.now + this.random.between(1_000, 6_000), () => this.#powerOn(router));
  }

  #powerOn(router: Router): void {
    if (!router.off) return;
    this.note(`${NAMES[router.index]} is on again`);
    router.off = false;
    router.kernel = new KernelModel();
    router.director = this.#director(router.index);
    this.#boot(router);
    for (const one of this.routers) this.#tellRole(one);
    for (const index of [0, 1]) this.#reconnectLater(index, this.random.between(0, 500));
  }

  #fault(): void {
    const { random } = this;
    const kinds = Object.entries(this.#faults).filter(([, on]) => on === true);
    if (kinds.length === 0) return;
    const index = random.below(2);
    switch (random.pick(kinds)[0] as keyof Faults) {
      case 'linkCuts':
        return this.#cut(index);
      case 'congestion':
        return this.#congest(index);
      case 'restarts':
        return this.#restart(this.routers[index] as Router);
      case 'failovers':
        return this.#failover();
      case 'powerLoss':
        return this.#powerOff(this.routers[index] as Router);
      case 'losses':
        this.#losing = true;
        this.at(this.now + random.between(10, 500), () => {
          this.#losing = false;
          this.input(this.owner, { type: 'lost', what: 'conntrack' });
        });
        return;
      case 'hostile':
        return this.#hostile(index);
      case 'drops':
        return;
    }
  }

  #losing = false;

  #cut(index: number): void {
    const link = this.links[index] as LinkModel;
    if (!link.up) return;
    this.note(`link ${index} cut`);
    link.blackhole = true;
    this.at(this.now + this.random.between(0, 2_500), () => this.#disconnect(index, 'timeout'));
    this.#reconnectLater(index, this.random.between(2_600, 9_000));
  }

  #congest(index: number): void {
    const link = this.links[index] as LinkModel;
    const side = this.random.below(2);
    link.full[side] = true;
    this.at(this.now + this.random.between(20, 2_000), () => {
      link.full[side] = false;
    });
  }

  /** Bytes that no director sent, and frames of long ago. */
  #hostile(index: number): void {
    const { random } = this;
    const router = this.routers[random.below(2)] as Router;
    for (let i = 0; i < 20; i++) {
      const bytes = Buffer.from(Array.from({ length: random.below(80) }, () => random.below(256)));
      if (bytes.length > 0 && random.chance(0.7)) bytes[0] = 1 + random.below(2);
      const frame = random.chance(0.3) && this.#recorded.length > 0 ? this.#oldFrame() : bytes;
      this.input(router, { type: 'frame', link: random.below(10) < 9 ? index : 99, frame });
    }
  }

  /** A frame that was sent before; if numbered, of a stream that is no more. */
  #oldFrame(): Buffer {
    const frame = Buffer.from(this.random.pick(this.#recorded));
    const read = readFrame(frame);
    if (read.type === 'numbered') frame.fill(0xee, 2, 10);
    else frame.subarray(1).fill(0x20, this.random.below(frame.length));
    return frame;
  }

  // Clients

  #expire(): void {
    for (const router of this.routers) {
      const kept = router.kernel.expire(this.now);
      if (kept.length > 0) this.#report(router, kept);
    }
  }

  #report(router: Router, entries: readonly Entry[]): void {
    if (this.#losing) return;
    this.at(this.now + this.random.between(0.5, 20), () => this.input(router, { type: 'entries', entries }));
  }

  #traffic(): void {
    const router = this.owner;
    if (router.off) return;
    const { random } = this;
    const client = `c63364${random
      .below(this.#options.clients ?? 24)
      .toString(16)
      .padStart(2, '0')}` as RawAddress;
    const mine = [...router.kernel.rows.values()].filter(
      row => !isTemplate(row.entry) && row.entry.client === client && row.expiresAt > this.now,
    );
    if (mine.length < 3 && random.chance(0.4)) return this.#open(router, client);
    const row = mine[random.below(Math.max(1, mine.length))];
    // Some clients are idle for good once they are connected.
    if (row === undefined || Number.parseInt(client.slice(6), 16) % 3 === 0) return;
    if (isInactive(row.entry)) return;
    if (random.chance(0.4)) this.#close(router, row);
    else this.#packet(router, row);
  }

  #open(router: Router, client: RawAddress): void {
    const { kernel } = router;
    const key = templateKeyOf({ client, mark: MARK });
    let template = kernel.get(key, this.now);
    if (template === undefined) {
      const server = this.random.pick(SERVERS);
      const entry = templateOf({ client, server, mark: MARK, flags: 0 }, PERSISTENCE_S);
      template = { entry, expiresAt: 0, since: this.now, native: true };
      kernel.rows.set(key, template);
    }
    template.expiresAt = this.now + template.entry.timeoutS * 1_000;
    const entry = connectionOf(client, template.entry.server, this.#ports++);
    kernel.rows.set(entryKeyOf(entry), { entry, expiresAt: this.now + 900_000, since: this.now, native: true });
    this.#report(router, [entry, template.entry]);
  }

  #addIdle(n: number): void {
    const client = (0x0a800000 + n).toString(16).padStart(8, '0') as RawAddress;
    const server = SERVERS[n % SERVERS.length] as RawAddress;
    const template = { ...templateOf({ client, server, mark: MARK, flags: 0 }, PERSISTENCE_S), timeoutS: 600 };
    const connection = connectionOf(client, server, 1_024 + (n % 60_000));
    for (const entry of [template, connection]) {
      const expiresAt = this.now + entry.timeoutS * 1_000;
      this.owner.kernel.rows.set(entryKeyOf(entry), { entry, expiresAt, since: this.now, native: false });
    }
  }

  #packet(router: Router, row: KernelRow): void {
    row.expiresAt = this.now + row.entry.timeoutS * 1_000;
    this.#report(router, [row.entry]);
  }

  #close(router: Router, row: KernelRow): void {
    const state = TCP_STATES.indexOf('FIN_WAIT');
    row.entry = { ...row.entry, flags: row.entry.flags | FLAG.inactive, state, timeoutS: 15 };
    row.expiresAt = this.now + 15_000;
    this.#report(router, [row.entry]);
  }

  // Invariants

  check(): void {
    for (const router of this.routers) {
      const { ring, reorder, backlog } = router.director.machine.held;
      if (ring > 8_192 || reorder > 4_096 || backlog > 30_000) {
        this.violate(`${NAMES[router.index]} holds ${ring} frames, ${reorder} out of order, ${backlog} entries`);
      }
    }
    const { standby, owner } = this;
    // Only a warm sink of a settled owner makes a promise.
    if (owner.off || standby.off || standby.director.machine.role !== 'sink' || !standby.director.warm) return;
    if (owner.director.machine.role !== 'source' || !owner.director.alive || !standby.director.alive) return;
    for (const text of this.missing(MISSING_MS)) this.violate(`warm, but ${text}`);
  }

  /** What the owner's kernel has had for `olderMs` and the standby's lacks. */
  missing(olderMs: number): string[] {
    const { owner, standby } = this;
    const texts: string[] = [];
    for (const [key, row] of owner.kernel.rows) {
      if (this.now - row.since < olderMs || row.expiresAt - this.now < ENDING_MS) continue;
      // The owner itself is still about to put it right.
      if (owner.director.machine.isReplacing(key)) continue;
      const found = standby.kernel.get(key, this.now);
      if (found?.entry.server === row.entry.server) continue;
      texts.push(`${key} to ${row.entry.server} is ${found ? `to ${found.entry.server}` : 'missing'} on the standby`);
    }
    return texts;
  }

  /** What the standby's kernel has that the owner's has not. */
  extra(): string[] {
    const { owner, standby } = this;
    return [...standby.kernel.rows]
      .filter(([key, row]) => row.expiresAt - this.now > ENDING_MS && owner.kernel.get(key, this.now) === undefined)
      .map(([key]) => `${key} is on the standby only`);
  }

  /** Clients with a connection whose template is gone on the owner: their next transfer may go elsewhere. */
  untied(): string[] {
    const { kernel } = this.owner;
    return [...kernel.rows.values()]
      .filter(({ entry, expiresAt }) => !isTemplate(entry) && !isInactive(entry) && expiresAt > this.now)
      .filter(({ entry }) => kernel.get(templateKeyOf(entry), this.now) === undefined)
      .map(({ entry }) => `${entryKeyOf(entry)} has no template`);
  }
}

function connectionOf(client: RawAddress, server: RawAddress, clientPort: number): Entry {
  return {
    protocol: PROTOCOL_TCP,
    client,
    clientPort,
    virtual: VIP,
    virtualPort: 21,
    server,
    serverPort: 21,
    flags: 0,
    state: TCP_STATES.indexOf('ESTABLISHED'),
    mark: MARK,
    timeoutS: 900,
  };
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
