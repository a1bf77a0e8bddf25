// Keeps what is ours across a restart of the director: run-dir/director-owned.json, written whole
// and renamed into place. Not pure. It never stands in the way: without it, what the config wants
// is still ours.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../log/log.ts';
import { NOTHING_OWNED, OWNED_FILE, type Owned, parseOwned } from '../owned.ts';

export async function readOwned(runDir: string, log: Log): Promise<Owned> {
  const path = join(runDir, OWNED_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') log.event('MEMORY_PROBLEM', { path, problem: message });
    return NOTHING_OWNED;
  }
  const owned = parseOwned(text);
  if (owned) return owned;
  log.event('MEMORY_PROBLEM', { path, problem: 'not written by this version of Tandem; set aside as .bad' });
  await rename(path, `${path}.bad`).catch(() => undefined);
  return NOTHING_OWNED;
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
