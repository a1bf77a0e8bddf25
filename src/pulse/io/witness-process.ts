// Runs the witness process as a child of pulse. An ask never waits and never throws: it is written
// to a pipe, if there is room and a process that has said hello; else, and when no answer comes in
// time, it is answered `failed` from here. A process that ended or got stuck is replaced, with
// pauses that grow; words of an earlier one are not passed on. Not pure.
import { ChildProgram } from '../../command/io/child-program.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
import { ownFile } from '../../units/io/own-files.ts';
import { failed } from '../../witness/script.ts';
import type { WitnessAnswer, WitnessAsk } from '../../witness/witness.ts';
import {
  askText,
  HELLO_LINE,
  parseAnswer,
  setupText,
  WITNESS_LINE_BYTES_MAX,
  type WitnessSetup,
} from '../../witness/witness-line.ts';

const PROGRAM = ownFile('dist/program/witness.js');
/** The process answers within `timeoutMs` by itself; this much more for the way there and back. */
const SLACK_MS = 50;
/** Node.js and ioredis are loaded within 300 ms on an idle machine. */
const START_MS_MAX = 20_000;
/** Silent for this long with an ask before it: stuck, and replaced. */
const STUCK_MS = 5_000;
/**
 * Starting a process costs the event loop some milliseconds, so it is not done often: pauses double
 * from the first to the last.
 */
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 30_000;
/** A process that has lived for this long was a good one. */
const CALM_MS = 60_000;
/** More than it ever needs; with more it has gone wrong. */
const HEAP_MB_MAX = 96;

export interface WitnessOptions {
  readonly setup: WitnessSetup;
  /** Never called from within `ask`. */
  readonly onAnswer: (answer: WitnessAnswer) => void;
  /** The process ended or is stuck; for the log. */
  readonly onTrouble: (text: string) => void;
  /** Another program than the compiled one, and no chrt before it; for tests. */
  readonly program?: string;
  readonly chrt?: string;
}

export interface Witness {
  /**
   * Exactly one answer comes for each ask, at most `timeoutMs` and a little later. One at a time.
   */
  ask(ask: WitnessAsk): void;
  /**
   * Closes the pipe: the process ends after the ask that is under way. No answers come from here
   * on.
   */
  close(): void;
  readonly pid: number | undefined;
}

export function startWitness(options: WitnessOptions): Witness {
  return new WitnessProcess(options);
}

interface Pending {
  readonly ask: WitnessAsk;
  readonly timer: NodeJS.Timeout;
}

class WitnessProcess implements Witness {
  readonly #options: WitnessOptions;
  readonly #child: ChildProgram;
  #greeted = false;
  #startedAt = 0;
  #pending: Pending | undefined;
  /** When the present process was first found silent, since it last said something. */
  #silentSince: number | undefined;
  #problem = 'the witness process has not started yet';
  /** Until a start shows that this machine has none. */
  #withChrt = true;
  #closed = false;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#child = new ChildProgram({
      command: () => this.#command(),
      lines: { bytesMax: WITNESS_LINE_BYTES_MAX, tooLong: 'end' },
      pauseMs: nth => Math.min(PAUSE_MS_MIN * 2 ** (nth - 1), PAUSE_MS_MAX),
      calmMs: CALM_MS,
      onStart: child => this.#onStart(child),
      onLine: line => this.#hear(line),
      onGone: how => this.#replace(how),
      onFailedStart: error => {
        if (error.code === 'ENOENT') this.#withChrt = false;
        this.#replace(`it cannot be started: ${error.message}`);
      },
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  ask(ask: WitnessAsk): void {
    if (this.#closed) return;
    if (this.#pending) return this.#refuse(ask, 'an earlier ask is not answered yet');
    if (this.#child.pid !== undefined && !this.#greeted && monotonicNow() - this.#startedAt > START_MS_MAX) {
      this.#replace('it does not come up');
    }
    const { unreadBytes } = this.#child;
    if (!this.#greeted || unreadBytes === Infinity) return this.#refuse(ask, this.#problem);
    // What a stopped process has not read is bounded: one ask at a time, and it is replaced after
    // STUCK_MS.
    if (unreadBytes > WITNESS_LINE_BYTES_MAX) return this.#refuse(ask, 'the witness process does not read');
    const timer = setTimeout(() => this.#late(), this.#options.setup.timeoutMs + SLACK_MS);
    this.#pending = { ask, timer };
    this.#child.send(askText(ask));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#pending?.timer);
    this.#pending = undefined;
    this.#child.abandon();
  }

  /** Not from within ask(): whoever asks is in the middle of something. */
  #refuse({ seq }: WitnessAsk, problem: string): void {
    setImmediate(() => this.#tell(failed(seq, problem)));
  }

  #tell(answer: WitnessAnswer): void {
    if (!this.#closed) this.#options.onAnswer(answer);
  }

  #late(): void {
    const pending = this.#pending;
    // Node runs timers before it reads pipes: after a stall of our own the answer may be there,
    // unread.
    setImmediate(() => {
      if (!pending || this.#pending !== pending) return;
      this.#pending = undefined;
      const now = monotonicNow();
      this.#silentSince ??= now - this.#options.setup.timeoutMs - SLACK_MS;
      this.#tell(failed(pending.ask.seq, 'the witness process does not answer in time; is it stopped or starved?'));
      if (now - this.#silentSince >= STUCK_MS) this.#replace('it does not answer');
    });
  }

  #command(): readonly [string, ...string[]] {
    const { program = PROGRAM, chrt = 'chrt' } = this.#options;
    const node = [process.execPath, `--max-old-space-size=${HEAP_MB_MAX}`, program] as const;
    // Out of pulse's real-time class, which children inherit.
    return this.#withChrt ? [chrt, '--other', '0', ...node] : node;
  }

  #onStart(child: ChildProgram): void {
    this.#greeted = false;
    this.#silentSince = undefined;
    this.#problem = 'the witness process is starting';
    this.#startedAt = monotonicNow();
    child.send(setupText(this.#options.setup));
  }

  #hear(line: string): void {
    this.#silentSince = undefined;
    if (line === HELLO_LINE) {
      this.#greeted = true;
      return;
    }
    const answer = parseAnswer(line);
    if (!answer) return this.#replace(`it says something unknown: ${line.slice(0, 80)}`);
    // A late answer to an ask that was given up.
    if (answer.seq !== this.#pending?.ask.seq) return;
    clearTimeout(this.#pending.timer);
    this.#pending = undefined;
    this.#tell(answer);
  }

  /** The present process is gone or of no use; the next one starts after a pause. */
  #replace(how: string): void {
    this.#greeted = false;
    this.#child.respawn();
    const { ask, timer } = this.#pending ?? {};
    clearTimeout(timer);
    this.#pending = undefined;
    this.#problem = `the witness process ended (${how}); a new one starts soon`;
    this.#options.onTrouble(how);
    if (ask) this.#refuse(ask, this.#problem);
  }
}
