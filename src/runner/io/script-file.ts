// Looks at a script and the directories on the way to it. Not pure: lstat(2).
import { lstat, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type FileFacts, mistrust } from '../trust.ts';

/** Why the script may not be run; undefined: it may. Never rejects. */
export async function whyNotRun(path: string): Promise<string | undefined> {
  try {
    // By the path that is written, and by the one that links on the way lead to.
    const real = await realpath(path);
    return mistrust(await factsOf(path)) ?? mistrust(await factsOf(real));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return `there is no ${path}`;
    if (code === 'EACCES') return `${path} lies in a directory that tandem-runner may not enter: ${message}`;
    return message;
  }
}

async function factsOf(path: string): Promise<FileFacts[]> {
  const paths = [path];
  for (let at = path; dirname(at) !== at; at = dirname(at)) paths.unshift(dirname(at));
  return Promise.all(
    paths.map(async (one): Promise<FileFacts> => {
      const found = await lstat(one);
      const isLink = found.isSymbolicLink();
      const kind = isLink ? 'link' : found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other';
      return { path: one, uid: found.uid, mode: found.mode, kind };
    }),
  );
}
