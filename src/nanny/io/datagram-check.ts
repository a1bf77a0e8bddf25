// Sends a server an empty datagram, and hears whether somebody says that nobody is there: ICMP
// comes as an error of a connected socket. When its promise is settled, the socket is closed and no
// timer is left. Not pure. Source: udp(7), udp_err in net/ipv4/udp.c.
import { createSocket, type Socket } from 'node:dgram';
import { familyOf, hostPort } from '../../units/address.ts';
import { type At, after, between } from '../../units/duration.ts';
import { ownFault } from '../own-fault.ts';
import type { DatagramPlan } from '../plain-plan.ts';
import type { CheckOptions, CheckOutcome } from './check-outcome.ts';
import { CheckTimer } from './check-timer.ts';
import { localEnd } from './local-end.ts';

/** Never rejects. */
export function runDatagramCheck(plan: DatagramPlan, options: CheckOptions): Promise<CheckOutcome> {
  if (options.signal?.aborted) return Promise.resolve({ type: 'aborted' });
  return new Promise(resolve => {
    new DatagramCheck(plan, options, resolve);
  });
}

class DatagramCheck {
  readonly #plan: DatagramPlan;
  readonly #options: CheckOptions;
  readonly #startedAt: At;
  readonly #socket: Socket;
  readonly #timer: CheckTimer;
  readonly #resolve: (outcome: CheckOutcome) => void;
  readonly #onAbort = () => this.#settle({ type: 'aborted' });
  #isSettled = false;

  constructor(plan: DatagramPlan, options: CheckOptions, resolve: (outcome: CheckOutcome) => void) {
    const { now, signal } = options;
    this.#plan = plan;
    this.#options = options;
    this.#resolve = resolve;
    this.#startedAt = now();
    this.#timer = new CheckTimer(now, () => this.#onSilence());
    this.#socket = createSocket(familyOf(plan.address) === 6 ? 'udp6' : 'udp4');
    this.#timer.set(after(this.#startedAt, plan.timeoutMs));
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#begin();
  }

  /** Without callbacks where there is an event: Node gives an error to the one or to the other. */
  #begin(): void {
    const socket = this.#socket;
    const { address, port, origin } = this.#plan;
    const { localAddress, localPort = 0 } = localEnd(origin);
    const onError = (error: NodeJS.ErrnoException | null) => error && this.#onError(error);
    socket.on('error', onError);
    socket.on('message', () => this.#onAnswer());
    socket.on('listening', () => this.#isSettled || socket.connect(port, address));
    // An error of send(2) comes by its callback only.
    socket.on('connect', () => this.#isSettled || socket.send('', onError));
    socket.bind({ ...(localAddress && { address: localAddress }), port: localPort, exclusive: true });
  }

  /** Nobody has said that nobody is there. No time was measured. */
  #onSilence(): void {
    this.#settle({ type: 'result', result: { ok: true, tookMs: 0, bytes: 0 } });
  }

  #onAnswer(): void {
    this.#settle({ type: 'result', result: { ok: true, ...this.#times(), bytes: 0 } });
  }

  #onError({ code = '', message }: NodeJS.ErrnoException): void {
    const reason = ownFault(code);
    if (reason !== undefined) return this.#settle({ type: 'impossible', reason });
    const { address, port } = this.#plan;
    const problem = `${hostPort(address, port)} cannot be reached by UDP (${code || message})`;
    const told = { stage: 'connect', life: 'none', problem, words: '' } as const;
    this.#settle({ type: 'result', result: { ok: false, ...this.#times(), ...told } });
  }

  #times() {
    const tookMs = Math.round(between(this.#startedAt, this.#options.now()));
    return { tookMs, stagesMs: { connect: tookMs } };
  }

  #settle(outcome: CheckOutcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#timer.clear();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#socket.close(() => this.#resolve(outcome));
  }
}
