// What pulse remembers across its own restarts: the reserved epoch counters, a hold, the last role
// decisions. Written in the background, atomically and fsync'ed, newest state only: a claim never
// waits for a disk. The file ends with a checksum, so that a flipped bit is noticed, and is kept
// twice, so that a damaged one costs nothing.

import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import * as realDisk from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { decisionSchema, HOLD_MS_MAX } from '../../feed/message.ts';
import { EPOCH_BLOCK, EPOCH_COUNTER_MAX } from '../../units/epoch.ts';
import { monotonicNow } from '../../units/io/clocks.ts';

const BYTES_MAX = 1_048_576;
/** A disk that was full is tried again at this pace, and told of at the other. */
const RETRY_MS = 5_000;
const TELL_AGAIN_MS = 60_000;

/** The last instant that a Date can hold. */
const WALL_MS_MAX = 8.64e15;

const stateSchema = z.object({
  version: z.literal(2),
  /** Epoch counters up to here may have been used. */
  ceiling: z
    .int()
    .min(0)
    .max(2 * EPOCH_COUNTER_MAX),
  hold: z.object({
    on: z.boolean(),
    /** Wall time in ms since 1970, which is all that 0.3 reads; null: until released. */
    until: z.number().max(WALL_MS_MAX).nullable(),
    /** What was left of one with an end, when that was, and in which boot of the kernel. */
    left: z
      .object({ ms: z.number().min(0).max(HOLD_MS_MAX), boot: z.string().max(64), atMs: z.number().min(0) })
      .optional(),
  }),
  decisions: z.array(decisionSchema).max(64),
});
export type PulseState = Omit<z.output<typeof stateSchema>, 'version'>;

export const NO_STATE: PulseState = { ceiling: 0, hold: { on: false, until: null }, decisions: [] };

/**
 * No life may begin below this: milliseconds since 2020 grow faster than failovers, and a start
 * reserves a second's worth of them. So a state file that is lost, restored from a backup, or could
 * not be written for long, does not bring used epochs back.
 */
export function safeCeiling(wallMs: number): number {
  return Math.min(EPOCH_COUNTER_MAX / 2, Math.max(0, Math.floor(wallMs - Date.UTC(2020, 0, 1))));
}

type ReadState =
  | { readonly ok: true; readonly state: PulseState; readonly found: boolean; readonly writtenMs: number }
  /** Damaged; it has been renamed to `path`.damaged. `state` is the copy's. */
  | {
      readonly ok: false;
      readonly problem: string;
      readonly state: PulseState | undefined;
      readonly writtenMs: number;
    };

/**
 * What an earlier life left at `path`, or in its copy. `writtenMs`: the newest time stamp found
 * there (ms since 1970), which a wall clock that has lost its battery does not know. Never throws.
 */
export function readState(path: string): ReadState {
  const writtenMs = Math.max(...[path, copyOf(path), dirname(path)].map(modifiedMs));
  const main = readOne(path);
  const copy = readOne(copyOf(path));
  if (main.ok) {
    const ceiling = Math.max(main.state.ceiling, copy.ok ? copy.state.ceiling : 0);
    return { ok: true, state: { ...main.state, ceiling }, found: true, writtenMs };
  }
  if (main.code === 'ENOENT' && !copy.ok && copy.code === 'ENOENT')
    return { ok: true, state: NO_STATE, found: false, writtenMs };
  if (main.code !== 'ENOENT') setAside(path);
  if (!copy.ok) return { ok: false, problem: main.problem, state: undefined, writtenMs };
  // The copy is written after the file: what was damaged may have been one block further.
  const ceiling = Math.min(EPOCH_COUNTER_MAX, copy.state.ceiling + EPOCH_BLOCK);
  return { ok: false, problem: `${main.problem}; its copy is used`, state: { ...copy.state, ceiling }, writtenMs };
}

/**
 * What a new life begins with, at wall time `wallMs`: no epoch above its ceiling can have been used
 * before.
 */
export function beginWith(read: ReadState, wallMs: number): PulseState {
  const state = read.state ?? NO_STATE;
  return { ...state, ceiling: Math.max(state.ceiling, safeCeiling(Math.max(wallMs, read.writtenMs))) };
}

function copyOf(path: string): string {
  return `${path}.copy`;
}

function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

type ReadOne =
  | { readonly ok: true; readonly state: PulseState }
  | { readonly ok: false; readonly problem: string; readonly code: string };

