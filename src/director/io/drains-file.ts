// Keeps the drains of operators across a restart and a reboot: state-dir/director-drains.json,
// written whole, synced and renamed into place, the rename synced, too. Not pure. Without the file
// nothing is drained.
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Drains, NO_DRAINS } from '../../drain/drains.ts';
import { DRAINS_FILE, formatDrains, parseDrains } from '../../drain/saved-drains.ts';
import type { Log } from '../../log/log.ts';
import type { At } from '../../units/duration.ts';
import { kernelBootId } from '../../units/io/clocks.ts';
import { readMemory } from './memory-file.ts';

/** What it needs of the disk; replaced in tests. */
interface DrainsDisk {
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
  open(path: string, flags: string, mode?: number): Promise<Pick<FileHandle, 'writeFile' | 'sync' | 'close'>>;
  rename(from: string, to: string): Promise<void>;
}
const DISK: DrainsDisk = { mkdir, open, rename };

export async function readDrains(stateDir: string, log: Log, now: () => At): Promise<Drains> {
  const about = { boot: kernelBootId(), now: now() };
  return (await readMemory(join(stateDir, DRAINS_FILE), log, text => parseDrains(text, about))) ?? NO_DRAINS;
}

/** Why it could not be written; undefined: it was. */
export async function saveDrains(
  stateDir: string,
  log: Log,
  drains: Drains,
  now: () => At,
  disk: DrainsDisk = DISK,
): Promise<string | undefined> {
  const path = join(stateDir, DRAINS_FILE);
  try {
    await disk.mkdir(stateDir, { recursive: true });
    const file = await disk.open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(formatDrains(drains, { boot: kernelBootId(), now: now() }));
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(`${path}.new`, path);
    // Else a power cut may bring the old file back, with drains that were ended.
    const directory = await disk.open(stateDir, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return undefined;
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    log.event('MEMORY_PROBLEM', { path, problem });
    return problem;
  }
}
