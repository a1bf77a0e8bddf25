// What the sync needs of the world, as interfaces: implemented in io/, modelled in tests. Pure (types).
import type { Address } from '../units/address.ts';
import type { Entry } from './entry.ts';

/** The kernel's side: private interface, daemons, event stream, injection, table. */
export interface SyncKernel {
  /**
   * Puts interface, daemons and buffers into the wanted state; services must be in the kernel before. Never rejects. The first call
   * also tries out what this kernel does (injection, expiry) instead of assuming it.
   */
  ensure(): Promise<EnsureResult>;
  /** What ensure() would do, each a clause. */
  preview(): Promise<readonly string[]>;
  /**
   * Puts entries into this router's own kernel, in their order, no faster than it takes them. Resolves when all have been read by
   * the kernel; `dropped` counts those the kernel lost (send them again).
   */
  inject(entries: readonly Entry[]): Promise<{ readonly dropped: number }>;
  /** The kernel's whole table by /proc/net/ip_vs_conn (slow when large: quadratic), only entries in scope. `timeoutS` is what is left. */
  readTable(): Promise<readonly Entry[]>;
  /** Templates and connections by real server, from IPVS's own counters: cheap at any size. */
  readCounts(): Promise<readonly ServerEntryCounts[]>;
  /** Data connections of active mode, which only conntrack knows, as entries. */
  readActiveData(): Promise<readonly Entry[]>;
  /** Losses so far, by counter name. */
  counters(): Readonly<Record<string, number>>;
  /** Stops listeners and children; leaves the kernel as it is. */
  close(): Promise<void>;
}

export interface SyncKernelListener {
  /** Entries the kernel's master daemon reported (full time-outs), or that conntrack told earlier. Only those in scope. */
  entries(entries: readonly Entry[]): void;
  /** Events were lost: the table must be read. `what` for the log. */
  lost(what: string): void;
}

export interface EnsureResult {
  /** Injection and event stream both work. */
  readonly running: boolean;
  /** What was done just now, each a clause. */
  readonly changes: readonly string[];
  /** Each a sentence that says what to do. */
  readonly problems: readonly string[];
  /** What this kernel was found to do, by name, for the log and the status. */
  readonly found: Readonly<Record<string, string>>;
}

export interface ServerEntryCounts {
  readonly mark: number;
  readonly server: Address;
  readonly templates: number;
  readonly connections: number;
}

/** Authenticated, encrypted, ordered links to the peer's director: one for each heartbeat link, whoever connected. */
export interface PeerLinks {
  /**
   * Sends one frame on link `index`; false when the link is down or its queue is over its bound (the frame was not queued).
   */
  send(index: number, frame: Buffer): boolean;
  states(): readonly { readonly lan: string; readonly connected: boolean; readonly queuedBytes: number }[];
  /** Takes new links and keys into use after a reload. */
  close(): Promise<void>;
}

export interface PeerLinksListener {
  up(index: number): void;
  down(index: number, why: string): void;
  /** One whole frame, at most FRAME_BYTES_MAX. */
  frame(index: number, frame: Buffer): void;
}

/** Where snapshots are kept. Never blocks the caller's loop; one save at a time. */
export interface SnapshotStore {
  readonly type: 'file' | 'redis';
  /** Rejects with a sentence that says what is wrong; the snapshot before it stays whole. */
  save(snapshot: Buffer): Promise<void>;
  /** Newest first, at most a few; [] when there is none. Rejects when the store cannot be read. */
  load(): Promise<readonly Buffer[]>;
  /** Keeps a damaged snapshot (one that load gave) for people to look at, out of the way of the next load; tells where. */
  setAside(snapshot: Buffer, why: string): Promise<string>;
  close(): Promise<void>;
}
