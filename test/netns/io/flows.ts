// Makes TCP connections inside one namespace for conntrack.test.ts: arguments are "from port to port listener-address" each, and each
// exchanges a byte in both directions. Says "made", waits for a line, closes all and ends.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

interface Flow {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  /** Where it arrives after translation. */
  readonly listener: string;
}

function flowsOf(args: readonly string[]): Flow[] {
  return args.map(text => {
    const [from = '', fromPort, to = '', toPort, listener = ''] = text.split(' ');
    return { from, fromPort: Number(fromPort), to, toPort: Number(toPort), listener };
  });
}

async function make({ from, fromPort, to, toPort, listener }: Flow): Promise<Socket> {
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(toPort, listener);
  await once(server, 'listening');
  const socket = connect({ host: to, port: toPort, localAddress: from, localPort: fromPort });
  await once(socket, 'connect');
  socket.write('x');
  await once(socket, 'data');
  server.close();
  return socket;
}

const sockets = await Promise.all(flowsOf(process.argv.slice(2)).map(make));
process.stdout.write('made\n');
await once(process.stdin, 'data');
for (const socket of sockets) socket.end();
await Promise.all(sockets.map(socket => once(socket, 'close')));
process.exit(0);
