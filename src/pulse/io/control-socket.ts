// pulse's root-only control socket: one JSON request a line, one JSON reply a line. It works with
// the director dead. The director's connection brings a report each second, so of those that say
// nothing another one makes room for `tandem hold`.
import { createServer } from 'node:net';
import { z } from 'zod';
import { LINE_BYTES_MAX } from '../../feed/files.ts';
import { type ControlReply, type ControlRequest, controlRequestSchema } from '../../feed/message.ts';
import { LimitedConnections } from '../../socket/io/limited-connections.ts';
import { listenOn, removeStaleSocket } from '../../socket/io/unix.ts';
import { lineReader } from '../../socket/lines.ts';

const CLIENTS_MAX = 16;
const UNREAD_BYTES_MAX = 65_536;

/** At once, but for what has to be read from a disk. */
type Obey = (request: ControlRequest) => ControlReply | Promise<ControlReply>;

export async function serveControl(path: string, obey: Obey): Promise<{ close(): void }> {
  const clients = new LimitedConnections(CLIENTS_MAX);
  const server = createServer(socket => {
    clients.add(socket);
    const lines = lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'end' });
    socket.on('error', () => socket.destroy());
    socket.on('data', chunk => {
      clients.use(socket);
      const write = (reply: ControlReply) => {
        if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
      };
      const reply = (line: string) => {
        const answered = answer(line, obey);
        if (answered instanceof Promise) void answered.then(write);
        else write(answered);
      };
      if (socket.writableLength > UNREAD_BYTES_MAX || !lines.push(chunk, reply)) socket.destroy();
    });
  });
  await removeStaleSocket(path);
  await listenOn(server, path, 'root');
  return {
    close() {
      server.close();
      for (const client of clients.all()) client.destroy();
    },
  };
}

function answer(line: string, obey: Obey): ReturnType<Obey> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { ok: false, code: 'invalid', message: 'not JSON: write one JSON object a line' };
  }
  const request = controlRequestSchema.safeParse(value);
  if (!request.success) return { ok: false, code: 'invalid', message: z.prettifyError(request.error) };
  return obey(request.data);
}
