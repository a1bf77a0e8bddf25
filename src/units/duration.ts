// Durations as people write them in the config ("50ms", "2s", "10m") and as the code carries them:
// branded numbers of milliseconds. Pure.

/** A length of time in milliseconds. */
export type Ms = number & { readonly __unit: 'ms' };

/**
 * An instant on the monotonic clock (CLOCK_MONOTONIC), in milliseconds with a fraction. Never wall
 * time.
 */
export type At = number & { readonly __unit: 'monotonic ms' };

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** How a duration must be written, for error messages. */
export const DURATION_SYNTAX = 'a number and a unit: 50ms, 2s, 10m, 1h, 1d';

export function ms(n: number): Ms {
  return n as Ms;
}

/** The instant `later` milliseconds after `at`. */
export function after(at: At, later: Ms): At {
  return (at + later) as At;
}

/** Milliseconds from `from` to `to`; negative when `to` is earlier. */
export function between(from: At, to: At): Ms {
  return (to - from) as Ms;
}

/** Reads "50ms", "1.5s", "10m"; undefined when the text is not a duration. */
export function parseDuration(text: string): Ms | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (!match) return undefined;
  const [, amount, unit] = match;
  return ms(Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]);
}

/** Writes a duration in the largest unit that keeps it whole: 2000 becomes "2s", 1500 "1500ms". */
export function formatDuration(duration: Ms): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (duration >= UNIT_MS[unit] && duration % UNIT_MS[unit] === 0) return `${duration / UNIT_MS[unit]}${unit}`;
  }
  return `${duration}ms`;
}
