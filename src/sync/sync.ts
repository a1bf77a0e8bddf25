// The connection sync as the director has it, and the only door to this folder: a loop for the
// config in use, another one when a reload changes what it stands on (links, keys, port, store),
// none when it is switched off. Not pure: real parts, random ids, clocks.
import { randomBytes } from 'node:crypto';
import { release } from 'node:os';
import { run } from '../command/io/run-command.ts';
import type { HookWord } from '../config/hook-word.ts';
import { loadKeys } from '../config/io/key.ts';
import { areSameKeys, type KeyIds, keyIds } from '../config/key-id.ts';
import { nodeView } from '../config/node.ts';
import type { ReloadWord } from '../config/reload-word.ts';
import type { Config } from '../config/schema.ts';
import type { DrainWord } from '../drain/drain-word.ts';
import type { ServerName } from '../drain/drains.ts';
import type { Snapshot } from '../feed/message.ts';
import type { Log } from '../log/log.ts';
import type { CheckWord } from '../nanny/check-word.ts';
import type { Verdict } from '../nanny/verdict.ts';
import type { SessionFilter } from '../status/sessions.ts';
import { STATUS_OFF, type SyncStatus } from '../status/sync-status.ts';
import type { Address } from '../units/address.ts';
import type { At } from '../units/duration.ts';
import { kernelSessions } from './kernel/io/kernel-sessions.ts';
import { createSyncKernel } from './kernel/io/sync-kernel.ts';
import type { EnsureResult } from './kernel/sync-kernel.ts';
import { createPeerLinks } from './link/io/peer-links.ts';
import { type DrainingServers, type Sessions, SyncLoop, type SyncParts } from './loop.ts';
import { createStore } from './store/io/session-store.ts';
import type { Id } from './stream/frame.ts';
import { scopeOf } from './table/scope.ts';
import type { ServerLoad } from './table/server-load.ts';
import { describeEntries } from './table/session-entries.ts';

export type { EnsureResult } from './kernel/sync-kernel.ts';
export type { ServerLoad } from './table/server-load.ts';

export interface ConnectionSync {
  /**
   * Puts the kernel's part into the wanted state; services must be in the kernel before. The first
   * call also brings back what the store holds, if this router's kernel and its peer have nothing.
   * Never rejects: problems are in the result.
   */
  ensure(): Promise<EnsureResult>;
  /** What configure() and ensure() would do, each a clause. */
  preview(config: Config): Promise<readonly string[]>;
  status(): SyncStatus;
  /** What ensure() found this kernel to do, by name. */
  found(): Readonly<Record<string, string>>;
  /** How long a change in the kernel may take until the peer has it, in ms; 0: nothing runs. */
  flushMs(): number;
  /** Clients with a template, by service; bounded, none when nothing runs. */
  clients(services: readonly string[]): ReadonlyMap<string, readonly Address[]>;
  /**
   * Who is connected: by what is followed or synced; where nothing is, by the kernel's table, which
   * is read while the slices are gone through.
   */
  sessions(filter: SessionFilter): Sessions;
  pulseSays(snapshot: Snapshot): void;
  verdicts(verdicts: readonly Verdict[]): void;
  /** For the peer: what the nannies here say of all servers. */
  tellChecks(words: readonly CheckWord[]): void;
  /** For the peer: what operators have decreed, as it is known here. */
  tellDrains(words: readonly DrainWord[]): void;
  /** Sessions and transfers on a real server of an FTP service; undefined: not known. */
  loadOf(name: ServerName): ServerLoad | undefined;
  /**
   * A word on a reload for the peer's director: true when it is sent, else why not, as a clause.
   */
  sayReload(word: ReloadWord): true | string;
  /** For the peer's hooks: a message on this has got through here. May be lost. */
  sayHookSent(word: HookWord): void;
  /**
   * Real servers that left the config but still have connections: their entries go on being synced.
   */
  draining(servers: DrainingServers): void;
  /** Takes a new config; what it does not touch goes on. */
  configure(config: Config): Promise<void>;
  /**
   * Goes over to the keys that pulse uses, if the key file has these and no others. Why not; empty:
   * it has.
   */
  takeKeys(inUse: KeyIds): string;
  /** Saves a last snapshot (bounded), closes links and children; leaves the kernel as it is. */
  close(): Promise<void>;
}

interface ConnectionSyncOptions {
  readonly config: Config;
  /** Name of this router. */
  readonly node: string;
  readonly stateDir: string;
  readonly log: Log;
  /** What the peer's nannies say of some servers: all of it again every CHECKS_EVERY_MS. */
  readonly onPeerChecks: (words: readonly CheckWord[]) => void;
  readonly onPeerReload: (word: ReloadWord) => void;
  /** What the peer knows of drains: all of it again every DRAINS_EVERY_MS. */
  readonly onPeerDrains: (words: readonly DrainWord[]) => void;
  readonly onPeerHookSent: (word: HookWord) => void;
  /** Monotonic. */
  readonly now: () => At;
}

const RESTARTS = 'starts anew, since its links, port or store change: cold until a resync';
const NOTHING: EnsureResult = { running: false, changes: [], problems: [], found: {} };

export function createConnectionSync(options: ConnectionSyncOptions): ConnectionSync {
  return new Sync(options);
}

