// Writes lines to a stream that may stall, break or be full, without ever waiting for it: beyond a
// bound lines are dropped and counted. Not pure. On Linux Node writes to pipes and sockets
// (journald's too) without blocking and queues what does not fit; writes to a file or a terminal
// are synchronous, so the daemons' units never log to those.
import type { Writable } from 'node:stream';

/** Most that may wait for the reader, in bytes. */
export const QUEUE_BYTES_MAX = 262_144;
/**
 * After drops, writing starts again only below this: a reader at the edge must not make one line
 * about drops per line.
 */
const RESUME_BYTES_MAX = QUEUE_BYTES_MAX / 2;

interface Dropped {
  readonly lines: number;
  readonly bytes: number;
}

export interface LogSink {
  /** Takes the line, or drops it: false. Never throws, never waits. */
  write(line: string): boolean;
  /**
   * What has been dropped since the last call; undefined while there is nothing to say or nobody
   * who could read it.
   */
  takeDropped(): Dropped | undefined;
  /** Resolves when everything queued is written, or after `timeoutMs`. */
  drained(timeoutMs: number): Promise<void>;
  close(): void;
}

/**
 * A sink on `stream`. Its errors (EPIPE, ENOSPC…) are swallowed here: a log that cannot be written
 * must not stop a router.
 */
export function createLogSink(stream: Writable): LogSink {
  let lines = 0;
  let bytes = 0;
  // What the last takeDropped told, until a line got through: the line that was to tell it may be
  // lost too.
  let told: Dropped = { lines: 0, bytes: 0 };
  let dropping = false;
  let broken = false;
  const onError = () => {
    broken = true;
  };
  stream.on('error', onError);

  const hasRoom = (size: number): boolean => {
    if (broken || stream.destroyed || stream.writableEnded) return false;
    if (dropping) return stream.writableLength < RESUME_BYTES_MAX;
    return stream.writableLength + size <= QUEUE_BYTES_MAX;
  };

  return {
    write: line => {
      const size = Buffer.byteLength(line);
      if (hasRoom(size)) {
        dropping = false;
        if (writeQuietly(stream, line)) {
          told = { lines: 0, bytes: 0 };
          return true;
        }
      } else {
        dropping = true;
      }
      lines += told.lines + 1;
      bytes += told.bytes + size;
      told = { lines: 0, bytes: 0 };
      return false;
    },
    takeDropped: () => {
      if (lines === 0 || !hasRoom(0)) return undefined;
      told = { lines, bytes };
      lines = 0;
      bytes = 0;
      dropping = false;
      return told;
    },
    drained: timeoutMs => (broken ? Promise.resolve() : drained(stream, timeoutMs)),
    close: () => {
      // The error listener stays: an EPIPE may still be on its way.
      broken = true;
    },
  };
}

/** Writes to a file are synchronous and throw (a full disk). */
function writeQuietly(stream: Writable, line: string): boolean {
  try {
    stream.write(line);
    return true;
  } catch {
    return false;
  }
}

function drained(stream: Writable, timeoutMs: number): Promise<void> {
  return new Promise(resolve => {
    const until = performance.now() + timeoutMs;
    const look = () => {
      if (stream.writableLength === 0 || stream.destroyed || performance.now() >= until) resolve();
      else setTimeout(look, 5);
    };
    look();
  });
}
