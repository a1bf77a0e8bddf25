// The daemons' unix sockets, seen from the CLI: one HTTP GET, one JSON line asked and answered, or
// the feed of snapshots. Every wait and every answer is bounded; errors are CliErrors that say what
// to do.
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { CONTROL_SOCKET, FEED_ROOT_SOCKET, FEED_SOCKET } from '../../feed/files.ts';
import {
  type ControlReply,
  type ControlRequest,
  controlReplySchema,
  LINE_BYTES_MAX,
  type Snapshot,
  snapshotSchema,
} from '../../feed/message.ts';
import { firstUsable } from '../../socket/io/unix.ts';
import { lineReader } from '../../socket/lines.ts';
import { CliError, EXIT } from '../exit.ts';
import { printable } from '../format.ts';
import { type SocketName, unreachable } from '../socket-errors.ts';

const ANSWER_MS_MAX = 3_000;
const ANSWER_BYTES_MAX = 8_388_608;

/** The JSON that `socket` in `runDir` answers to GET `path`, checked. Throws CliError. */
export async function getJson<T>(runDir: string, socket: SocketName, path: string, schema: z.ZodType<T>): Promise<T> {
  const socketPath = join(runDir, socket);
  try {
    return readAs(await get(socketPath, path), schema);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw unreachable(socket, socketPath, error);
  }
}

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const asked = request({ socketPath, path, signal, headers: { accept: 'application/json' } }, response => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length > ANSWER_BYTES_MAX)
          response.destroy(new Error(`its answer is longer than ${ANSWER_BYTES_MAX} bytes`));
      });
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else reject(new CliError(`the daemon answers: ${refusalIn(text)}`, { exitCode: EXIT.no }));
      });
    });
    asked.on('error', error => reject(signal.aborted ? timedOut() : error));
    asked.end();
  });
}

/** The sentence in an HTTP error's body: its `error` when it is JSON, else the body itself. */
function refusalIn(body: string): string {
  let text = body;
  try {
    const parsed = refusalSchema.safeParse(JSON.parse(body));
    if (parsed.success) text = parsed.data.error;
  } catch {
    // Not JSON: the body is the sentence.
  }
  return printable(text, REFUSAL_LENGTH_MAX);
}

const refusalSchema = z.object({ error: z.string() });
const REFUSAL_LENGTH_MAX = 500;

/** pulse's reply to one command. Throws CliError. */
export async function command(runDir: string, asked: ControlRequest): Promise<ControlReply> {
  const path = join(runDir, CONTROL_SOCKET);
  const socket = connect(path);
  try {
    socket.write(`${JSON.stringify(asked)}\n`);
    for await (const line of lines(socket, ANSWER_MS_MAX)) return readAs(line, controlReplySchema);
    throw new Error('it closed the connection without a reply');
  } catch (error) {
    throw unreachable(CONTROL_SOCKET, path, error);
  } finally {
    socket.destroy();
  }
}

/**
 * Snapshots from pulse as they come, for at most `forMs`; then it ends with a CliError. Leave the
 * loop to close it.
 */
export async function* feed(runDir: string, forMs: number): AsyncGenerator<Snapshot> {
  const path = firstUsable([join(runDir, FEED_ROOT_SOCKET), join(runDir, FEED_SOCKET)]);
  const socket = connect(path);
  try {
    for await (const line of lines(socket, forMs)) yield readAs(line, snapshotSchema);
    throw new Error('it closed the connection');
  } catch (error) {
    throw unreachable(FEED_SOCKET, path, error);
  } finally {
    socket.destroy();
  }
}

/** The first snapshot of the feed. Throws CliError. */
export async function snapshot(runDir: string): Promise<Snapshot> {
  const snapshots = feed(runDir, ANSWER_MS_MAX);
  try {
    return (await snapshots.next()).value as Snapshot;
  } finally {
    await snapshots.return(undefined);
  }
}

/** Whole lines of a socket, without their ends; destroys it with ETIMEDOUT after `forMs`. */
async function* lines(socket: Socket, forMs: number): AsyncGenerator<string> {
  const timer = setTimeout(() => socket.destroy(timedOut()), forMs);
  const reader = lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'end' });
  try {
    for await (const chunk of socket) {
      const whole: string[] = [];
      const read = reader.push(chunk as Buffer, line => whole.push(line));
      if (!read) throw new Error(`a line is longer than ${LINE_BYTES_MAX} bytes`);
      yield* whole.filter(line => line !== '');
    }
  } finally {
    clearTimeout(timer);
  }
}

function readAs<T>(text: string, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`not the answer this version knows, at "${issue?.path.join('.')}": ${issue?.message}`);
}

function timedOut(): NodeJS.ErrnoException {
  return Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' });
}