class Sync implements ConnectionSync {
  readonly #options: ConnectionSyncOptions;
  readonly #instance = randomBytes(8).toString('hex') as Id;
  #config: Config;
  #loop: SyncLoop | undefined;
  /** Why there is no loop although there should be; '' otherwise. */
  #problem = '';
  #snapshot: Snapshot | undefined;
  #verdicts: readonly Verdict[] = [];
  #draining: DrainingServers = new Map();

  constructor(options: ConnectionSyncOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#open();
  }

  #open(): void {
    this.#problem = '';
    if (!isWanted(this.#config)) return;
    try {
      this.#loop = new SyncLoop(this.#config, this.#parts());
    } catch (error) {
      this.#problem = `the connection sync cannot start: ${(error as Error).message}`;
      return;
    }
    if (this.#snapshot) this.#loop.pulseSays(this.#snapshot);
    this.#loop.verdicts(this.#verdicts);
  }

  #parts(): SyncParts {
    const { node, log, now } = this.#options;
    const config = this.#config;
    const view = nodeView(config, node);
    const keys = loadKeys(config.heartbeat.key_file);
    return {
      node: view.nodeId,
      nodeName: node,
      peerName: view.peer,
      instance: this.#instance,
      kernelRelease: release(),
      keys,
      openKernel: (scope, listener) => createSyncKernel({ scope }, listener),
      openLinks: listener => createPeerLinks({ pair: config.pair, view, port: config.sync.port, keys }, listener),
      openStore: () => createStore(config, this.#options.stateDir),
      onEvent: (code, fields) => log.event(code, fields),
      onPeerChecks: words => this.#options.onPeerChecks(words),
      onPeerReload: word => this.#options.onPeerReload(word),
      onPeerDrains: words => this.#options.onPeerDrains(words),
      onPeerHookSent: word => this.#options.onPeerHookSent(word),
      now,
      wallMs: Date.now,
    };
  }

  async ensure(): Promise<EnsureResult> {
    if (this.#loop) return this.#loop.ensure();
    return this.#problem === '' ? NOTHING : { ...NOTHING, problems: [this.#problem] };
  }

  async preview(config: Config): Promise<readonly string[]> {
    if (!this.#standsOn(config)) return [isWanted(config) ? RESTARTS : 'ends: without services or sync.enabled'];
    return (await this.#loop?.preview()) ?? [];
  }

  /** Whether the loop can go on with it. */
  #standsOn(config: Config): boolean {
    return groundOf(config, this.#options.node) === groundOf(this.#config, this.#options.node);
  }

  status(): SyncStatus {
    if (this.#loop) return this.#loop.status();
    if (this.#problem === '') return STATUS_OFF;
    return { ...STATUS_OFF, phase: 'waiting', warm: false, problems: [this.#problem] };
  }

  found(): Readonly<Record<string, string>> {
    return this.#loop?.found() ?? {};
  }

  flushMs(): number {
    return this.#loop?.flushMs() ?? 0;
  }

  pulseSays(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#loop?.pulseSays(snapshot);
  }

  verdicts(verdicts: readonly Verdict[]): void {
    this.#verdicts = verdicts;
    this.#loop?.verdicts(verdicts);
  }

  tellChecks(words: readonly CheckWord[]): void {
    this.#loop?.tellChecks(words);
  }

  sayReload(word: ReloadWord): true | string {
    if (this.#loop) return this.#loop.sayReload(word);
    return this.#problem === '' ? 'the connection sync is off (sync.enabled, or no services)' : this.#problem;
  }

  sayHookSent(word: HookWord): void {
    this.#loop?.sayHookSent(word);
  }

  tellDrains(words: readonly DrainWord[]): void {
    this.#loop?.tellDrains(words);
  }

  loadOf(name: ServerName): ServerLoad | undefined {
    return this.#loop?.loadOf(name);
  }

  draining(servers: DrainingServers): void {
    this.#draining = servers;
    this.#loop?.draining(servers);
  }

  clients(services: readonly string[]): ReadonlyMap<string, readonly Address[]> {
    return this.#loop?.clients(services) ?? new Map();
  }

  sessions(filter: SessionFilter): Sessions {
    const followed = this.#loop?.sessions(filter);
    if (followed !== undefined) return followed;
    const scope = scopeOf(this.#config, this.#draining);
    return {
      from: 'kernel',
      whole: true,
      slices: kernelSessions(run, scope, describeEntries(this.#config, scope, filter)),
    };
  }

  async configure(config: Config): Promise<void> {
    const same = this.#standsOn(config);
    this.#config = config;
    if (same && this.#loop) {
      return this.#loop.configure(config);
    }
    await this.#close('the config has changed');
    this.#open();
  }

  takeKeys(inUse: KeyIds): string {
    try {
      const { key_file: file } = this.#config.heartbeat;
      const keys = loadKeys(file);
      if (!areSameKeys(keyIds(keys), inUse)) return `${file} has other keys than pulse uses`;
      this.#loop?.takeKeys(keys);
      return '';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #close(why: string): Promise<void> {
    const loop = this.#loop;
    this.#loop = undefined;
    await loop?.close(why);
  }

  close(): Promise<void> {
    return this.#close('the director stops');
  }
}

/** Without services there are no connections of ours. */
function isWanted({ sync, services }: Config): boolean {
  return sync.enabled && Object.keys(services).length > 0;
}

/** What a loop stands on for its whole life; services and servers are not part of it. */
function groundOf(config: Config, node: string): string {
  const { links, nodeId } = nodeView(config, node);
  return JSON.stringify([isWanted(config), config.pair, config.sync, config.heartbeat.key_file, links, nodeId]);
}
