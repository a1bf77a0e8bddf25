// What a fuzz target is. A target throws when something came out that must not; what it refuses it refuses in silence.

export interface Target {
  readonly name: string;
  /** What is fed, and what must hold. */
  readonly says: string;
  /** Source files whose coverage guides it, below the root: `src/pulse/heartbeat.ts`. */
  readonly files: readonly string[];
  readonly words?: readonly string[];
  readonly bytesMax: number;
  /** Loads the code under test: after coverage has begun. */
  load(): Promise<Loaded>;
}

export interface Loaded {
  /** Good inputs to begin with. */
  readonly seeds: readonly Buffer[];
  /** One input. */
  run(input: Buffer): void | Promise<void>;
  /** Looks, now and then, at what only shows after many inputs. */
  settle?(): Promise<void>;
  close?(): Promise<void>;
}

/** Throws when `condition` does not hold. */
export function insist(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
