// What pulse remembers across its own restarts: the reserved epoch counters, a hold, the last role decisions. Written in the
// background, atomically and fsync'ed, newest state only: a claim never waits for a disk.
import { readFileSync, renameSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { decisionSchema } from '../../feed/message.ts';

const BYTES_MAX = 1_048_576;

const stateSchema = z.object({
  version: z.literal(1),
  /** Epoch counters up to here may have been used. */
  ceiling: z.int().min(0),
  /** until: wall time in ms since 1970; null: until released. */
  hold: z.object({ on: z.boolean(), until: z.number().nullable() }),
  decisions: z.array(decisionSchema).max(64),
});
export type PulseState = z.output<typeof stateSchema>;

export const NO_STATE: PulseState = { version: 1, ceiling: 0, hold: { on: false, until: null }, decisions: [] };

/** A start without readable state must not reuse epochs: minutes since 2020 grow faster than failovers. */
export function safeCeiling(wallMs: number): number {
  return Math.max(0, Math.floor((wallMs - Date.UTC(2020, 0, 1)) / 60_000));
}

export type ReadState =
  | { readonly ok: true; readonly state: PulseState; readonly found: boolean }
  /** Damaged; it has been renamed to `path`.damaged. */
  | { readonly ok: false; readonly problem: string };

export function readState(path: string): ReadState {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { ok: true, state: NO_STATE, found: false };
    return { ok: false, problem: (error as Error).message };
  }
  try {
    if (text.length > BYTES_MAX) throw new RangeError(`longer than ${BYTES_MAX} bytes`);
    return { ok: true, state: stateSchema.parse(JSON.parse(text)), found: true };
  } catch (error) {
    setAside(path);
    return { ok: false, problem: error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message };
  }
}

function setAside(path: string): void {
  try {
    renameSync(path, `${path}.damaged`);
  } catch {
    // It stays where it is and is overwritten by the next write; the caller reports the damage either way.
  }
}

export interface StateFile {
  /** Schedules a write of `state`; a newer one replaces it if the disk is slower. */
  write(state: PulseState): void;
  /** Resolves when nothing is left to write, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

export function stateFile(path: string, onTrouble: (problem: string) => void): StateFile {
  let next: PulseState | undefined;
  let writing: Promise<void> | undefined;
  const drain = async () => {
    while (next) {
      const state = next;
      next = undefined;
      await writeAtomically(path, JSON.stringify(state)).catch((error: Error) => onTrouble(error.message));
    }
    writing = undefined;
  };
  return {
    write(state) {
      next = state;
      writing ??= drain();
    },
    async flush(timeoutMs) {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>(resolve => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([writing ?? Promise.resolve(), limit]);
      clearTimeout(timer);
    },
  };
}

/** Temporary file, fsync, rename, fsync of the directory: after a power loss either the old or the new content is there. */
async function writeAtomically(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const entry = await open(directory, 'r');
  try {
    await entry.sync();
  } finally {
    await entry.close();
  }
}
