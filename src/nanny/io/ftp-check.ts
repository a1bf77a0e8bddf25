// Runs one check on real sockets: carries events to the dialogue (../ftp.ts) and does what it says.
// Decides nothing itself. When its promise is settled, every socket is closed and no timer is left.
import { connect, type Socket } from 'node:net';
import type { At } from '../../units/duration.ts';
import {
  beginDialogue,
  type Dialogue,
  type DialogueEffect,
  type DialogueEvent,
  type Step,
  stepDialogue,
} from '../ftp.ts';
import type { CheckPlan } from '../ftp-rules.ts';
import type { CheckResult } from '../verdict.ts';

export type CheckOutcome =
  | { readonly type: 'result'; readonly result: CheckResult }
  /** This router has run out of something; that says nothing about the server. */
  | { readonly type: 'impossible'; readonly reason: string }
  | { readonly type: 'aborted' };

interface CheckOptions {
  /** Monotonic clock. */
  readonly now: () => At;
  /** Gives the check up at once. */
  readonly signal?: AbortSignal;
}

/** Error codes of connect(2) and socket(2) that speak of this router, not of the server. */
const OWN_FAULTS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

/** Checks one server as an FTP client would. Never rejects. */
export function runCheck(plan: CheckPlan, options: CheckOptions): Promise<CheckOutcome> {
  if (options.signal?.aborted) return Promise.resolve({ type: 'aborted' });
  return new Promise(resolve => {
    new Check(plan, options, resolve);
  });
}

class Check {
  readonly #plan: CheckPlan;
  readonly #options: CheckOptions;
  readonly #resolve: (outcome: CheckOutcome) => void;
  readonly #control: Socket;
  readonly #onAbort = () => this.#settle({ type: 'aborted' });
  #data: Socket | undefined;
  #dialogue: Dialogue;
  #timer: NodeJS.Timeout | undefined;
  #outcome: CheckOutcome | undefined;
  /** Sockets whose `close` has not come. */
  #sockets = 0;

  constructor(plan: CheckPlan, options: CheckOptions, resolve: (outcome: CheckOutcome) => void) {
    this.#plan = plan;
    this.#options = options;
    this.#resolve = resolve;
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    const begun = beginDialogue(plan, options.now());
    this.#dialogue = begun.next;
    this.#control = this.#open(plan.controlPort);
    this.#control.on('connect', () => this.#feed({ type: 'connected' }));
    this.#control.on('data', bytes => this.#feed({ type: 'received', bytes }));
    this.#control.on('end', () => this.#feed({ type: 'closed' }));
    this.#control.on('error', error => this.#feedError('closed', error));
    this.#take(begun);
  }

  #open(port: number): Socket {
    const socket = connect({ host: this.#plan.address, port });
    this.#sockets += 1;
    socket.on('close', () => {
      this.#sockets -= 1;
      this.#resolveWhenClosed();
    });
    return socket;
  }

  #openData(port: number): void {
    const socket = this.#open(port);
    this.#data = socket;
    // A data socket that was given up still reports; only the current one is listened to.
    const isCurrent = () => this.#data === socket;
    socket.on('connect', () => isCurrent() && this.#feed({ type: 'data-connected' }));
    socket.on('data', bytes => isCurrent() && this.#feed({ type: 'data', count: bytes.length }));
    socket.on('end', () => isCurrent() && this.#feed({ type: 'data-closed' }));
    socket.on('error', error => isCurrent() && this.#feedError('data-closed', error));
  }

  #closeData(): void {
    const socket = this.#data;
    this.#data = undefined;
    socket?.destroy();
  }

  #feedError(type: 'closed' | 'data-closed', error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.message;
    if (OWN_FAULTS.has(code)) {
      this.#settle({ type: 'impossible', reason: `this router cannot open a connection (${code})` });
      return;
    }
    this.#feed({ type, error: code });
  }

  #feed(event: DialogueEvent): void {
    if (this.#outcome) return;
    this.#take(stepDialogue(this.#dialogue, event, this.#options.now()));
  }

  #take(step: Step): void {
    this.#dialogue = step.next;
    for (const effect of step.effects) this.#do(effect);
  }

  #do(effect: DialogueEffect): void {
    switch (effect.type) {
      case 'sendLine':
        this.#control.write(`${effect.line}\r\n`);
        return;
      case 'openData':
        this.#openData(effect.port);
        return;
      case 'closeData':
        this.#closeData();
        return;
      case 'setDeadline':
        this.#setDeadline(effect.at);
        return;
      case 'finish':
        this.#settle({ type: 'result', result: effect.result });
        return;
    }
  }

  #setDeadline(at: At): void {
    clearTimeout(this.#timer);
    const timer = setTimeout(
      () => {
        // If it was this process that came late, the server's answer may be waiting in the socket
        // while Node runs timers first. The poll phase that reads it lies between here and
        // setImmediate; an answer then replaces or clears the timer.
        setImmediate(() => {
          if (this.#timer === timer) this.#feed({ type: 'timeout' });
        });
      },
      Math.max(0, Math.ceil(at - this.#options.now())),
    );
    this.#timer = timer;
  }

  #settle(outcome: CheckOutcome): void {
    if (this.#outcome) return;
    this.#outcome = outcome;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#closeData();
    this.#control.destroy();
  }

  #resolveWhenClosed(): void {
    if (this.#outcome && this.#sockets === 0) this.#resolve(this.#outcome);
  }
}
