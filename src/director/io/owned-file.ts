// Keeps what is ours across a restart of the director: run-dir/director-owned.json, written whole
// and renamed into place. Not pure. It never stands in the way: without it, what the config wants
// is still ours.
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../log/log.ts';
import { NOTHING_OWNED, OWNED_FILE, type Owned, parseOwned } from '../owned.ts';
import { readMemory } from './memory-file.ts';

export async function readOwned(runDir: string, log: Log): Promise<Owned> {
  return (await readMemory(join(runDir, OWNED_FILE), log, parseOwned)) ?? NOTHING_OWNED;
}

export async function writeOwned(runDir: string, log: Log, owned: Owned): Promise<void> {
  const path = join(runDir, OWNED_FILE);
  try {
    await writeFile(`${path}.new`, `${JSON.stringify(owned)}\n`, { mode: 0o600 });
    await rename(`${path}.new`, path);
  } catch (error) {
    log.event('MEMORY_PROBLEM', { path, problem: error instanceof Error ? error.message : String(error) });
  }
}
