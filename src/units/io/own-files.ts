// Where the files of this Tandem are: from the checkout and from an installation alike, below the
// directory of its package.json. Not pure.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Compiled code lies at most so many directories below. */
const DEPTH_MAX = 8;
const ROOT = rootAbove(dirname(fileURLToPath(import.meta.url)));

/** The path of a file of this very version, such as "dist/vipd". */
export function ownFile(path: string): string {
  return join(ROOT, path);
}

function rootAbove(start: string): string {
  let directory = start;
  for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
    if (existsSync(join(directory, 'package.json'))) return directory;
    directory = dirname(directory);
  }
  throw new Error(`no package.json above ${start}; install Tandem again`);
}
