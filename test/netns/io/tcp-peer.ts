// One TCP end in a namespace, for tests that are about packets: commands on stdin, one JSON a line, events on stdout. Io.
//   {"listen":[address,port]} · {"connect":[address,port,localAddress,localPort]} · {"send":text} · ends with its stdin
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

interface Command {
  readonly listen?: readonly [string, number];
  readonly connect?: readonly [string, number, string, number];
  readonly send?: string;
}

let socket: Socket | undefined;
const say = (event: Readonly<Record<string, unknown>>): boolean => process.stdout.write(`${JSON.stringify(event)}\n`);

function adopt(own: Socket): void {
  socket = own;
  own.setNoDelay(true);
  own.on('data', data => say({ event: 'data', text: data.toString() }));
  own.on('error', (error: NodeJS.ErrnoException) => say({ event: 'error', code: error.code ?? error.message }));
  own.on('close', () => say({ event: 'close' }));
}

createInterface({ input: process.stdin })
  .on('line', line => {
    const command = JSON.parse(line) as Command;
    if (command.listen) {
      const [host, port] = command.listen;
      const server = createServer(own => {
        adopt(own);
        say({ event: 'accepted', from: own.remoteAddress, port: own.remotePort });
      });
      server.listen({ host, port }, () => say({ event: 'listening', port: (server.address() as AddressInfo).port }));
    } else if (command.connect) {
      const [host, port, localAddress, localPort] = command.connect;
      const own = connect({ host, port, localAddress, ...(localPort ? { localPort } : {}) });
      adopt(own);
      say({ event: 'connecting' });
      own.on('connect', () => say({ event: 'connected' }));
    } else if (command.send !== undefined) socket?.write(command.send);
  })
  .on('close', () => process.exit(0));
