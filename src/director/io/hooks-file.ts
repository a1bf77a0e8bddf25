// Keeps the messages of hooks that have not got through across a restart of the director, and up to
// which event of pulse hooks have been told: run-dir/director-hooks.json, written whole and renamed
// into place, one at a time and at most once a second. Not pure. It never stands in the way.
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HOOKS_FILE } from '../../feed/files.ts';
import { formatKeptHooks, type KeptHooks, NOTHING_KEPT, parseKeptHooks } from '../../hooks/hook-report.ts';
import type { Log } from '../../log/log.ts';
import { atMostEvery } from './at-most-every.ts';
import { readMemory } from './memory-file.ts';
import { oneAtATime } from './one-at-a-time.ts';

const PAUSE_MS = 1_000;

export async function readKeptHooks(runDir: string, log: Log): Promise<KeptHooks> {
  return (await readMemory(join(runDir, HOOKS_FILE), log, parseKeptHooks)) ?? NOTHING_KEPT;
}

/** What saves it; the last one that is given is written, at the latest when close() resolves. */
export function keptHooksSaver(runDir: string, log: Log): { save(kept: KeptHooks): void; close(): Promise<void> } {
  const path = join(runDir, HOOKS_FILE);
  let last: KeptHooks = NOTHING_KEPT;
  let written = '';
  /** A hook may be told of it, and what it then keeps fails to be saved, too. */
  let isTold = false;
  const writes = oneAtATime(async () => {
    const text = formatKeptHooks(last);
    if (text === written) return;
    try {
      await writeFile(`${path}.new`, text, { mode: 0o600 });
      await rename(`${path}.new`, path);
      written = text;
      isTold = false;
    } catch (error) {
      if (isTold) return;
      isTold = true;
      log.event('MEMORY_PROBLEM', { path, problem: error instanceof Error ? error.message : String(error) });
    }
  });
  const write = atMostEvery(PAUSE_MS, () => void writes.run());
  return {
    save: kept => {
      last = kept;
      write();
    },
    close: () => writes.run(),
  };
}
