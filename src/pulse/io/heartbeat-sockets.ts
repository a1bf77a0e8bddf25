// The heartbeat's UDP sockets, one for each link, bound to the router's own address there and
// connected to the peer's, so that the kernel lets in nobody else's datagrams (dgram cannot bind to
// a device). A link that cannot be opened, for want of its address or of a route, is tried again,
// with the reason told; the others go on meanwhile.

import { createSocket, type Socket } from 'node:dgram';
import type { Link } from '../../config/node.ts';
import { familyOf } from '../../units/address.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
import { holderOf } from './port-holder.ts';

const RETRY_MS = 1_000;
/**
 * A connected socket is told what ICMP says of the peer, as the error of the next call: with
 * ECONNREFUSED waiting, the kernel returns that instead of sending. The call has taken the error
 * away, so the same datagram goes out at once.
 */
const SENDINGS_MAX = 5;
/**
 * What the network said of a datagram that has gone: the peer's pulse starts, a gateway has no
 * route, or a stranger forged it. It proves nothing, and a peer that is really gone is told of by
 * its silence.
 */
const HEARSAY = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOPROTOOPT', 'EPROTO', 'EMSGSIZE', 'EACCES'];
/** Looking for who has the port reads a good part of /proc. */
const LOOK_AGAIN_MS = 30_000;

interface HeartbeatSocketsOptions {
  readonly links: readonly Link[];
  readonly port: number;
  readonly onDatagram: (link: number, bytes: Buffer, from: string) => void;
  /** The link has its socket, or why it has none; told at every try. */
  readonly onBound: (link: number, problem: string | undefined) => void;
  readonly onTrouble: (link: number, problem: string) => void;
}

export interface HeartbeatSockets {
  send(link: number, bytes: Buffer): void;
  /** An address has come: links that are not open need not wait for their next try. */
  retry(): void;
  close(): void;
}

export function openHeartbeatSockets(options: HeartbeatSocketsOptions): HeartbeatSockets {
  const sockets: (Socket | undefined)[] = options.links.map(() => undefined);
  const retries = new Map<number, NodeJS.Timeout>();
  const inUse = inUseTeller(options.port, (index, problem) => {
    if (!closed && retries.has(index)) options.onBound(index, problem);
  });
  let closed = false;

  const open = (link: Link, index: number) => {
    retries.delete(index);
    if (closed) return;
    const socket = createSocket({
      type: familyOf(link.local) === 4 ? 'udp4' : 'udp6',
      ipv6Only: familyOf(link.local) === 6,
    });
    const fail = (error: NodeJS.ErrnoException) => {
      socket.removeListener('error', fail);
      socket.close();
      if (closed) return;
      retries.set(
        index,
        setTimeout(() => open(link, index), RETRY_MS),
      );
      options.onBound(index, error.code === 'EADDRINUSE' ? inUse(link, index) : whyNotBound(link, error));
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
      options.onBound(index, undefined);
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
    retry() {
      for (const [index, timer] of [...retries]) {
        clearTimeout(timer);
        open(options.links[index] as Link, index);
      }
    },
    close() {
      closed = true;
      for (const timer of retries.values()) clearTimeout(timer);
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

function whyNotBound({ local }: Link, { code, message }: NodeJS.ErrnoException): string {
  return code === 'EADDRNOTAVAIL' ? `${local} is not on this host` : message;
}

/**
 * What to say of a port that is taken: without a name at first, by whom once that has been found.
 */
function inUseTeller(port: number, found: (link: number, problem: string) => void) {
  const known = new Map<number, { readonly lookedAt: number; readonly holder: string }>();
  const sentence = (link: Link, holder: string) => `UDP port ${port} of ${link.local} is in use by ${holder}`;
  return (link: Link, index: number): string => {
    const before = known.get(index);
    const holder = before?.holder ?? 'another program';
    const now = monotonicNow();
    if (before === undefined || now - before.lookedAt > LOOK_AGAIN_MS) {
      known.set(index, { lookedAt: now, holder });
      void holderOf(link.local, port).then(name => {
        if (name === undefined) return;
        known.set(index, { lookedAt: now, holder: name });
        found(index, sentence(link, name));
      });
    }
    return sentence(link, holder);
  };
}
