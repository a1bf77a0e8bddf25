// Where a command's answer goes, and the clock it reads: the only way commands touch the process.
import { once } from 'node:events';

export interface Terminal {
  /** The answer: stdout. */
  out(text: string): void;
  /** Progress and errors: stderr. */
  err(text: string): void;
  /** Whether stdout is a person's screen. */
  readonly screen: boolean;
  /** Whether stdout may have colours: a screen, and NO_COLOR (no-color.org) is not set. */
  readonly colour: boolean;
  /** Wall time, ms since 1970. */
  now(): number;
  /** Resolves after `ms`, or at once when the user presses Ctrl-C; false then. */
  pause(ms: number): Promise<boolean>;
}

export function processTerminal(): Terminal {
  const screen = process.stdout.isTTY === true;
  // A reader that closes early (`tandem why | head -1`) is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    screen,
    colour: screen && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
    now: Date.now,
    pause,
  };
}

async function pause(ms: number): Promise<boolean> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ms);
  try {
    await once(process, 'SIGINT', { signal: abort.signal });
    return false;
  } catch {
    return true;
  } finally {
    clearTimeout(timer);
  }
}
