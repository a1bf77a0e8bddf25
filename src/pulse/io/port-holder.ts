// Who has a UDP port on this host: /proc/net/udp names the socket, /proc/PID/fd its process. Read
// piece by piece without ever waiting in the heartbeat's loop, and bounded; who cannot be found
// stays unknown.
import { open, readdir, readFile, readlink } from 'node:fs/promises';
import { type Address, familyOf } from '../../units/address.ts';

const TABLE_BYTES_MAX = 1 << 20;
const PROCESSES_MAX = 32_768;
const DESCRIPTORS_MAX = 1_024;
const NAME_LENGTH_MAX = 32;

/**
 * "NAME (pid N)" of a process that keeps us from binding `local`:`port`; undefined when none can be
 * found. Never throws.
 */
export async function holderOf(local: Address, port: number): Promise<string | undefined> {
  const tables = familyOf(local) === 4 ? ['/proc/net/udp', '/proc/net/udp6'] : ['/proc/net/udp6'];
  const lines = (await Promise.all(tables.map(head))).flatMap(text => text.split('\n').slice(1));
  const inodes = inodesOn(lines, local, port);
  if (inodes.size === 0) return undefined;
  for (const pid of await nearFirst()) {
    if (!(await hasSocket(pid, inodes))) continue;
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim().slice(0, NAME_LENGTH_MAX);
    return `${name} (pid ${pid})`;
  }
  return undefined;
}

/**
 * The other processes: those of this network namespace, which nearly always have its sockets, come
 * first. A host full of containers has thousands, with many descriptors each.
 */
async function nearFirst(): Promise<string[]> {
  const pids = (await list('/proc')).filter(name => /^\d+$/.test(name)).slice(0, PROCESSES_MAX);
  const own = await namespaceOf('self');
  const near: string[] = [];
  const far: string[] = [];
  for (const pid of pids) {
    if (pid !== String(process.pid)) ((await namespaceOf(pid)) === own ? near : far).push(pid);
  }
  return [...near, ...far];
}

async function namespaceOf(pid: string): Promise<string> {
  return await readlink(`/proc/${pid}/ns/net`).catch(() => '');
}

/**
 * Inodes of the sockets on this port and address, or on every address, of lines of /proc/net/udp.
 * The kernel writes addresses as numbers.
 */
export function inodesOn(lines: readonly string[], local: Address, port: number): ReadonlySet<string> {
  const ours = familyOf(local) === 4 ? Buffer.from(local.split('.').map(Number)).reverse().toString('hex') : undefined;
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = lines.flatMap(line => {
    const columns = line.trim().split(/\s+/);
    const [address = '', number] = (columns[1] ?? '').split(':');
    const keepsUsOut = ours === undefined || /^0+$/.test(address) || address.toLowerCase() === ours;
    return number === wanted && keepsUsOut && columns[9] !== undefined ? [columns[9]] : [];
  });
  return new Set(inodes);
}

async function hasSocket(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  const descriptors = (await list(`/proc/${pid}/fd`)).slice(0, DESCRIPTORS_MAX);
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && inodes.has(inode)) return true;
  }
  return false;
}

async function list(path: string): Promise<string[]> {
  return await readdir(path).catch(() => []);
}

async function head(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return '';
  const chunks: Buffer[] = [];
  try {
    for (let bytes = 0; bytes < TABLE_BYTES_MAX; ) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(16_384), 0, 16_384);
      if (bytesRead === 0) break;
      chunks.push(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } catch {
    // What was read is all there is to be known.
  } finally {
    await file.close().catch(() => {});
  }
  return Buffer.concat(chunks).toString('latin1');
}
