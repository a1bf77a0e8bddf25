// What the sync needs of this router's kernel, as an interface: implemented in io/, modelled in
// tests. Pure (types).
import type { Entry, ServerEntryCounts } from '../table/entry.ts';

/** The kernel's side: private interface, daemons, event stream, injection, table. */
export interface SyncKernel {
  /**
   * Puts interface, daemons and buffers into the wanted state; services must be in the kernel
   * before. Never rejects. The first call also tries out what this kernel does (injection, expiry)
   * instead of assuming it. Whether injected entries go in time is known seconds later, and in what
   * the next call finds.
   */
  ensure(): Promise<EnsureResult>;
  /** What ensure() would do, each a clause. */
  preview(): Promise<readonly string[]>;
  /**
   * Puts entries into this router's own kernel, in their order, no faster than it takes them.
   * Resolves when all have been read by the kernel; `dropped` counts those the kernel lost (send
   * them again).
   */
  inject(entries: readonly Entry[]): Promise<{ readonly dropped: number }>;
  /**
   * The kernel's whole table by /proc/net/ip_vs_conn (slow when large: quadratic), only entries in
   * scope. `timeoutS` is what is left.
   */
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
  /**
   * Entries the kernel's master daemon reported (full time-outs), or that conntrack told earlier.
   * Only those in scope.
   */
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
