// Whether a script is one that only root can have written: it and every directory on the way to it
// belong to root and can be written by nobody else. As keepalived's enable_script_security. Pure.

/** What lstat(2) says of a file. */
export interface FileFacts {
  readonly path: string;
  readonly uid: number;
  readonly mode: number;
  readonly kind: 'file' | 'directory' | 'link' | 'other';
}

const WRITABLE_BY_OTHERS = 0o022;
const EXECUTABLE_BY_ALL = 0o111;

/**
 * `way`: from / to the script, which is the last. The first thing that is wrong; undefined:
 * nothing.
 */
export function mistrust(way: readonly FileFacts[]): string | undefined {
  const script = way.at(-1);
  if (script === undefined) return 'there is no path';
  for (const { path, uid, mode, kind } of way) {
    if (uid !== 0) return `${path} belongs to user ${uid}: chown root ${path}`;
    // Whoever may write in a directory can put another file in the place of this one. A link has no
    // mode of its own.
    if (kind !== 'link' && (mode & WRITABLE_BY_OTHERS) !== 0)
      return `${path} can be written by others than root: chmod go-w ${path}`;
  }
  // Where it leads to is looked at by itself.
  if (script.kind === 'link') return undefined;
  if (script.kind !== 'file') return `${script.path} is not a regular file`;
  if ((script.mode & EXECUTABLE_BY_ALL) !== EXECUTABLE_BY_ALL)
    return `${script.path} cannot be run by everybody: chmod a+rx ${script.path}`;
  return undefined;
}
