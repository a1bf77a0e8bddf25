// The daemons' unix sockets, seen from the CLI: one HTTP GET, one that is answered by lines, one
// JSON line asked and answered, or the feed of snapshots. Every wait and every answer is bounded;
// errors are CliErrors that say what to do.
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { z } from 'zod';
import { CONTROL_SOCKET, FEED_ROOT_SOCKET, FEED_SOCKET, LINE_BYTES_MAX, STATUS_SOCKET } from '../../feed/files.ts';
import type { ControlReply, ControlRequest, Snapshot } from '../../feed/message.ts';
import { linesOf, readLines, timedOut } from '../../socket/io/read-lines.ts';
import { firstUsable } from '../../socket/io/unix.ts';
import type { StatusReport } from '../../status/status-report.ts';
import { packageVersion } from '../../units/io/version.ts';
import { CliError, EXIT } from '../exit.ts';
import { printable } from '../format.ts';
import { type SocketName, unreachable } from '../socket-errors.ts';

const ANSWER_MS_MAX = 3_000;
const ANSWER_BYTES_MAX = 8_388_608;

/** The JSON that `socket` in `runDir` answers to GET `path`, checked. Throws CliError. */
export function getJson<T>(runDir: string, socket: SocketName, path: string, schema: z.ZodType<T>): Promise<T> {
  return askJson({ runDir, socket, path }, schema);
}

interface Question {
  readonly runDir: string;
  readonly socket: SocketName;
  readonly path: string;
  /** Default GET. */
  readonly method?: 'GET' | 'POST';
  /** Longest wait for the answer. */
  readonly forMs?: number;
  /** Answers with these are of the schema, too; default none but 200. */
  readonly statuses?: readonly number[];
}

/** The same with other requests and answers. */
export function askJson<T>(question: Question, schema: z.ZodType<T>): Promise<T> {
  return askFor(question, text => readAs(text, schema));
}

/** The director's status report. Throws CliError. */
export function statusOf(runDir: string): Promise<StatusReport> {
  const schema = async () => (await import('../../status/status-report.ts')).statusReportSchema;
  return askFor({ runDir, socket: STATUS_SOCKET, path: '/status' }, text => readOwn(text, 'version', schema));
}

async function askFor<T>(question: Question, read: (text: string) => T | Promise<T>): Promise<T> {
  const socketPath = join(question.runDir, question.socket);
  try {
    return await read(await ask(socketPath, question));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw unreachable(question.socket, socketPath, error);
  }
}

function ask(
  socketPath: string,
  { path, method = 'GET', forMs = ANSWER_MS_MAX, statuses = [] }: Question,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(forMs);
    const headers = { accept: 'application/json' };
    // The name is for TLS: finding one compiles a regular expression for addresses.
    const options = { socketPath, path, method, signal, headers, servername: '' };
    const asked = request(options, response => {
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
        const { statusCode = 0 } = response;
        if (statusCode === 200 || statuses.includes(statusCode)) resolve(text);
        else reject(new CliError(`the daemon answers: ${refusalIn(text)}`, { exitCode: EXIT.no }));
      });
    });
    asked.on('error', error => reject(signal.aborted ? timedOut() : error));
    asked.end();
  });
}

/** Longest time for all lines, and until the first one. */
const LINES_MS_MAX = 90_000;

/** The lines of JSON that GET `path` answers, as they come, each checked. Throws CliError. */
export async function* jsonLines<T>(
  runDir: string,
  socket: SocketName,
  path: string,
  schema: z.ZodType<T>,
): AsyncGenerator<T> {
  const socketPath = join(runDir, socket);
  const asked = request({ socketPath, path, signal: AbortSignal.timeout(LINES_MS_MAX) }).end();
  try {
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    if (response.statusCode !== 200) {
      throw new CliError(`the daemon answers: ${refusalIn(await wholeOf(response))}`, { exitCode: EXIT.no });
    }
    for await (const line of linesOf(response, LINE_BYTES_MAX)) yield readAs(line, schema);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw unreachable(socket, socketPath, isAborted(error) ? timedOut() : error);
  } finally {
    asked.destroy();
  }
}

function isAborted(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

async function wholeOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk;
    if (text.length > REFUSAL_BYTES_MAX) break;
  }
  return text;
}

/** The sentence in an HTTP error's body: its `error` when it is JSON, else the body itself. */
function refusalIn(body: string): string {
  let text = body;
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown };
    if (typeof error === 'string') text = error;
  } catch {
    // Not JSON: the body is the sentence.
  }
  return printable(text, REFUSAL_LENGTH_MAX);
}

const REFUSAL_LENGTH_MAX = 500;
const REFUSAL_BYTES_MAX = 65_536;

/** pulse's reply to one command. Throws CliError. */
export async function command(
  runDir: string,
  asked: ControlRequest,
  forMs: number = ANSWER_MS_MAX,
): Promise<ControlReply> {
  const path = join(runDir, CONTROL_SOCKET);
  const socket = connect(path);
  try {
    socket.write(`${JSON.stringify(asked)}\n`);
    for await (const line of readLines(socket, forMs, LINE_BYTES_MAX)) {
      return readAs(line, (await import('../../feed/message.ts')).controlReplySchema);
    }
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
  const schema = async () => (await import('../../feed/message.ts')).snapshotSchema;
  const socket = connect(path);
  try {
    for await (const line of readLines(socket, forMs, LINE_BYTES_MAX)) {
      // On the socket of root the director finds events beside it.
      const { events: _, ...now } = (await readOwn(line, 'program', schema)) as Snapshot & {
        readonly events?: unknown;
      };
      yield now;
    }
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

/**
 * A daemon of this very version writes what this version knows; only of another one the answer is
 * looked through. Loading what does that takes a third of a command's time. `field`: where an
 * answer has the version of who wrote it.
 */
async function readOwn<T>(text: string, field: string, schema: () => Promise<z.ZodType<T>>): Promise<T> {
  const answer = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
  return answer?.[field] === packageVersion() ? (answer as T) : readAs(text, await schema());
}

function readAs<T>(text: string, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`not the answer this version knows, at "${issue?.path.join('.')}": ${issue?.message}`);
}
