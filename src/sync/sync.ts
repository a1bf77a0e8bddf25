// The seam between the director and the connection sync (loop.ts). Pure (types).
import type { Config } from '../config/schema.ts';
import type { Snapshot } from '../feed/message.ts';
import type { Verdict } from '../nanny/verdict.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import type { EnsureResult } from './kernel/sync-kernel.ts';
import type { DrainingServers } from './loop.ts';

export interface ConnectionSync {
  /**
   * Puts the kernel's part into the wanted state; services must be in the kernel before. The first call also brings back what the
   * store holds, if this router's kernel and its peer have nothing. Never rejects: problems are in the result.
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
  /** Real servers that left the config but still have connections: their entries go on being synced. */
  draining(servers: DrainingServers): void;
  /** Takes a new config; what it does not touch goes on. */
  configure(config: Config): Promise<void>;
  /** Saves a last snapshot (bounded), closes links and children; leaves the kernel as it is. */
  close(): Promise<void>;
}
