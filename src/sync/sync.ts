// The connection sync as the director has it, and the only door to this folder: a loop for the
// config in use, another one when a reload changes what it stands on (links, keys, port, store),
// none when it is switched off. Not pure: real parts, random ids, clocks.
import { randomBytes } from 'node:crypto';
import { release } from 'node:os';
import { loadKeys } from '../config/io/key.ts';
import { nodeView } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import type { Snapshot } from '../feed/message.ts';
import type { Log } from '../log/log.ts';
import type { Verdict } from '../nanny/verdict.ts';
import { STATUS_OFF, type SyncStatus } from '../status/sync-status.ts';
import type { At } from '../units/duration.ts';
import { createSyncKernel } from './kernel/io/sync-kernel.ts';
import type { EnsureResult } from './kernel/sync-kernel.ts';
import { createPeerLinks } from './link/io/peer-links.ts';
import { type DrainingServers, SyncLoop, type SyncParts } from './loop.ts';
import { createStore } from './store/io/session-store.ts';
import type { Id } from './stream/frame.ts';

export type { EnsureResult } from './kernel/sync-kernel.ts';

export interface ConnectionSync {
  /**
   * Puts the kernel's part into the wanted state; services must be in the kernel before. The first
   * call also brings back what the store holds, if this router's kernel and its peer have nothing.
   * Never rejects: problems are in the result.
   */
  ensure(): Promise<EnsureResult>;
  /** What ensure() would do, each a clause. */
  preview(): Promise<readonly string[]>;
  status(): SyncStatus;
  /** What ensure() found this kernel to do, by name. */
  found(): Readonly<Record<string, string>>;
  /** How long a change in the kernel may take until the peer has it, in ms; 0: nothing runs. */
  flushMs(): number;
  pulseSays(snapshot: Snapshot): void;
  verdicts(verdicts: readonly Verdict[]): void;
  /**
   * Real servers that left the config but still have connections: their entries go on being synced.
   */
  draining(servers: DrainingServers): void;
  /** Takes a new config; what it does not touch goes on. */
  configure(config: Config): Promise<void>;
  /** Saves a last snapshot (bounded), closes links and children; leaves the kernel as it is. */
  close(): Promise<void>;
}

interface ConnectionSyncOptions {
  readonly config: Config;
  /** Name of this router. */
  readonly node: string;
  readonly stateDir: string;
  readonly log: Log;
  /** Monotonic. */
  readonly now: () => At;
}

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
      keys: keys.accept,
      openKernel: (scope, listener) => createSyncKernel({ scope }, listener),
      openLinks: listener => createPeerLinks({ pair: config.pair, view, port: config.sync.port, keys }, listener),
      openStore: () => createStore(config, this.#options.stateDir),
      onEvent: (code, fields) => log.event(code, fields),
      now,
      wallMs: Date.now,
    };
  }

  async ensure(): Promise<EnsureResult> {
    if (this.#loop) return this.#loop.ensure();
    return this.#problem === '' ? NOTHING : { ...NOTHING, problems: [this.#problem] };
  }

  preview(): Promise<readonly string[]> {
    return this.#loop?.preview() ?? Promise.resolve([]);
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

  draining(servers: DrainingServers): void {
    this.#loop?.draining(servers);
  }

  async configure(config: Config): Promise<void> {
    const same = groundOf(config, this.#options.node) === groundOf(this.#config, this.#options.node);
    this.#config = config;
    // The key file may have changed under the same name: the operator's reload is when it is read
    // again.
    if (same && this.#loop && this.#keysAreSame()) return this.#loop.configure(config);
    await this.#close('the config has changed');
    this.#open();
  }

  #keysAreSame(): boolean {
    try {
      const { accept } = loadKeys(this.#config.heartbeat.key_file);
      return this.#loop?.hasKeys(accept) === true;
    } catch {
      // What cannot be read now is no reason to give up what works.
      return true;
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
