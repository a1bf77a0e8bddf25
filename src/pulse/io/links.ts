// The heartbeat's UDP sockets, one for each link, bound to the router's own address there and connected to the peer's, so that the
// kernel lets in nobody else's datagrams (dgram cannot bind to a device). A link that cannot be opened, for want of its address or
// of a route, is tried again; the others go on meanwhile.
import { createSocket, type Socket } from 'node:dgram';
import type { Link } from '../../config/node.ts';
import { familyOf } from '../../units/address.ts';

const RETRY_MS = 1_000;
/**
 * A connected socket is told what ICMP says of the peer, as the error of the next call: with ECONNREFUSED waiting, the kernel
 * returns that instead of sending. The call has taken the error away, so the same datagram goes out at once.
 */
const SENDINGS_MAX = 5;
/**
 * What the network said of a datagram that has gone: the peer's pulse starts, a gateway has no route, or a stranger forged it. It
 * proves nothing, and a peer that is really gone is told of by its silence.
 */
const HEARSAY = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOPROTOOPT', 'EPROTO', 'EMSGSIZE', 'EACCES'];

export interface LinksOptions {
  readonly links: readonly Link[];
  readonly port: number;
  readonly onDatagram: (link: number, bytes: Buffer, from: string) => void;
  readonly onTrouble: (link: number, problem: string) => void;
}

export interface Links {
  send(link: number, bytes: Buffer): void;
  close(): void;
}

export function openLinks(options: LinksOptions): Links {
  const sockets: (Socket | undefined)[] = options.links.map(() => undefined);
  const retries = new Set<NodeJS.Timeout>();
  let closed = false;

  const open = (link: Link, index: number) => {
    if (closed) return;
    const socket = createSocket({
      type: familyOf(link.local) === 4 ? 'udp4' : 'udp6',
      ipv6Only: familyOf(link.local) === 6,
    });
    const fail = (error: Error) => {
      socket.removeListener('error', fail);
      socket.close();
      if (closed) return;
      options.onTrouble(index, error.message);
      const timer = setTimeout(() => {
        retries.delete(timer);
        open(link, index);
      }, RETRY_MS);
      retries.add(timer);
    };
    socket.on('error', fail);
    const ready = () => {
      socket.removeListener('error', fail);
      // From here on an error is one datagram's, never the end of the link.
      socket.on('error', error => {
        if (!isHearsay(error)) options.onTrouble(index, error.message);
      });
      socket.setTTL(1);
      sockets[index] = socket;
    };
    socket.on('message', (bytes, sender) => {
      options.onDatagram(index, bytes, sender.address);
    });
    socket.bind({ address: link.local, port: options.port, exclusive: true }, () => {
      connectTo(socket, options.port, link.remote, error => (error ? fail(error) : ready()));
    });
  };

  const send = (index: number, bytes: Buffer, sendings: number) => {
    sockets[index]?.send(bytes, error => {
      if (!error || closed) return;
      if (isHearsay(error) && sendings < SENDINGS_MAX) send(index, bytes, sendings + 1);
      else options.onTrouble(index, error.message);
    });
  };

  options.links.forEach(open);
  return {
    send: (index, bytes) => send(index, bytes, 1),
    close() {
      closed = true;
      for (const timer of retries) clearTimeout(timer);
      for (const socket of sockets) socket?.close();
    },
  };
}

/** dgram's connect(), with its errors (no route) as an argument: its types leave them out. */
function connectTo(socket: Socket, port: number, address: string, done: (error?: Error) => void): void {
  socket.connect(port, address, done as () => void);
}

function isHearsay(error: Error): boolean {
  return HEARSAY.includes((error as NodeJS.ErrnoException).code ?? '');
}
