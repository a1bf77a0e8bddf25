// The bound on the connections of one server: one more takes the place of the idlest. So those who
// connect and say nothing, however many, keep nobody out.
import type { Socket } from 'node:net';

export class LimitedConnections {
  readonly #max: number;
  readonly #onDropped: () => void;
  /** Those that came, or were used, longest ago first. */
  readonly #sockets = new Set<Socket>();

  constructor(max: number, onDropped = () => {}) {
    this.#max = max;
    this.#onDropped = onDropped;
  }

  add(socket: Socket): void {
    if (this.#sockets.size >= this.#max) this.drop(idlestOf(this.#sockets));
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** Something came on it. */
  use(socket: Socket): void {
    if (this.#sockets.delete(socket)) this.#sockets.add(socket);
  }

  /** It counts no more: somebody else bounds it. */
  release(socket: Socket): void {
    this.#sockets.delete(socket);
  }

  drop(socket: Socket): void {
    this.#sockets.delete(socket);
    this.#onDropped();
    socket.destroy();
  }

  all(): readonly Socket[] {
    return [...this.#sockets];
  }
}

/** Who has the most unread; of those that have read all, who was used longest ago. */
function idlestOf(sockets: ReadonlySet<Socket>): Socket {
  return [...sockets].reduce((idlest, socket) => (socket.writableLength > idlest.writableLength ? socket : idlest));
}
