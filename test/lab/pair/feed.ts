// Follows a pulse feed (src/feed/message.ts): the newest snapshot, and all that were seen with the time they came. Io.
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { FEED_SOCKET, LINE_BYTES_MAX } from '../../../src/feed/files.ts';
import { type Snapshot, snapshotSchema } from '../../../src/feed/message.ts';
import { wallNow } from './topology.ts';

export interface Feed {
  readonly latest: () => Snapshot | undefined;
  /** Resolves with the first snapshot, of those to come or the latest, for which `wanted` holds. */
  readonly until: (wanted: (snapshot: Snapshot) => boolean, what: string, timeoutMs: number) => Promise<Snapshot>;
  /** Changes of role since the feed was followed: wall time in ms at which the snapshot came. */
  readonly roles: () => readonly { readonly at: number; readonly role: Snapshot['role']; readonly epoch: string }[];
  readonly close: () => void;
}

const RETRY_MS = 200;
const ROLES_MAX = 1_000;

/** Connects, and again when the socket is not there yet or pulse restarts, until closed. */
export function followFeed(runDir: string): Feed {
  let latest: Snapshot | undefined;
  let socket: Socket | undefined;
  let closed = false;
  const roles: { at: number; role: Snapshot['role']; epoch: string }[] = [];
  const waiting = new Set<(snapshot: Snapshot) => void>();
  const take = (line: string): void => {
    const snapshot = snapshotSchema.parse(JSON.parse(line));
    latest = snapshot;
    if (roles.at(-1)?.role !== snapshot.role && roles.length < ROLES_MAX) {
      roles.push({ at: wallNow(), role: snapshot.role, epoch: snapshot.epoch });
    }
    for (const resolve of [...waiting]) resolve(snapshot);
  };
  const open = (): void => {
    if (closed) return;
    socket = connect(path.join(runDir, FEED_SOCKET));
    readLines(socket, take);
    socket.on('error', () => undefined);
    socket.on('close', () => setTimeout(open, RETRY_MS).unref());
  };
  open();
  return {
    latest: () => latest,
    until: (wanted, what, timeoutMs) => waitFor(waiting, () => latest, wanted, what, timeoutMs),
    roles: () => roles,
    close: () => {
      closed = true;
      socket?.destroy();
    },
  };
}

function readLines(socket: Socket, take: (line: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
    if (rest.length > LINE_BYTES_MAX) socket.destroy(new Error('a line of the feed is too long'));
  });
}

async function waitFor(
  waiting: Set<(snapshot: Snapshot) => void>,
  latest: () => Snapshot | undefined,
  wanted: (snapshot: Snapshot) => boolean,
  what: string,
  timeoutMs: number,
): Promise<Snapshot> {
  const now = latest();
  if (now && wanted(now)) return now;
  return await new Promise((resolve, reject) => {
    const look = (snapshot: Snapshot): void => {
      if (!wanted(snapshot)) return;
      clearTimeout(timer);
      waiting.delete(look);
      resolve(snapshot);
    };
    const timer = setTimeout(() => {
      waiting.delete(look);
      reject(new Error(`waited ${timeoutMs / 1000} s for ${what}; last seen: ${latest()?.role ?? 'no feed'}`));
    }, timeoutMs);
    waiting.add(look);
  });
}
