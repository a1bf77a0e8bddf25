// Asks pulse on this router to read its config again, over its root-only control socket: pulse does
// so in a process of its own, and says what came of it. Not pure.
import { connect } from 'node:net';
import { join } from 'node:path';
import { CONTROL_SOCKET, LINE_BYTES_MAX } from '../../feed/files.ts';
import { type ControlReply, type ControlRequest, controlReplySchema } from '../../feed/message.ts';
import type { PulseWord } from '../../feed/reload-answer.ts';
import { readLines } from '../../socket/io/read-lines.ts';

/** Longer than pulse gives the process that reads (config-reader.ts), and one before it. */
const ANSWER_MS_MAX = 22_000;

/**
 * `dryRun`: pulse takes nothing. `digest`: of the file as the director has read it. Never rejects.
 */
export async function askPulse(runDir: string, dryRun: boolean, digest: string): Promise<PulseWord> {
  const path = join(runDir, CONTROL_SOCKET);
  let reply: ControlReply;
  try {
    reply = await ask(path, { command: 'reload', dryRun });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const away = code === 'ENOENT' || code === 'ECONNREFUSED';
    const problem = away
      ? 'pulse does not run here; at its start it reads the file: systemctl start tandem-pulse'
      : `pulse does not answer on ${path} (${message}); look at: journalctl -u tandem-pulse`;
    return { state: 'unreachable', digest: null, waiting: [], problem };
  }
  return wordOf(reply, digest);
}

function wordOf({ ok, code, message, reading }: ControlReply, digest: string): PulseWord {
  const refused = (problem: string): PulseWord => ({ state: 'refused', digest: null, waiting: [], problem });
  if (code === 'invalid') return refused('pulse is of an older version: systemctl reload tandem-pulse');
  if (!ok || reading === undefined) return refused(`pulse refuses: ${message}`);
  const { waiting } = reading;
  const problem =
    reading.digest === digest
      ? reading.keysProblem
      : `pulse has read another config (digest ${reading.digest}): are both daemons started with the same --config?`;
  return { state: 'read', digest: reading.digest, waiting, problem };
}

async function ask(path: string, request: ControlRequest): Promise<ControlReply> {
  const socket = connect(path);
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of readLines(socket, ANSWER_MS_MAX, LINE_BYTES_MAX)) {
      return controlReplySchema.parse(JSON.parse(line));
    }
    throw new Error('it closed the connection without a reply');
  } finally {
    socket.destroy();
  }
}
