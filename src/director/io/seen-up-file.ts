// Keeps which servers were up across a restart of the director (manual-resume.ts), for
// check.manual_resume: run-dir/director-seen-up.json, written whole and renamed into place, one at
// a time. Not pure. It never stands in the way: without it, what is up from now on counts.
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../log/log.ts';
import { formatSeenUp, parseSeenUp, SEEN_UP_FILE, type SeenUp } from '../manual-resume.ts';
import { readMemory } from './memory-file.ts';
import { oneAtATime } from './one-at-a-time.ts';

/** Undefined: it is not known who was up. */
export function readSeenUp(runDir: string, log: Log): Promise<SeenUp | undefined> {
  return readMemory(join(runDir, SEEN_UP_FILE), log, parseSeenUp);
}

/** What saves it; the last one that is given is written, at the latest when close() resolves. */
export function seenUpSaver(runDir: string, log: Log): { save(seen: SeenUp): void; close(): Promise<void> } {
  const path = join(runDir, SEEN_UP_FILE);
  let last: SeenUp = new Set();
  const writes = oneAtATime(async () => {
    try {
      await writeFile(`${path}.new`, formatSeenUp(last), { mode: 0o600 });
      await rename(`${path}.new`, path);
    } catch (error) {
      log.event('MEMORY_PROBLEM', { path, problem: error instanceof Error ? error.message : String(error) });
    }
  });
  let idle: Promise<void> = Promise.resolve();
  return {
    save: seen => {
      last = seen;
      idle = writes.run();
    },
    close: () => idle,
  };
}
