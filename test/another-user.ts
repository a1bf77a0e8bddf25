// Runs the compiled code as a user who is not root, wherever the checkout is: it is bound to /mnt in a mount namespace of the
// command's own, since a checkout below /root could not be read otherwise. Io; needs root.
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** nobody. */
const OTHER_USER = '65534';
const ENTER =
  'mount --bind "$1" /mnt && user=$2 && shift 2 && exec setpriv --reuid "$user" --regid "$user" --clear-groups -- "$@"';

/** Where a file of the checkout is for the other user. */
export function theirs(path: string): string {
  return `/mnt/${path}`;
}

/** The command that runs node with `args` as the other user. */
export function asAnotherUser(args: readonly string[]): { file: string; args: string[] } {
  return { file: 'unshare', args: ['--mount', 'sh', '-c', ENTER, 'sh', ROOT, OTHER_USER, process.execPath, ...args] };
}
