// The feed socket: every reader gets the newest snapshot at once and each later one as a JSON line. Readers only read; one that
// stalls is dropped by what it has not read, never waited for.
import { createServer, type Socket } from 'node:net';
import type { Snapshot } from '../../feed/message.ts';
import { grantGroup, listenOn, removeStaleSocket } from '../../socket/io/unix.ts';

const READERS_MAX = 32;
const UNREAD_BYTES_MAX = 262_144;

export interface Feed {
  publish(snapshot: Snapshot): void;
  /** Readers dropped because they did not read, since the start. */
  dropped(): number;
  close(): void;
}

export async function serveFeed(path: string): Promise<Feed> {
  const readers = new Set<Socket>();
  let newest = '';
  let dropped = 0;
  const server = createServer(socket => {
    readers.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => readers.delete(socket));
    // Nothing is ever read from a reader: one that writes has mistaken the socket.
    socket.on('data', () => socket.destroy());
    if (newest) socket.write(newest);
  });
  server.maxConnections = READERS_MAX;
  await removeStaleSocket(path);
  await listenOn(server, path, 'group');
  await grantGroup(path);
  return {
    publish(snapshot) {
      newest = `${JSON.stringify(snapshot)}\n`;
      for (const reader of readers) {
        if (reader.writableLength > UNREAD_BYTES_MAX) {
          dropped += 1;
          reader.destroy();
        } else reader.write(newest);
      }
    },
    dropped: () => dropped,
    close() {
      server.close();
      for (const reader of readers) reader.destroy();
    },
  };
}
