// Epochs: every term of ownership has a larger one. Ordered by counter, then node. Pure.

/**
 * One term of ownership: `counter` grows for ever, `node` (1 or 2) tells two routers' equal
 * counters apart.
 */
export interface Epoch {
  readonly counter: number;
  readonly node: number;
}

/**
 * Highest counter that is taken from the outside: far more than any pair can use, and far enough
 * below the wire's 48 bits that counting on from it never runs over them.
 */
export const EPOCH_COUNTER_MAX = 2 ** 47;
/** Epoch counters that pulse reserves on disk at a time. */
export const EPOCH_BLOCK = 1_000;

export const EPOCH_NONE: Epoch = { counter: 0, node: 0 };

/** Negative when `a` is older than `b`, 0 when equal, positive when newer. */
export function compareEpochs(a: Epoch, b: Epoch): number {
  return a.counter - b.counter || a.node - b.node;
}

export function newerEpoch(a: Epoch, b: Epoch): Epoch {
  return compareEpochs(a, b) >= 0 ? a : b;
}

export function formatEpoch(epoch: Epoch): string {
  return `${epoch.counter}.${epoch.node}`;
}

/** Reads "counter.node"; undefined when it is not one. */
export function parseEpoch(text: string): Epoch | undefined {
  const match = /^(\d{1,15})\.(\d{1,3})$/.exec(text);
  const counter = Number(match?.[1]);
  return match && counter <= EPOCH_COUNTER_MAX ? { counter, node: Number(match[2]) } : undefined;
}
