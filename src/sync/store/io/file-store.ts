// Snapshots in a file: written beside, fsync'ed and renamed, so that a power loss at any moment
// leaves a whole one; the one before it is kept as PATH.1 for the day the newest is damaged. Files
// are root-only. Not pure: the disk, by Node's threads, never the loop.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SAVED_BYTES_MAX } from '../saved-sessions.ts';
import type { SessionStore } from '../session-store.ts';
import { StoreError } from '../store-error.ts';

const MODE = 0o600;
const PIECE_BYTES = 1_048_576;
/** Damaged snapshots kept for people to look at. */
const SET_ASIDE_MAX = 3;

/** The store in `path`; its directory is made when it is not there. */
export function createFileStore(path: string, now: () => number = Date.now): SessionStore {
  return new FileStore(path, now);
}

class FileStore implements SessionStore {
  readonly type = 'file';
  readonly #path: string;
  readonly #now: () => number;
  /** Which file each loaded snapshot came from. */
  readonly #loaded = new WeakMap<Buffer, string>();
  #saving: Promise<void> | undefined;

  constructor(path: string, now: () => number) {
    this.#path = path;
    this.#now = now;
  }

  save(snapshot: Buffer): Promise<void> {
    if (this.#saving !== undefined) return Promise.reject(new RangeError('one save at a time'));
    this.#saving = this.#write(snapshot).finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #write(snapshot: Buffer): Promise<void> {
    if (snapshot.length > SAVED_BYTES_MAX) throw tooLarge(this.#path, snapshot.length);
    const temporary = `${this.#path}.new`;
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      // Not opened as it is: a leftover may have another mode, or be something else than a file.
      await rm(temporary, { force: true });
      const file = await open(temporary, 'wx', MODE);
      try {
        await writeAll(file, snapshot);
        await file.sync();
      } finally {
        await file.close();
      }
      // Between these two only the one before is there, which load() finds.
      await renameIfThere(this.#path, `${this.#path}.1`);
      await rename(temporary, this.#path);
      await syncDirectory(dirname(this.#path));
    } catch (error) {
      // Best effort: half a snapshot on a full disk is in the way of everybody.
      await rm(temporary, { force: true }).catch(() => undefined);
      throw explain(this.#path, error as NodeJS.ErrnoException, 'written');
    }
  }

  async load(): Promise<readonly Buffer[]> {
    await rm(`${this.#path}.new`, { force: true }).catch(() => undefined);
    const found: Buffer[] = [];
    let trouble: unknown;
    for (const path of [this.#path, `${this.#path}.1`]) {
      try {
        const snapshot = await readBounded(path);
        if (!snapshot) continue;
        this.#loaded.set(snapshot, path);
        found.push(snapshot);
      } catch (error) {
        trouble ??= error instanceof StoreError ? error : explain(path, error as NodeJS.ErrnoException, 'read');
      }
    }
    // One that can be read is worth more than the news that the other cannot.
    if (found.length === 0 && trouble !== undefined) throw trouble;
    return found;
  }

  async setAside(snapshot: Buffer): Promise<string> {
    const path = this.#loaded.get(snapshot);
    if (path === undefined) throw new RangeError('not a snapshot that load() gave');
    const time = new Date(this.#now()).toISOString().replaceAll(':', '-');
    const target = `${path}.damaged-${time}`;
    try {
      await rename(path, target);
      await this.#forgetOldest();
    } catch (error) {
      throw explain(path, error as NodeJS.ErrnoException, 'set aside');
    }
    return target;
  }

  async #forgetOldest(): Promise<void> {
    const directory = dirname(this.#path);
    const stem = basename(this.#path);
    const marker = '.damaged-';
    const aside = (await readdir(directory))
      .filter(name => name.startsWith(`${stem}${marker}`) || name.startsWith(`${stem}.1${marker}`))
      .sort((a, b) => (a.slice(a.indexOf(marker)) < b.slice(b.indexOf(marker)) ? 1 : -1));
    for (const name of aside.slice(SET_ASIDE_MAX)) await rm(join(directory, name), { force: true });
  }

  async close(): Promise<void> {
    await this.#saving?.catch(() => undefined);
  }
}

async function writeAll(file: FileHandle, snapshot: Buffer): Promise<void> {
  let at = 0;
  while (at < snapshot.length) {
    const { bytesWritten } = await file.write(snapshot, at, Math.min(PIECE_BYTES, snapshot.length - at));
    at += bytesWritten;
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A rename is on the disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The file, at most SAVED_BYTES_MAX; undefined when there is none. */
async function readBounded(path: string): Promise<Buffer | undefined> {
  let file: FileHandle;
  try {
    // Non-blocking, so that a pipe in the place of the file cannot hang a thread.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = await regularFile(file, path);
    const buffer = Buffer.allocUnsafe(size);
    let length = 0;
    while (length < size) {
      const { bytesRead } = await file.read(buffer, length, Math.min(PIECE_BYTES, size - length), length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await file.close();
  }
}

async function regularFile(file: FileHandle, path: string): Promise<{ size: number }> {
  const stats = await file.stat();
  if (!stats.isFile()) throw new StoreError('unreadable', `${path} is not a regular file; remove it`);
  if (stats.size > SAVED_BYTES_MAX) throw tooLarge(path, stats.size);
  return stats;
}

function tooLarge(path: string, bytes: number): StoreError {
  return new StoreError('too-large', `${path}: ${bytes} bytes are more than a snapshot may have (${SAVED_BYTES_MAX})`);
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the quota is used up: raise it or free some space',
  EROFS: 'the file system is read-only: mount it writable, or set sync.store.path',
  EACCES: 'permission denied: the director must run as root, and sync.store.path be in a directory of root',
  EPERM: 'not permitted: look at the attributes of the file (lsattr)',
  ENOTDIR: 'a part of the path is no directory: correct sync.store.path',
  EISDIR: 'it is a directory: correct sync.store.path',
  ELOOP: 'it is a symbolic link: remove it',
  EIO: 'the disk reports an error: look at the kernel log, replace the disk',
};

function explain(path: string, cause: NodeJS.ErrnoException, doing: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const remedy = REMEDIES[cause.code ?? ''] ?? cause.message;
  return new StoreError('failed', `${path} cannot be ${doing}; ${remedy}`, { cause });
}
