// The heartbeat's sockets: one UDP socket for each link, bound to this router's own address there, TTL 1 (dgram cannot bind to
// a device). A link that cannot be opened is tried again; the others go on meanwhile.
import { createSocket, type Socket } from 'node:dgram';
import type { Link } from '../../config/node.ts';
import { familyOf } from '../../units/address.ts';

const RETRY_MS = 1_000;

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
      options.onTrouble(index, error.message);
      sockets[index] = undefined;
      socket.close();
      const timer = setTimeout(() => {
        retries.delete(timer);
        open(link, index);
      }, RETRY_MS);
      retries.add(timer);
    };
    socket.once('error', fail);
    socket.on('message', (bytes, sender) => {
      options.onDatagram(index, bytes, sender.address);
    });
    socket.bind({ address: link.local, port: options.port, exclusive: true }, () => {
      socket.removeListener('error', fail);
      // From here on an error is one failed packet (an unreachable peer), never the end of the link.
      socket.on('error', error => options.onTrouble(index, error.message));
      socket.setTTL(1);
      sockets[index] = socket;
    });
  };

  options.links.forEach(open);
  return {
    send(index, bytes) {
      const link = options.links[index];
      sockets[index]?.send(bytes, options.port, link?.remote, error => {
        if (error) options.onTrouble(index, error.message);
      });
    },
    close() {
      closed = true;
      for (const timer of retries) clearTimeout(timer);
      for (const socket of sockets) socket?.close();
    },
  };
}
