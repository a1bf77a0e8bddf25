// How a transfer got on, kept as it goes: bytes so far and the longest time without any. Pure; times are arguments, in ms.

export interface Progress {
  readonly bytes: number;
  /** When the first byte came; undefined before it. */
  readonly firstAt: number | undefined;
  /** When the last byte came. */
  readonly lastAt: number;
  readonly stallMs: number;
  /** When the longest stall began; undefined while there was none. */
  readonly stallAt: number | undefined;
}

export const NO_PROGRESS: Progress = { bytes: 0, firstAt: undefined, lastAt: 0, stallMs: 0, stallAt: undefined };

/** The progress after `bytes` in total have been seen at `at`. Waiting for the first byte is no stall: nothing ran yet. */
export function advance(progress: Progress, at: number, bytes: number): Progress {
  if (bytes <= progress.bytes) return progress;
  if (progress.firstAt === undefined) return { ...progress, bytes, firstAt: at, lastAt: at };
  const gap = at - progress.lastAt;
  const longest = gap > progress.stallMs ? { stallMs: gap, stallAt: progress.lastAt } : {};
  return { ...progress, ...longest, bytes, lastAt: at };
}

/** The same progress, its stalls so far forgotten; the time since the last byte still counts once the next one comes. */
export function withoutStalls(progress: Progress): Progress {
  return { ...progress, stallMs: 0, stallAt: undefined };
}
