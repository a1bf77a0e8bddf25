// Runs one check on real sockets: carries events to the dialogue (../ftp.ts) and does what it says.
// Decides nothing itself. When its promise is settled, every socket is closed and no timer is left.
import { connect, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type Address, parseAddress } from '../../units/address.ts';
import type { CheckPlan } from '../check-plan.ts';
import type { Dialogue, DialogueEffect, DialogueEvent, Step } from '../dialogue.ts';
import { beginDialogue, stepDialogue } from '../ftp.ts';
import { ownFault } from '../own-fault.ts';
import type { CheckOptions, CheckOutcome } from './check-outcome.ts';
import { CheckTimer } from './check-timer.ts';
import { DataConnection } from './data-connection.ts';
import { localEnd } from './local-end.ts';
import { presentedCertificate, secureControl } from './tls-client.ts';

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
  /** The control connection, once it is encrypted. */
  #secured: TLSSocket | undefined;
  /** The newest session of the control connection, for data connections to resume. */
  #session: Buffer | undefined;
  readonly #onAbort = () => this.#settle({ type: 'aborted' });
  readonly #data: DataConnection;
  readonly #timer: CheckTimer;
  #dialogue: Dialogue;
  #outcome: CheckOutcome | undefined;
  /** Sockets whose `close` has not come. */
  #open = 0;

  constructor(plan: CheckPlan, options: CheckOptions, resolve: (outcome: CheckOutcome) => void) {
    this.#plan = plan;
    this.#options = options;
    this.#resolve = resolve;
    this.#timer = new CheckTimer(options.now, () => this.#feed({ type: 'timeout' }));
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    const begun = beginDialogue(plan, options.now());
    this.#dialogue = begun.next;
    this.#data = new DataConnection(plan, {
      feed: event => this.#feed(event),
      feedError: error => this.#feedError('data-closed', error),
      track: thing => this.#track(thing),
      session: () => this.#session,
    });
    const { address: host, controlPort: port, origin } = plan;
    this.#control = this.#track(connect({ host, port, ...localEnd(origin) }));
    this.#control.on('connect', () => this.#feed({ type: 'connected' }));
    this.#listen(this.#control);
    this.#take(begun);
  }

  #listen(control: Socket): void {
    control.on('data', bytes => this.#feed({ type: 'received', bytes }));
    control.on('end', () => this.#feed({ type: 'closed' }));
    control.on('error', error => this.#feedError('closed', error));
  }

  /** What the socket has read in the clear is with the dialogue; all that follows is OpenSSL's. */
  #secure(): void {
    const { tls } = this.#plan;
    if (tls === undefined) return;
    for (const event of ['data', 'end', 'error'] as const) this.#control.removeAllListeners(event);
    this.#control.on('error', () => {});
    const secured = secureControl(this.#control, tls);
    this.#secured = secured;
    secured.on('secureConnect', () => this.#feed({ type: 'secured', certificate: presentedCertificate(secured, tls) }));
    secured.on('session', session => {
      this.#session = session;
    });
    this.#listen(secured);
  }

  #track<T extends Socket | Server>(thing: T): T {
    this.#open += 1;
    thing.once('close', () => {
      this.#open -= 1;
      this.#resolveWhenClosed();
    });
    return thing;
  }

  /** The address of this router that the server sees: data of active mode are taken there. */
  #here(): Address {
    return parseAddress(this.#control.localAddress ?? '') ?? this.#plan.address;
  }

  #feedError(type: 'closed' | 'data-closed', error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.message;
    const reason = ownFault(code);
    if (reason !== undefined) {
      this.#settle({ type: 'impossible', reason });
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
        (this.#secured ?? this.#control).write(`${effect.line}\r\n`);
        return;
      case 'secure':
        this.#secure();
        return;
      case 'openData':
        this.#data.open(effect.port);
        return;
      case 'listen':
        this.#data.listen(this.#here());
        return;
      case 'sendData':
        this.#data.send(effect.text);
        return;
      case 'closeData':
        this.#data.close();
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
    this.#data.close();
    this.#secured?.destroy();
    this.#control.destroy();
  }

  #resolveWhenClosed(): void {
    if (this.#outcome && this.#open === 0) this.#resolve(this.#outcome);
  }
}
