// Gives the journal to the director: run-dir/pulse-journal.sock, for root only. Who connects gets
// what there is, then the end. Never in the heartbeat's way: it is made into lines in slices of a
// millisecond, with pauses, no faster than they are read; a reader that is too slow loses it.
import { createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { listenOn, removeStaleSocket } from '../../socket/io/unix.ts';
import { monotonicNow } from '../../units/io/clocks.ts';

const SLICE_MS = 1;
const SLICE_BYTES_MAX = 32_768;
const PAUSE_MS = 10;
/** What a reader may leave unread. */
const UNREAD_BYTES_MAX = 65_536;
/** For all of it. */
const SEND_MS_MAX = 30_000;

interface JournalSocket {
  close(): void;
}

interface JournalSource {
  /** Of the recording as it is now; undefined: there is none. */
  readonly lines: () => Iterator<string, void> | undefined;
  /** Somebody has got all of it, or has not. */
  readonly onSent: (whole: boolean) => void;
  /** For tests: default 30 s. */
  readonly sendMsMax?: number;
}

export async function serveJournal(path: string, source: JournalSource): Promise<JournalSocket> {
  let reader: Socket | undefined;
  const server = createServer(socket => {
    socket.on('error', () => socket.destroy());
    // Nothing is ever read: who writes has mistaken the socket.
    socket.on('data', () => socket.destroy());
    const lines = reader ? undefined : source.lines();
    if (!lines) return void socket.destroy();
    reader = socket;
    void send(socket, lines, source.sendMsMax ?? SEND_MS_MAX).then(whole => {
      reader = undefined;
      source.onSent(whole);
    });
  });
  await removeStaleSocket(path);
  await listenOn(server, path, 'root');
  return {
    close() {
      server.close();
      reader?.destroy();
    },
  };
}

/** Whether all of it was given to a reader that was there. */
async function send(socket: Socket, lines: Iterator<string, void>, msMax: number): Promise<boolean> {
  const until = monotonicNow() + msMax;
  while (!socket.destroyed && monotonicNow() < until) {
    if (socket.writableLength < UNREAD_BYTES_MAX) {
      const { text, isLast } = sliceIfAny(lines) ?? {};
      // It is only for people: pulse goes on without.
      if (text === undefined) break;
      if (isLast) {
        socket.end(text);
        return true;
      }
      socket.write(text);
    }
    await pause(PAUSE_MS);
  }
  socket.destroy();
  return false;
}

function slice(lines: Iterator<string, void>): { text: string; isLast: boolean } {
  const until = monotonicNow() + SLICE_MS;
  let text = '';
  do {
    const next = lines.next();
    if (next.done) return { text, isLast: true };
    text += next.value;
  } while (text.length < SLICE_BYTES_MAX && monotonicNow() < until);
  return { text, isLast: false };
}

function sliceIfAny(lines: Iterator<string, void>): ReturnType<typeof slice> | undefined {
  try {
    return slice(lines);
  } catch {
    return undefined;
  }
}
