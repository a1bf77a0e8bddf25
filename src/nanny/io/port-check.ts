// Runs one check of a server that is not FTP on a real socket: carries events to the dialogue
// (../port-check.ts) and does what it says. Decides nothing itself. When its promise is settled,
// the socket is closed and no timer is left.
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { familyOf } from '../../units/address.ts';
import { ownFault } from '../own-fault.ts';
import type { PortPlan } from '../plain-plan.ts';
import {
  beginPort,
  type PortDialogue,
  type PortEffect,
  type PortEvent,
  type PortStep,
  stepPort,
} from '../port-check.ts';
import type { CheckOptions, CheckOutcome } from './check-outcome.ts';
import { CheckTimer } from './check-timer.ts';
import { httpRequest } from './http-request.ts';
import { localEnd } from './local-end.ts';
import { presentedCertificate, secureControl } from './tls-client.ts';

/** Never rejects. */
export function runPortCheck(plan: PortPlan, options: CheckOptions): Promise<CheckOutcome> {
  if (options.signal?.aborted) return Promise.resolve({ type: 'aborted' });
  return new Promise(resolve => {
    new PortCheck(plan, options, resolve);
  });
}

/** The connection of a check, or what stands for one. */
interface Wire {
  send(bytes: Uint8Array): void;
  close(): void;
}

class PortCheck {
  readonly #plan: PortPlan;
  readonly #options: CheckOptions;
  readonly #resolve: (outcome: CheckOutcome) => void;
  readonly #timer: CheckTimer;
  readonly #onAbort = () => this.#settle({ type: 'aborted' });
  #dialogue: PortDialogue;
  #wire: Wire | undefined;
  /** Of TCP: the plain one, and what speaks over it. */
  #socket: Socket | undefined;
  #outcome: CheckOutcome | undefined;

  constructor(plan: PortPlan, options: CheckOptions, resolve: (outcome: CheckOutcome) => void) {
    this.#plan = plan;
    this.#options = options;
    this.#resolve = resolve;
    this.#timer = new CheckTimer(options.now, () => this.#feed({ type: 'timeout' }));
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    const begun = beginPort(plan, options.now());
    this.#dialogue = begun.next;
    if (plan.protocol === 'tcp') this.#openStream();
    else this.#openDatagrams();
    this.#take(begun);
  }

  #openStream(): void {
    const { address: host, port, origin } = this.#plan;
    const socket = connect({ host, port, ...localEnd(origin) });
    this.#use(socket);
    this.#wire = { send: bytes => this.#socket?.write(bytes), close: () => socket.destroy() };
    socket.on('connect', () => this.#feed({ type: 'connected' }));
    socket.on('close', () => this.#onClosed());
  }

  /** What is heard and said goes through this one from now on. */
  #use(socket: Socket): void {
    const before = this.#socket;
    this.#socket = socket;
    // Whoever was in use may still break; the error is reported by what is above it.
    before?.removeAllListeners('error').on('error', () => {});
    socket.on('error', error => this.#feedError(error));
  }

  #listen(): void {
    this.#socket?.on('data', bytes => this.#feed({ type: 'received', bytes }));
    this.#socket?.on('end', () => this.#feed({ type: 'closed' }));
  }

  /** Connected: only this server is heard, and "port unreachable" of its host is an error. */
  #openDatagrams(): void {
    const { address, port, origin } = this.#plan;
    const socket: Datagrams = createSocket(familyOf(address) === 6 ? 'udp6' : 'udp4');
    // Node does not know what it is given while it is being bound; to be closed twice is an error.
    let isOpen = true;
    const close = () => {
      if (isOpen) socket.close();
      isOpen = false;
    };
    // An error of send(2) comes by its callback only: too long, or dropped by a firewall here.
    const send = (bytes: Uint8Array) => socket.send(bytes, error => error && this.#feedError(error));
    this.#wire = { send, close };
    socket.on('connect', () => this.#feed({ type: 'connected' }));
    socket.on('error', error => this.#feedError(error));
    socket.on('message', bytes => this.#feed({ type: 'received', bytes }));
    socket.on('close', () => this.#onClosed());
    const { localAddress, localPort } = localEnd(origin);
    socket.bind({ port: localPort ?? 0, ...(localAddress !== undefined && { address: localAddress }) }, () => {
      if (isOpen) socket.connect(port, address);
    });
  }

  #secure(): void {
    const { tls } = this.#plan;
    const plain = this.#socket;
    if (tls === undefined || plain === undefined) return;
    const secured = secureControl(plain, tls);
    this.#use(secured);
    secured.on('secureConnect', () => this.#feed({ type: 'secured', certificate: presentedCertificate(secured, tls) }));
    // Ended before it is secure, it says nothing else.
    secured.on('end', () => this.#dialogue.phase.name === 'securing' && this.#feed({ type: 'closed' }));
  }

  #request(): void {
    const { asks } = this.#plan;
    if (asks.type !== 'http' || this.#socket === undefined) return;
    httpRequest(this.#socket, this.#plan, asks, {
      feed: event => this.#feed(event),
      fail: error => this.#feedError(error),
    });
  }

  #feedError(error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.message;
    const reason = ownFault(code);
    if (reason !== undefined) this.#settle({ type: 'impossible', reason });
    else this.#feed({ type: 'closed', error: code });
  }

  #feed(event: PortEvent): void {
    if (this.#outcome) return;
    this.#take(stepPort(this.#dialogue, event, this.#options.now()));
  }

  #take({ next, effects }: PortStep): void {
    const before = this.#dialogue.phase.name;
    this.#dialogue = next;
    const isReading = (name: string) => name === 'greeting' || name === 'answer';
    if (this.#plan.protocol === 'tcp' && isReading(next.phase.name) && !isReading(before)) this.#listen();
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: PortEffect): void {
    switch (effect.type) {
      case 'secure':
        this.#secure();
        return;
      case 'send':
        this.#wire?.send(effect.bytes);
        return;
      case 'request':
        this.#request();
        return;
      case 'setDeadline':
        this.#timer.set(effect.at);
        return;
      case 'finish':
        this.#settle({ type: 'result', result: effect.result });
        return;
    }
  }

  #settle(outcome: CheckOutcome): void {
    if (this.#outcome) return;
    this.#outcome = outcome;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#timer.clear();
    this.#socket?.destroy();
    this.#wire?.close();
  }

  /** What the connection has still said before is heard first: HTTP's reader hands it on later. */
  #onClosed(): void {
    setImmediate(() => {
      this.#feed({ type: 'closed' });
      if (this.#outcome) this.#resolve(this.#outcome);
    });
  }
}
