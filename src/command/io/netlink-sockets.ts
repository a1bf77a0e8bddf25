// Whether a child listens to netfilter's events yet: what happens before that, it never hears. Not
// pure: /proc.

import { readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicNow } from '../../units/io/clocks.ts';

const NETLINK_TABLE = '/proc/self/net/netlink';
const POLL_MS = 20;

/**
 * Waits until each child has a socket in a group of netfilter's events, at most `timeoutMs`; false:
 * some have none.
 */
export async function areSubscribed(pids: () => readonly (number | undefined)[], timeoutMs: number): Promise<boolean> {
  const end = monotonicNow() + timeoutMs;
  for (;;) {
    const inodes = subscribedInodes(await readFile(NETLINK_TABLE, 'latin1').catch(() => ''));
    const heard = await Promise.all(pids().map(pid => hasSocketOf(pid, inodes)));
    if (heard.every(Boolean)) return true;
    if (monotonicNow() > end) return false;
    await sleep(POLL_MS);
  }
}

/**
 * The netfilter sockets that are in a group of events, as /proc/PID/fd names them. Columns: sk Eth
 * Pid Groups … Inode. The port ("Pid") does not tell whose it is: a program's second socket gets a
 * random one.
 */
function subscribedInodes(netlinkTable: string): ReadonlySet<string> {
  const lines = netlinkTable.matchAll(/^[0-9a-f]+ +12 +\d+ +(?!0+ )[0-9a-f]+ .* (\d+) *$/gm);
  return new Set([...lines].map(([, inode]) => `socket:[${inode}]`));
}

async function hasSocketOf(pid: number | undefined, inodes: ReadonlySet<string>): Promise<boolean> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory).catch(() => []);
  const links = await Promise.all(names.map(name => readlink(path.join(directory, name)).catch(() => '')));
  return links.some(link => inodes.has(link));
}
