// Reads a file in which the director keeps something across a restart. Not pure. It never stands in
// the way: a file that cannot be used is set aside, and what it held is as if it had never been.
import { readFile, rename } from 'node:fs/promises';
import type { Log } from '../../log/log.ts';

/** What the file says; undefined: there is none, or none that `parse` knows. */
export async function readMemory<T>(
  path: string,
  log: Log,
  parse: (text: string) => T | undefined,
): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') log.event('MEMORY_PROBLEM', { path, problem: message });
    return undefined;
  }
  const held = parse(text);
  if (held !== undefined) return held;
  log.event('MEMORY_PROBLEM', { path, problem: 'not written by this version of Tandem; set aside as .bad' });
  await rename(path, `${path}.bad`).catch(() => undefined);
  return undefined;
}
