// GET /sessions: a table that may have a million rows, as lines of JSON. Slice by slice, so that
// the director does its other work between them, and no faster than it is read. Few at a time. Not
// pure.
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { monotonicNow } from '../../units/io/clocks.ts';
import type { SessionLine, SessionTable } from '../sessions.ts';

/** Readers at a time: each may have the kernel's table read, which takes a processor its time. */
export const SESSION_READERS_MAX = 2;
/** Longest time for one answer, in ms; more is cut, and says so. */
const WALK_MS_MAX = 60_000;

export interface SessionStreams {
  /** True when one more may be asked for. */
  free(): boolean;
  /** Writes all of it; resolves once it is written, or the reader has gone. */
  send(table: SessionTable, response: ServerResponse): Promise<void>;
}

export function createSessionStreams(): SessionStreams {
  let readers = 0;
  return {
    free: () => readers < SESSION_READERS_MAX,
    send: async (table, response) => {
      readers++;
      response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8', 'cache-control': 'no-store' });
      try {
        await pipeline(Readable.from(lines(table), { highWaterMark: 1 }), response);
      } catch {
        // The reader has gone, or reads nothing and was cut off: its own business.
      } finally {
        readers--;
      }
    },
  };
}

async function* lines({ head, slices }: SessionTable): AsyncGenerator<string> {
  const endAt = monotonicNow() + WALK_MS_MAX;
  let entries = 0;
  let problem = '';
  yield text([head]);
  try {
    for await (const slice of slices) {
      if (slice.length > 0) yield text(slice);
      entries += slice.length;
      if (monotonicNow() > endAt) {
        problem = `it took longer than ${WALK_MS_MAX / 1_000} s; ask for less: a client, a service or a server`;
        break;
      }
      await setImmediate();
    }
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  yield text([{ type: 'end', entries, problem }]);
}

function text(all: readonly SessionLine[]): string {
  return all.map(line => `${JSON.stringify(line)}\n`).join('');
}
