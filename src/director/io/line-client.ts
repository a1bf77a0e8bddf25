// A unix socket that carries JSON lines, connected again whenever it ends, with a bounded back-off.
// Not pure. Used for pulse's feed (listens) and pulse's control socket (writes, one reply a line).
import { connect, type Socket } from 'node:net';
import { LINE_BYTES_MAX } from '../../feed/files.ts';
import { lineReader } from '../../socket/lines.ts';

interface LineClientOptions {
  /** Asked before each attempt. */
  readonly path: () => string;
  readonly onLine: (line: string) => void;
  readonly onConnect?: () => void;
  /** The connection ended or could not be made; told for every attempt. */
  readonly onLost: (problem: string) => void;
  /** Silence after which the connection counts as dead, in ms; absent: never. */
  readonly silenceMs?: number;
}

interface LineClient {
  /** Sends one line; false when there is no connection or the other side does not read. */
  send(line: string): boolean;
  connected(): boolean;
  close(): void;
}

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 2_000;
/**
 * More than this unread by the other side: it does not read, a new connection may find it better.
 */
const QUEUE_BYTES_MAX = 65_536;

export function createLineClient(options: LineClientOptions): LineClient {
  let socket: Socket | undefined;
  let ready = false;
  let closed = false;
  let backoffMs = BACKOFF_FIRST_MS;
  let timer: NodeJS.Timeout | undefined;

  const open = () => {
    const lines = lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'end' });
    const own = connect(options.path());
    let problem = 'the other side closed the connection';
    socket = own;
    if (options.silenceMs !== undefined) own.setTimeout(options.silenceMs);
    own.on('timeout', () => own.destroy(new Error(`silent for ${options.silenceMs} ms`)));
    own.on('connect', () => {
      ready = true;
      options.onConnect?.();
    });
    own.on('data', chunk => {
      // Only what speaks resets the back-off: a listener that hangs up at once must not be
      // hammered.
      backoffMs = BACKOFF_FIRST_MS;
      if (!lines.push(chunk, options.onLine)) own.destroy(new Error(`a line of more than ${LINE_BYTES_MAX} bytes`));
    });
    own.on('error', error => {
      problem = error.message;
    });
    own.on('close', () => {
      ready = false;
      if (closed) return;
      options.onLost(problem);
      timer = setTimeout(open, backoffMs);
      backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
    });
  };
  open();
  return {
    connected: () => ready,
    send: line => {
      if (!socket || !ready) return false;
      if (socket.writableLength > QUEUE_BYTES_MAX) {
        socket.destroy(new Error('the other side does not read'));
        return false;
      }
      socket.write(`${line}\n`);
      return true;
    },
    close: () => {
      closed = true;
      clearTimeout(timer);
      socket?.destroy();
    },
  };
}
