// The data connection of one check: opened to the server, or taken from it (active mode); encrypted
// where the check is. It reports what comes and decides nothing. Not pure.
import { createHash } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../../units/address.ts';
import { parseAddress } from '../../units/address.ts';
import type { CheckPlan } from '../check-plan.ts';
import type { DialogueEvent } from '../dialogue.ts';
import { localEnd } from './local-end.ts';
import { secureData } from './tls-client.ts';

interface DataPorts {
  readonly feed: (event: DialogueEvent) => void;
  readonly feedError: (error: NodeJS.ErrnoException) => void;
  /** To be called with everything that must be closed before the check is over. */
  readonly track: <T extends Socket | Server>(thing: T) => T;
  /** Session of the control connection, to be resumed. */
  readonly session: () => Buffer | undefined;
}

export class DataConnection {
  readonly #plan: CheckPlan;
  readonly #ports: DataPorts;
  #plain: Socket | undefined;
  #socket: Socket | undefined;
  #server: Server | undefined;

  constructor(plan: CheckPlan, ports: DataPorts) {
    this.#plan = plan;
    this.#ports = ports;
  }

  /** To the server itself, whatever address it has announced. */
  open(port: number): void {
    const { address: host, origin } = this.#plan;
    const plain = this.#ports.track(connect({ host, port, ...localEnd(origin) }));
    plain.on('connect', () => this.#plain === plain && this.#ports.feed({ type: 'data-connected' }));
    this.#use(plain);
  }

  /**
   * Waits on `here`, the router's own address of the control connection, at a port of the kernel's
   * choice.
   */
  listen(here: Address): void {
    const server = this.#ports.track(createServer());
    this.#server = server;
    const isCurrent = () => this.#server === server;
    server.on('error', error => isCurrent() && this.#ports.feedError(error));
    server.on('connection', socket => {
      this.#ports.track(socket);
      const from = originOf(socket);
      // Anybody can connect; only the server's own connection is the one that was asked for.
      if (!isCurrent() || this.#plain !== undefined || from?.address !== this.#plan.address) {
        socket.on('error', () => {});
        socket.destroy();
        return;
      }
      server.close();
      this.#use(socket);
      this.#ports.feed({ type: 'data-connected', from });
    });
    server.listen(0, here, () => {
      const bound = server.address();
      if (!isCurrent() || bound === null || typeof bound === 'string') return;
      this.#ports.feed({ type: 'listening', address: here, port: bound.port });
    });
  }

  send(text: string): void {
    this.#socket?.end(text);
  }

  close(): void {
    const [plain, socket, server] = [this.#plain, this.#socket, this.#server];
    this.#plain = undefined;
    this.#socket = undefined;
    this.#server = undefined;
    socket?.destroy();
    plain?.destroy();
    server?.close();
  }

  #use(plain: Socket): void {
    const { tls, content } = this.#plan;
    this.#plain = plain;
    plain.on('error', () => {});
    const socket = tls ? secureData(plain, tls, this.#ports.session()) : plain;
    this.#socket = socket;
    const hash = content.sha256 === undefined ? undefined : createHash('sha256');
    // A data socket that was given up still reports; only the current one is listened to.
    const isCurrent = () => this.#socket === socket;
    socket.on('data', bytes => {
      if (!isCurrent()) return;
      hash?.update(bytes);
      this.#ports.feed({ type: 'data', bytes });
    });
    socket.on('end', () => {
      if (isCurrent()) this.#ports.feed({ type: 'data-closed', ...(hash && { sha256: hash.digest('hex') }) });
    });
    socket.on('error', error => isCurrent() && this.#ports.feedError(error));
  }
}

function originOf({ remoteAddress, remotePort }: Socket) {
  const address = parseAddress(remoteAddress ?? '');
  return address === undefined || remotePort === undefined ? undefined : { address, port: remotePort };
}
