// The sync's loop: gives the machine what happens (the kernel's reports, frames, roles, answers,
// time) and does what it says. One for each config it stands on; sync.ts replaces it when a reload
// changes that. Not pure: timer, and the parts it is given.
import type { HookWord } from '../config/hook-word.ts';
import type { PairKeys } from '../config/io/key.ts';
import type { ReloadWord } from '../config/reload-word.ts';
import type { Config } from '../config/schema.ts';
import type { DrainWord } from '../drain/drain-word.ts';
import type { ServerName } from '../drain/drains.ts';
import type { Snapshot } from '../feed/message.ts';
import type { EventCode } from '../log/catalogue.ts';
import { prefixed } from '../log/counters.ts';
import type { Fields } from '../log/event.ts';
import type { CheckWord } from '../nanny/check-word.ts';
import { isCondemned, type Verdict } from '../nanny/verdict.ts';
import type { SessionEntry, SessionFilter } from '../status/sessions.ts';
import type { StoreStatus, SyncStatus } from '../status/sync-status.ts';
import type { Address } from '../units/address.ts';
import type { At } from '../units/duration.ts';
import type { EnsureResult, SyncKernel, SyncKernelListener } from './kernel/sync-kernel.ts';
import type { PeerLinks, PeerLinksListener } from './link/peer-links.ts';
import { type SyncStanding, standingOf } from './standing.ts';
import { readStore, restoredFields } from './store/io/restoring.ts';
import { createSessionSaver, type SessionSaver } from './store/io/session-saver.ts';
import { type SavedRow, sealKey } from './store/saved-sessions.ts';
import { mayPersist } from './store/session-saver.ts';
import type { SessionStore } from './store/session-store.ts';
import type { SyncEffect, SyncFields, SyncInput } from './stream/effect.ts';
import type { Id } from './stream/frame.ts';
import { SyncMachine } from './stream/sync-machine.ts';
import { clientsOf } from './table/clients-of.ts';
import { type Entry, type RawAddress, rawOf } from './table/entry.ts';
import type { Cursor } from './table/mirror.ts';
import { type Scope, scopeOf } from './table/scope.ts';
import { loadKey, loadsOf, NO_LOAD, type ServerLoad } from './table/server-load.ts';
import { describeEntries, sessionsOfMirror } from './table/session-entries.ts';

/** Real servers that left the config but still have connections, by the name of their service. */
export type DrainingServers = ReadonlyMap<string, readonly Address[]>;

/** Connections and templates in words, and where they are from: see SessionHead. */
export interface Sessions {
  readonly from: 'own' | 'synced' | 'kernel';
  readonly whole: boolean;
  readonly slices: AsyncIterable<readonly SessionEntry[]>;
}

/** What the loop is made of: real parts from sync.ts, models in tests. */
export interface SyncParts {
  readonly node: 1 | 2;
  readonly nodeName: string;
  readonly peerName: string;
  /** New at every start of the director: 16 hex digits. */
  readonly instance: Id;
  readonly kernelRelease: string;
  /** At the start; the first one seals snapshots. */
  readonly keys: PairKeys;
  openKernel(scope: () => Scope, listener: SyncKernelListener): SyncKernel;
  openLinks(listener: PeerLinksListener): PeerLinks & {
    counters?(): Readonly<Record<string, number>>;
    takeKeys?(keys: PairKeys): void;
  };
  openStore(): SessionStore | undefined;
  onEvent(code: EventCode, fields: Fields): void;
  onPeerChecks(words: readonly CheckWord[]): void;
  onPeerReload(word: ReloadWord): void;
  onPeerDrains(words: readonly DrainWord[]): void;
  onPeerHookSent(word: HookWord): void;
  /** Monotonic. */
  now(): At;
  /** Wall time, ms since 1970. */
  wallMs(): number;
}

/** Kernel state first, then the VIP: so long the rules wait for what the store brings back. */
const RESTORE_WAIT_MS = 3_000;
/**
 * A store that does not answer at the start is asked again: after a reboot of everything it may
 * come up later than we.
 */
const RESTORE_TRIES = 12;
const RESTORE_RETRY_MS = 5_000;
/**
 * How long a change in the kernel takes until the peer has it, in ms: conntrack's event, one frame,
 * the injection (seen: some milliseconds; the margin is for a starved router).
 */
const FLUSH_MS = 250;
const ROWS_PER_READ = 500;
/** Sessions and transfers are counted no more often. */
const LOADS_MS = 1_000;

