// Runs the witness process as a child of pulse. An ask never waits and never throws: it is written
// to a pipe, if there is room and a process that has said hello; else, and when no answer comes in
// time, it is answered `failed` from here. A process that ended or got stuck is replaced, with
// pauses that grow; words of an earlier one are not passed on. Not pure.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { lineReader } from '../../socket/lines.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
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

const PROGRAM = fileURLToPath(new URL('../../witness/main.js', import.meta.url));
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
  return new Supervisor(options);
}

interface Pending {
  readonly ask: WitnessAsk;
  readonly timer: NodeJS.Timeout;
}

class Supervisor implements Witness {
  readonly #options: WitnessOptions;
  #child: ChildProcess | undefined;
  #greeted = false;
  #startedAt = 0;
  #pending: Pending | undefined;
  /** When the present process was first found silent, since it last said something. */
  #silentSince: number | undefined;
  #problem = 'the witness process has not started yet';
  #pauseMs = PAUSE_MS_MIN;
  #pause: NodeJS.Timeout | undefined;
  /** Until a start shows that this machine has none. */
  #withChrt = true;
  #closed = false;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#start();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  ask(ask: WitnessAsk): void {
    if (this.#closed) return;
    if (this.#pending) return this.#refuse(ask, 'an earlier ask is not answered yet');
    if (this.#child && !this.#greeted && monotonicNow() - this.#startedAt > START_MS_MAX) {
      this.#replace(this.#child, 'it does not come up');
    }
    const pipe = this.#child?.stdin;
    if (!this.#greeted || !pipe?.writable) return this.#refuse(ask, this.#problem);
    // What a stopped process has not read is bounded: one ask at a time, and it is replaced after
    // STUCK_MS.
    if (pipe.writableLength > WITNESS_LINE_BYTES_MAX) return this.#refuse(ask, 'the witness process does not read');
    const timer = setTimeout(() => this.#late(), this.#options.setup.timeoutMs + SLACK_MS);
    this.#pending = { ask, timer };
    pipe.write(`${askText(ask)}\n`);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#pause);
    clearTimeout(this.#pending?.timer);
    this.#pending = undefined;
    const child = this.#child;
    child?.stdin?.end();
    child?.stdout?.destroy();
    child?.unref();
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
      if (now - this.#silentSince >= STUCK_MS && this.#child) this.#replace(this.#child, 'it does not answer');
    });
  }

  #start(): void {
    if (this.#closed) return;
    const { setup, program = PROGRAM, chrt = 'chrt' } = this.#options;
    const node = [process.execPath, `--max-old-space-size=${HEAP_MB_MAX}`, program];
    // Out of pulse's real-time class, which children inherit.
    const [command, ...rest] = this.#withChrt ? [chrt, '--other', '0', ...node] : node;
    this.#greeted = false;
    this.#silentSince = undefined;
    this.#problem = 'the witness process is starting';
    this.#startedAt = monotonicNow();
    let child: ChildProcess;
    try {
      // detached: a signal to pulse's process group (Ctrl-C) is not its business; the pipe tells it
      // when to end.
      child = spawn(command as string, rest, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    } catch (error) {
      // Out of memory, for instance.
      return this.#restart(`it cannot be started: ${(error as Error).message}`);
    }
    this.#child = child;
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && this.#withChrt) this.#withChrt = false;
      this.#replace(child, `it cannot be started: ${error.message}`);
    });
    child.on('exit', (code, signal) => this.#replace(child, signal ?? `exit code ${code}`));
    child.stdin?.on('error', () => {});
    child.stdout?.on('error', () => {});
    this.#read(child);
    child.stdin?.write(`${setupText(setup)}\n`);
  }

  #read(child: ChildProcess): void {
    const lines = lineReader({ bytesMax: WITNESS_LINE_BYTES_MAX, tooLong: 'end' });
    child.stdout?.on('data', (chunk: Buffer) => {
      if (this.#child !== child || this.#closed) return;
      const heard = lines.push(chunk, line => this.#hear(child, line));
      if (!heard) this.#replace(child, 'it says a line that is too long');
    });
  }

  #hear(child: ChildProcess, line: string): void {
    if (this.#child !== child) return;
    this.#silentSince = undefined;
    if (line === HELLO_LINE) {
      this.#greeted = true;
      return;
    }
    const answer = parseAnswer(line);
    if (!answer) return this.#replace(child, `it says something unknown: ${line.slice(0, 80)}`);
    // A late answer to an ask that was given up.
    if (answer.seq !== this.#pending?.ask.seq) return;
    clearTimeout(this.#pending.timer);
    this.#pending = undefined;
    this.#tell(answer);
  }

  /**
   * The present process is of no use; the next one starts after a pause. Of one that was given up
   * before, nothing is heard.
   */
  #replace(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#greeted = false;
    // SIGKILL also ends a stopped process.
    child.kill('SIGKILL');
    if (this.#closed) return;
    if (monotonicNow() - this.#startedAt > CALM_MS) this.#pauseMs = PAUSE_MS_MIN;
    const { ask, timer } = this.#pending ?? {};
    clearTimeout(timer);
    this.#pending = undefined;
    this.#restart(how);
    if (ask) this.#refuse(ask, this.#problem);
  }

  #restart(how: string): void {
    this.#problem = `the witness process ended (${how}); a new one starts soon`;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#start(), this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_MS_MAX);
    this.#options.onTrouble(how);
  }
}
