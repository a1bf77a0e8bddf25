// The listening side of a sync link: only from the peer's address on that link, few at a time, and
// only with the pair's key. Not pure.
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { Link } from '../../../config/node.ts';
import { type Address, hostPort, parseAddress } from '../../../units/address.ts';
import { TAKES_PROTOCOL, TLS_ONLY } from '../link-key.ts';
import type { CountLink, LinkLimits } from '../link-limits.ts';

const BACKLOG = 16;

interface AcceptOptions {
  readonly link: Pick<Link, 'local' | 'remote'>;
  readonly port: number;
  /** Those in use now. */
  readonly keys: () => ReadonlyMap<string, Buffer>;
  readonly limits: LinkLimits;
  readonly count: CountLink;
  /** `identity`: of the key that it has proved. */
  connected(socket: TLSSocket, identity: string): void;
  /** Why nothing can be accepted, as a clause; undefined: it listens now. */
  listening(problem: string | undefined): void;
}

interface Acceptor {
  /** Frees the port at once; resolves when the connections that were handed over have ended too. */
  close(): Promise<void>;
}

export function startAcceptor(options: AcceptOptions): Acceptor {
  const halfOpen = createHalfOpen(options);
  const tls = createHandshakes(options, halfOpen);
  const server = createServer({ noDelay: true, pauseOnConnect: true }, socket => {
    socket.on('error', () => socket.destroy());
    if (!isPeer(socket, options.link.remote)) {
      options.count('refused_foreign-source');
      socket.destroy();
      return;
    }
    halfOpen.add(socket);
    tls.emit('connection', socket);
  });
  const stop = keepListening(server, options);
  return {
    close: async () => {
      stop();
      halfOpen.clear();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

function isPeer(socket: Socket, remote: Address): boolean {
  return parseAddress(socket.remoteAddress ?? '') === remote;
}

/** Binds, and tries again for as long as the address or the port is not there. */
function keepListening(server: Server, { link, port, limits, count, listening }: AcceptOptions): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const bind = (): void => {
    server.listen({ host: link.local, port, backlog: BACKLOG, ipv6Only: true });
  };
  server.on('listening', () => {
    // bind(2) follows listen() a turn later.
    if (stopped) server.close();
    else listening(undefined);
  });
  server.on('error', error => {
    // An error of accept(2) leaves the socket as it is.
    if (stopped || server.listening) return;
    count('bindFailures');
    listening(`cannot listen on ${hostPort(link.local, port)} (${error.message})`);
    timer = setTimeout(bind, limits.bindAgainMs);
  });
  bind();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

interface HalfOpen {
  add(socket: Socket): void;
  /** The connection from this port of the peer is authenticated, or over. */
  remove(remotePort: number | undefined): void;
  clear(): void;
}

/** Connections that have not authenticated yet, by the peer's port, oldest first. */
function createHalfOpen({ limits, count }: AcceptOptions): HalfOpen {
  const sockets = new Map<number, Socket>();
  return {
    add: socket => {
      const { remotePort } = socket;
      if (remotePort === undefined) return;
      const [oldest] = sockets;
      if (oldest !== undefined && sockets.size >= limits.halfOpenMax) {
        count('refused_half-open');
        sockets.delete(oldest[0]);
        oldest[1].destroy();
      }
      sockets.set(remotePort, socket);
      socket.once('close', () => {
        if (sockets.get(remotePort) === socket) sockets.delete(remotePort);
      });
    },
    remove: remotePort => {
      if (remotePort !== undefined) sockets.delete(remotePort);
    },
    clear: () => {
      for (const socket of sockets.values()) socket.destroy();
      sockets.clear();
    },
  };
}

/**
 * TLS for connections that another server accepted; it never listens itself. Without a certificate
 * only a key can succeed.
 */
function createHandshakes({ keys, limits, count, connected }: AcceptOptions, halfOpen: HalfOpen): TlsServer {
  const unknown = new WeakSet<TLSSocket>();
  const proved = new WeakMap<TLSSocket, string>();
  const server = createTlsServer({
    ...TLS_ONLY,
    ALPNProtocols: [TAKES_PROTOCOL],
    handshakeTimeout: limits.handshakeMs,
    pskCallback: (socket, identity) => {
      const key = keys().get(identity);
      if (key === undefined) unknown.add(socket);
      else proved.set(socket, identity);
      return key ?? null;
    },
  });
  server.on('secureConnection', socket => {
    halfOpen.remove(socket.remotePort);
    connected(socket, proved.get(socket) ?? '');
  });
  server.on('tlsClientError', (_error, socket) => {
    count(unknown.has(socket) ? 'refused_unknown-key' : 'refused_handshake');
    socket.destroy();
  });
  return server;
}
