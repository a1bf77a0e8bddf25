// The feed sockets: every reader gets the newest snapshot at once and each later one as a JSON
// line. Readers only read; one that stalls is dropped by what it has not read, never waited for.
// Two sockets say the same: one for the group, one for root only (the director, `tandem handover`),
// whose places no member of the group can take.
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { FeedEvents } from '../../feed/feed-events.ts';
import { FEED_ROOT_SOCKET, FEED_SOCKET } from '../../feed/files.ts';
import type { Snapshot } from '../../feed/message.ts';
import { LimitedConnections } from '../../socket/io/limited-connections.ts';
import { grantGroup, listenOn, removeStaleSocket } from '../../socket/io/unix.ts';

/** On each of the two sockets. */
const READERS_MAX = 32;
const UNREAD_BYTES_MAX = 262_144;

export interface Feed {
  /** `events`: what was logged lately; absent: nothing. */
  publish(snapshot: Snapshot, events?: FeedEvents): void;
  /** Readers dropped because they did not read, or to make room for another, since the start. */
  dropped(): number;
  close(): void;
}

export async function serveFeed(runDir: string): Promise<Feed> {
  const all: LimitedConnections[] = [];
  const servers: Server[] = [];
  let newest = '';
  let dropped = 0;
  const onDropped = () => {
    dropped += 1;
  };
  const serve = async (path: string, access: 'group' | 'root') => {
    const readers = new LimitedConnections(READERS_MAX, onDropped);
    const server = createServer(socket => {
      readers.add(socket);
      socket.on('error', () => socket.destroy());
      // Nothing is ever read from a reader: one that writes has mistaken the socket.
      socket.on('data', () => socket.destroy());
      if (newest) socket.write(newest);
    });
    await removeStaleSocket(path);
    await listenOn(server, path, access);
    all.push(readers);
    servers.push(server);
  };
  await serve(join(runDir, FEED_SOCKET), 'group');
  await grantGroup(join(runDir, FEED_SOCKET));
  await serve(join(runDir, FEED_ROOT_SOCKET), 'root');
  return {
    publish(snapshot, events) {
      newest = `${JSON.stringify({ ...snapshot, events })}\n`;
      for (const readers of all)
        for (const reader of readers.all()) {
          if (reader.writableLength > UNREAD_BYTES_MAX) readers.drop(reader);
          else reader.write(newest);
        }
    },
    dropped: () => dropped,
    close() {
      for (const server of servers) server.close();
      for (const reader of all.flatMap(readers => readers.all())) reader.destroy();
    },
  };
}
