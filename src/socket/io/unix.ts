// Places the daemons' unix sockets: a stale one is removed only when nobody answers on it, a file
// that is no socket never. Readers' sockets: mode 0660, group `tandem` when the group exists (found
// in /etc/group, so without asking a directory service). Control sockets: mode 0600. Not pure.
import { accessSync, constants } from 'node:fs';
import { chown, lstat, readFile, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';

const CONNECT_MS_MAX = 1_000;
const GROUP = 'tandem';
/**
 * What a socket's mode must lack: `group` leaves rw for owner and group, `root` for the owner only.
 */
const UMASK = { group: 0o117, root: 0o177 } as const;

/**
 * Makes room for a socket at `path`. Throws when somebody listens there already or it is something
 * else than a socket.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new Error(`cannot look at ${path}: ${error.message}; check the run directory`, { cause: error });
  });
  if (!found) return;
  if (!found.isSocket()) throw new Error(`${path} is not a socket; move it away, then start again`);
  if (await answers(path)) {
    throw new Error(
      `another process answers on ${path}; stop it first (\`ss -xlp\` names it), or use another --run-dir`,
    );
  }
  await unlink(path);
}

/**
 * The first of `paths` that is there and may be used; else the last one, so that its error is the
 * one told.
 */
export function firstUsable(paths: readonly [string, ...string[]]): string {
  const usable = paths.find(path => {
    try {
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  });
  return usable ?? (paths.at(-1) as string);
}

/**
 * Binds `server` to `path`, from the first moment with the right mode; resolves once it listens.
 */
export function listenOn(server: Server, path: string, access: keyof typeof UMASK): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', error => {
      reject(new Error(`cannot listen on ${path}: ${error.message}; check the run directory`, { cause: error }));
    });
    // bind(2) happens inside listen(), so the umask covers exactly that.
    const before = process.umask(UMASK[access]);
    try {
      server.listen(path, () => {
        server.removeAllListeners('error');
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/**
 * Gives the socket to root:tandem. Returns the group's name, or null when there is none or we are
 * not root.
 */
export async function grantGroup(path: string): Promise<string | null> {
  const gid = gidOf(await readFile('/etc/group', 'utf8').catch(() => ''), GROUP);
  if (gid === undefined || process.getuid?.() !== 0) return null;
  await chown(path, 0, gid);
  return GROUP;
}

/** The number of a group in the text of /etc/group (group(5)). */
export function gidOf(text: string, group: string): number | undefined {
  for (const line of text.split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group && gid !== undefined && /^\d+$/.test(gid)) return Number(gid);
  }
  return undefined;
}

/** Whether a process accepts connections at `path`; one that is too busy to, counts. */
function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    const finish = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(CONNECT_MS_MAX, () => finish(true));
    socket.once('connect', () => finish(true));
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code === 'EAGAIN'));
  });
}
