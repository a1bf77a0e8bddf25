// pulse's root-only control socket: one JSON request a line, one JSON reply a line. It works with
// the director dead.
import { createServer, type Socket } from 'node:net';
import { z } from 'zod';
import { type ControlReply, type ControlRequest, controlRequestSchema, LINE_BYTES_MAX } from '../../feed/message.ts';
import { listenOn, removeStaleSocket } from '../../socket/io/unix.ts';
import { lineReader } from '../../socket/lines.ts';

const CLIENTS_MAX = 16;
const UNREAD_BYTES_MAX = 65_536;

export async function serveControl(
  path: string,
  obey: (request: ControlRequest) => ControlReply,
): Promise<{ close(): void }> {
  const clients = new Set<Socket>();
  const server = createServer(socket => {
    clients.add(socket);
    const lines = lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'end' });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => clients.delete(socket));
    socket.on('data', chunk => {
      const reply = (line: string) => socket.write(`${JSON.stringify(answer(line, obey))}\n`);
      if (socket.writableLength > UNREAD_BYTES_MAX || !lines.push(chunk, reply)) socket.destroy();
    });
  });
  server.maxConnections = CLIENTS_MAX;
  await removeStaleSocket(path);
  await listenOn(server, path, 'root');
  return {
    close() {
      server.close();
      for (const client of clients) client.destroy();
    },
  };
}

function answer(line: string, obey: (request: ControlRequest) => ControlReply): ControlReply {
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