export class SyncLoop {
  readonly #parts: SyncParts;
  readonly #machine: SyncMachine;
  readonly #kernel: SyncKernel;
  readonly #store: SessionStore | undefined;
  readonly #saver: SessionSaver | undefined;
  #links: ReturnType<SyncParts['openLinks']> | undefined;
  #config: Config;
  #keys: PairKeys;
  #draining: DrainingServers = new Map();
  #scope: Scope;
  #standing: SyncStanding = standingOf(null);
  #ensured: EnsureResult | undefined;
  #started = false;
  #closed = false;
  #restored: number | null = null;
  #up: ReadonlySet<string> = new Set();
  #down: ReadonlySet<RawAddress> = new Set();
  /** As last counted; `loads` undefined: there is too much to count. */
  #loads: { readonly at: At; readonly loads: ReadonlyMap<string, ServerLoad> | undefined } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(config: Config, parts: SyncParts) {
    this.#config = config;
    this.#parts = parts;
    this.#keys = parts.keys;
    this.#scope = scopeOf(config);
    const { node, instance, kernelRelease } = parts;
    this.#machine = new SyncMachine({ node, instance, kernelRelease });
    this.#kernel = parts.openKernel(() => this.#scope, {
      entries: entries => this.#step({ type: 'entries', entries }),
      lost: what => this.#step({ type: 'lost', what }),
    });
    this.#store = parts.openStore();
    this.#saver = this.#store && this.#createSaver(this.#store);
    this.#step({ type: 'scope', scope: this.#scope });
  }

  #createSaver(store: SessionStore): SessionSaver {
    const { parts, machine } = { parts: this.#parts, machine: this.#machine };
    return createSessionSaver({
      store,
      schedule: this.#config.sync.store.schedule,
      key: () => sealKey(this.#keys.sign),
      about: () => ({
        pair: this.#config.pair,
        node: parts.nodeName,
        nodeId: parts.node,
        epoch: this.#standing.epoch,
        instance: parts.instance,
      }),
      rows: () => rowsOf(machine, parts.now, this.#config.sync.store.connections),
      version: () => machine.mirror.version,
      mayPersist: () => mayPersist(store.type, { ...this.#standing, role: machine.role, warm: machine.warm }),
      onEvent: parts.onEvent,
      now: parts.now,
      wallMs: parts.wallMs,
    });
  }

  async ensure(): Promise<EnsureResult> {
    const result = await this.#kernel.ensure();
    this.#ensured = result;
    if (result.running && !this.#started && !this.#closed) {
      this.#started = true;
      await this.#start();
    }
    return result;
  }

  preview(): Promise<readonly string[]> {
    return this.#kernel.preview();
  }

  /** The store before the links: what it brings back is there when the peer is met. */
  async #start(): Promise<void> {
    const restoring = this.#restore(RESTORE_TRIES);
    await Promise.race([restoring, pause(RESTORE_WAIT_MS)]);
    if (this.#closed) return;
    this.#links = this.#parts.openLinks({
      up: (link, saysTakes) => {
        this.#step({ type: 'link-up', link, saysTakes });
        this.#parts.onEvent('SYNC_STREAM_UP', this.#named({ link, peer: this.#parts.peerName }));
      },
      down: (link, reason) => {
        this.#step({ type: 'link-down', link, why: reason });
        if (!this.#closed)
          this.#parts.onEvent('SYNC_STREAM_DOWN', this.#named({ link, peer: this.#parts.peerName, reason }));
      },
      frame: (link, frame) => this.#step({ type: 'frame', link, frame }),
    });
    this.#links.takeKeys?.(this.#keys);
    void restoring.then(() => this.#closed || this.#saver?.begin());
  }

  /** Only where nothing is: not over a living table, and not beside a peer that has one. */
  async #restore(tries: number): Promise<void> {
    const store = this.#store;
    if (!store || this.#standing.role === 'source' || this.#standing.peerServing || (await this.#hasEntries())) return;
    for (let left = tries; left > 0 && !this.#closed && !this.#standing.peerServing; left -= 1) {
      const { onEvent, wallMs } = this.#parts;
      const { pair, sync } = this.#config;
      const read = await readStore(
        { store, pair, keys: this.#keys.accept.map(sealKey), onEvent },
        {
          nowMs: wallMs(),
          maxAge: sync.store.max_age,
          connections: sync.store.connections,
          inScope: entry => this.#scope.inScope(entry),
          isDown: server => this.#down.has(server),
        },
      );
      if (read.ok) {
        if (read.restore.from === undefined || this.#closed) return;
        this.#restored = read.restore.entries.length;
        this.#step({ type: 'restored', entries: read.restore.entries });
        await this.#settled();
        onEvent('STORE_RESTORED', restoredFields(store.type, read.restore));
        return;
      }
      await pause(RESTORE_RETRY_MS);
    }
  }

  async #hasEntries(): Promise<boolean> {
    try {
      return (await this.#kernel.readCounts()).some(({ templates, connections }) => templates + connections > 0);
    } catch {
      // What cannot be counted is not restored over.
      return true;
    }
  }

  /** Waits until the kernel has taken what was restored. */
  async #settled(): Promise<void> {
    const end = this.#parts.now() + 10 * RESTORE_WAIT_MS;
    while (this.#machine.busy && this.#parts.now() < end && !this.#closed) await pause(10);
  }

  pulseSays(snapshot: Snapshot): void {
    const before = this.#standing;
    this.#standing = standingOf(snapshot);
    if (JSON.stringify(before) === JSON.stringify(this.#standing)) return;
    const { role, epoch, peerServing } = this.#standing;
    this.#step({ type: 'role', role, epoch, peerServing });
  }

  verdicts(verdicts: readonly Verdict[]): void {
    const found = verdicts.flatMap(({ service, server, state, alive }) => {
      const spec = this.#config.services[service];
      const address = spec?.servers[server]?.address;
      return spec && address ? [{ mark: spec.mark, address, state, alive }] : [];
    });
    // One that is down but answers keeps its clients.
    const dead = found.filter(verdict => isCondemned(verdict) && !verdict.alive);
    this.#down = new Set(dead.map(({ address }) => rawOf(address)));
    const up = found.filter(({ state }) => state === 'up');
    const before = this.#up;
    this.#up = new Set(up.map(({ mark, address }) => `${mark} ${address}`));
    for (const { mark, address } of up) {
      if (!before.has(`${mark} ${address}`)) this.#step({ type: 'server-up', mark, server: address });
    }
  }

  tellChecks(words: readonly CheckWord[]): void {
    this.#step({ type: 'checks', words });
  }

  sayReload(word: ReloadWord): true | string {
    const can = this.#machine.canReload;
    if (can === true) this.#step({ type: 'reload', word });
    return can;
  }

  tellDrains(words: readonly DrainWord[]): void {
    this.#step({ type: 'drains', words });
  }

  sayHookSent(word: HookWord): void {
    this.#step({ type: 'hook-sent', word });
  }

  loadOf({ service, server }: ServerName): ServerLoad | undefined {
    const spec = this.#config.services[service];
    const address = spec?.servers[server]?.address;
    if (spec?.kind !== 'ftp' || address === undefined || !this.#machine.whole) return undefined;
    const now = this.#parts.now();
    if (this.#loads === undefined || now - this.#loads.at > LOADS_MS) {
      this.#loads = { at: now, loads: loadsOf(this.#machine.mirror, controlPortsOf(this.#config), now) };
    }
    return this.#loads.loads?.get(loadKey(spec.mark, rawOf(address))) ?? (this.#loads.loads && NO_LOAD);
  }

  /**
   * Services and servers may change under a running loop; what it stands on may not (sync.ts sees
   * to that).
   */
  configure(config: Config): void {
    this.#config = config;
    this.#rescope();
  }

  draining(draining: DrainingServers): void {
    if (JSON.stringify([...draining]) === JSON.stringify([...this.#draining])) return;
    this.#draining = draining;
    this.#rescope();
  }

  #rescope(): void {
    this.#scope = scopeOf(this.#config, this.#draining);
    this.#step({ type: 'scope', scope: this.#scope });
  }

  #step(input: SyncInput): void {
    if (this.#closed) return;
    const { now } = this.#parts;
    const effects = [...this.#machine.step(input, now())];
    for (let effect = effects.shift(); effect !== undefined; effect = effects.shift()) this.#run(effect, effects);
    this.#arm();
  }

  /** One effect; what it leads to at once is put at the end of `effects`. */
  #run(effect: SyncEffect, effects: SyncEffect[]): void {
    switch (effect.type) {
      case 'send':
        if (this.#links?.send(effect.link, effect.frame) !== true) {
          effects.push(...this.#machine.step({ type: 'refused', ticket: effect.ticket }, this.#parts.now()));
        }
        return;
      case 'inject':
        return this.#inject(effect.id, effect.entries);
      case 'read-table':
        return this.#readTable(effect.id, effect.activeData);
      case 'read-counts':
        return this.#readCounts(effect.id);
      case 'event':
        return this.#parts.onEvent(effect.code, this.#named(effect.fields));
      case 'peer-reload':
        // It may be answered at once, and a step inside this one would lose track of what was sent.
        return queueMicrotask(() => this.#parts.onPeerReload(effect.word));
      case 'peer-checks':
        return this.#parts.onPeerChecks(effect.words);
      case 'peer-drains':
        return this.#parts.onPeerDrains(effect.words);
      case 'peer-hook-sent':
        return this.#parts.onPeerHookSent(effect.word);
      case 'warm':
        return;
    }
  }

  #inject(id: number, entries: readonly Entry[]): void {
    this.#kernel.inject(entries).then(
      ({ dropped }) => this.#step({ type: 'injected', id, dropped }),
      (error: Error) => {
        this.#problem(error);
        this.#step({ type: 'injected', id, dropped: entries.length });
      },
    );
  }

  #readTable(id: number, activeData: boolean): void {
    const none: Promise<readonly Entry[]> = Promise.resolve([]);
    Promise.all([this.#kernel.readTable(), activeData ? this.#kernel.readActiveData() : none]).then(
      ([entries, data]) => this.#step({ type: 'table', id, entries, activeData: data }),
      (error: Error) => {
        this.#problem(error);
        this.#step({ type: 'table', id, entries: null, activeData: [] });
      },
    );
  }

  #readCounts(id: number): void {
    this.#kernel.readCounts().then(
      counts => this.#step({ type: 'counts', id, counts }),
      (error: Error) => {
        this.#problem(error);
        this.#step({ type: 'counts', id, counts: null });
      },
    );
  }

  #problem(error: Error): void {
    if (!this.#closed) this.#parts.onEvent('SYNC_PROBLEM', { problem: error.message });
  }

  /** Links are numbers to the machine, LANs to people. */
  #named({ link, ...fields }: SyncFields): Fields {
    if (link === undefined) return fields;
    return { lan: this.#links?.states()[Number(link)]?.lan ?? null, ...fields };
  }

  /** One timer, for the earliest wish. */
  #arm(): void {
    const { now } = this.#parts;
    const wakeAt = this.#machine.wakeAt(now());
    if (this.#timer !== undefined && this.#wakeAt <= wakeAt) return;
    clearTimeout(this.#timer);
    this.#wakeAt = wakeAt;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#step({ type: 'tick' });
      },
      Math.max(0, wakeAt - now()),
    );
  }

  status(): SyncStatus {
    const { now, wallMs } = this.#parts;
    const wallOf = (at: At) => new Date(wallMs() - (now() - at)).toISOString();
    const machine = this.#machine.status(now(), wallOf);
    const states = this.#links?.states() ?? [];
    return {
      ...machine,
      links: states.map(({ lan, connected }, index) => ({
        lan,
        connected: connected && machine.links[index]?.connected === true,
        rttMs: machine.links[index]?.rttMs ?? null,
      })),
      counters: {
        ...prefixed('kernel', this.#kernel.counters()),
        ...prefixed('link', this.#links?.counters?.() ?? {}),
        ...machine.counters,
        ...prefixed('store', this.#saver ? { saved: this.#saver.saved, failed: this.#saver.failed } : {}),
      },
      store: this.#storeStatus(),
    };
  }

  #storeStatus(): StoreStatus {
    const none = { type: 'none', savedAt: null, templates: 0, connections: 0, problem: '' } as const;
    return { ...(this.#saver?.status() ?? none), restored: this.#restored };
  }

  clients(services: readonly string[]): ReadonlyMap<string, readonly Address[]> {
    return clientsOf(this.#machine.mirror, this.#scope, services, this.#parts.now());
  }

  /** undefined: nobody owns the VIPs as far as is known, so nobody tells of connections. */
  sessions(filter: SessionFilter): Sessions | undefined {
    const { role, whole, mirror } = this.#machine;
    if (role === 'idle') return undefined;
    const describe = describeEntries(this.#config, this.#scope, filter);
    const slices = sessionsOfMirror(mirror, describe, this.#parts.now);
    return { from: role === 'source' ? 'own' : 'synced', whole, slices };
  }

  takeKeys(keys: PairKeys): void {
    const isOther = !keys.sign.equals(this.#keys.sign);
    this.#keys = keys;
    this.#links?.takeKeys?.(keys);
    // What the store has is sealed with a key that will go.
    if (isOther) this.#saver?.tick();
  }

  found(): Readonly<Record<string, string>> {
    return this.#ensured?.found ?? {};
  }

  flushMs(): number {
    return this.#machine.role === 'source' && this.#links !== undefined ? FLUSH_MS : 0;
  }

  async close(why: string): Promise<void> {
    if (this.#closed) return;
    this.#step({ type: 'stop', why });
    await this.#saver?.close();
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#links?.close();
    await this.#kernel.close();
  }
}

/** The table as it is now, templates first, with what is left of each lifetime. */
function* rowsOf(machine: SyncMachine, now: () => At, connections: boolean): Generator<SavedRow> {
  const { mirror } = machine;
  const cursor: Cursor = mirror.cursor(connections ? 'all' : 'templates');
  while (!cursor.done) {
    const at = now();
    for (const row of cursor.next(ROWS_PER_READ, at)) yield { entry: row, remainingS: mirror.remainingS(row, at) };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => {
    setTimeout(resolve, ms).unref();
  });
}

/** Of the FTP services, by mark. */
function controlPortsOf({ services }: Config): ReadonlyMap<number, readonly number[]> {
  const ftp = Object.values(services).flatMap(service => (service.kind === 'ftp' ? [service] : []));
  return new Map(ftp.map(service => [service.mark, service.control_port]));
}
