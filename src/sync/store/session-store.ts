// What the sync needs of a store, as an interface: a file or Redis in io/, a model in tests.
// Pure (types).

/** Where snapshots are kept. Never blocks the caller's loop; one save at a time. */
export interface SessionStore {
  readonly type: 'file' | 'redis';
  /** Rejects with a sentence that says what is wrong; the snapshot before it stays whole. */
  save(snapshot: Buffer): Promise<void>;
  /** Newest first, at most a few; [] when there is none. Rejects when the store cannot be read. */
  load(): Promise<readonly Buffer[]>;
  /**
   * Keeps a damaged snapshot (one that load gave) for people to look at, out of the way of the next
   * load; tells where.
   */
  setAside(snapshot: Buffer, why: string): Promise<string>;
  close(): Promise<void>;
}