function readOne(path: string): ReadOne {
  try {
    return { ok: true, state: parseState(readBounded(path)) };
  } catch (error) {
    const problem = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    return { ok: false, problem, code: (error as NodeJS.ErrnoException).code ?? 'damaged' };
  }
}

function readBounded(path: string): Buffer {
  // Non-blocking, so that a pipe in its place cannot hang us.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const info = fstatSync(fd);
    if (!info.isFile()) throw new Error('it is not a regular file');
    if (info.size > BYTES_MAX) throw new RangeError(`longer than ${BYTES_MAX} bytes`);
    const bytes = Buffer.alloc(info.size);
    return bytes.subarray(0, readSync(fd, bytes, 0, info.size, 0));
  } finally {
    closeSync(fd);
  }
}

const SUM = /,"sum":"([0-9a-f]{64})"}\n$/;

/** The file's text: JSON whose last field is the SHA-256 of all that stands before it. */
export function renderState({ ceiling, hold, decisions }: PulseState): string {
  const body = JSON.stringify({ version: 2, ceiling, hold, decisions }).slice(0, -1);
  return `${body},"sum":"${sumOf(Buffer.from(body))}"}\n`;
}

function sumOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Reads the file's bytes. Throws when anything about them is not as it was written. */
export function parseState(bytes: Buffer): PulseState {
  const text = bytes.toString('latin1');
  const sum = SUM.exec(text);
  if (!sum) throw new Error('its checksum is missing');
  if (sumOf(bytes.subarray(0, sum.index)) !== sum[1]) throw new Error('its checksum is wrong');
  const { version: _, ...state } = stateSchema.parse(JSON.parse(bytes.toString('utf8')));
  return state;
}

function setAside(path: string): void {
  try {
    renameSync(path, `${path}.damaged`);
  } catch {
    // It stays where it is and is overwritten by the next write; the caller reports the damage
    // either way.
  }
}

export interface StateFile {
  /**
   * Schedules a write of `state`; a newer one replaces it if the disk is slower. What failed is
   * tried again.
   */
  write(state: PulseState): void;
  /** Resolves when nothing is being written, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

/**
 * The part of node:fs/promises that a write needs; a test puts a disk that loses power in its
 * place.
 */
export type Disk = Pick<typeof realDisk, 'mkdir' | 'open' | 'rename'>;

export function stateFile(path: string, onTrouble: (problem: string) => void, disk: Disk = realDisk): StateFile {
  let next: PulseState | undefined;
  let writing: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  const told = { problem: '', at: -Infinity };

  const tell = (problem: string) => {
    if (problem === told.problem && monotonicNow() - told.at < TELL_AGAIN_MS) return;
    Object.assign(told, { problem, at: monotonicNow() });
    onTrouble(problem);
  };
  const drain = async () => {
    while (next) {
      const state = next;
      next = undefined;
      try {
        await writeTwice(disk, path, renderState(state));
        told.problem = '';
      } catch (error) {
        tell((error as Error).message);
        next ??= state;
        retry = setTimeout(start, RETRY_MS).unref();
        break;
      }
    }
    writing = undefined;
  };
  const start = () => {
    clearTimeout(retry);
    writing ??= drain();
  };
  return {
    write(state) {
      next = state;
      start();
    },
    async flush(timeoutMs) {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>(done => {
        timer = setTimeout(done, timeoutMs);
      });
      await Promise.race([writing ?? Promise.resolve(), limit]);
      clearTimeout(timer);
    },
  };
}

async function writeTwice(disk: Disk, path: string, text: string): Promise<void> {
  await makeDirectory(disk, resolve(dirname(path)));
  await writeAtomically(disk, path, text);
  await writeAtomically(disk, copyOf(path), text);
}

/** A directory that was just made is on disk once its parent is. */
async function makeDirectory(disk: Disk, directory: string): Promise<void> {
  const first = await disk.mkdir(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = directory; made !== dirname(made); made = dirname(made)) {
    await syncDirectory(disk, dirname(made));
    if (made === resolve(first)) return;
  }
}

/**
 * Temporary file, fsync, rename, fsync of the directory: after a power loss either the old or the
 * new content is there.
 */
async function writeAtomically(disk: Disk, path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await disk.open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await syncDirectory(disk, dirname(path));
}

async function syncDirectory(disk: Disk, directory: string): Promise<void> {
  const entry = await disk.open(directory, 'r');
  try {
    await entry.sync();
  } finally {
    await entry.close();
  }
}
