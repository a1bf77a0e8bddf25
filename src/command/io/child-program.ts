// Runs a program as a child that speaks lines over its pipes, one child at a time. Whoever uses it
// says when the child is replaced; words of an earlier one are not passed on. Nothing here waits:
// lines are written without back-pressure. Not pure.
import { type ChildProcess, spawn } from 'node:child_process';
import { type LineOptions, lineReader } from '../../socket/lines.ts';
import { monotonicNow } from '../../units/io/clocks.ts';

interface ChildOptions {
  /** Asked for at each start. */
  readonly command: () => readonly [program: string, ...args: string[]];
  /** How its output is read. With `tooLong: 'end'` a child that says such a line is killed. */
  readonly lines: LineOptions;
  /** Before the nth respawn in a row; 0: at once. */
  readonly pauseMs: (nth: number) => number;
  /** A child that has lived this long was a good one: the next respawn is the first in a row. */
  readonly calmMs: number;
  /** At each start, before anything is heard; for the first from within `new`. */
  readonly onStart?: (child: ChildProgram) => void;
  readonly onLine: (line: string) => void;
  /** The present child ended by itself. No other is started before `respawn`. */
  readonly onGone: (how: string) => void;
  /** The program cannot be started; otherwise like `onGone`. */
  readonly onFailedStart: (error: NodeJS.ErrnoException) => void;
}

export class ChildProgram {
  readonly #options: ChildOptions;
  #child: ChildProcess | undefined;
  #startedAt = 0;
  /** In a row. */
  #respawns = 0;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#start();
  }

  /** Undefined: there is none at present. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** What was sent and not read yet; Infinity: nobody is there to read. Whoever sends bounds it. */
  get unreadBytes(): number {
    const pipe = this.#child?.stdin;
    return pipe?.writable ? pipe.writableLength : Infinity;
  }

  send(line: string): void {
    this.#child?.stdin?.write(`${line}\n`);
  }

  /** Ends the present child, if it still runs, and starts another, after the pause. */
  respawn(): void {
    this.#drop();
    if (monotonicNow() - this.#startedAt > this.#options.calmMs) this.#respawns = 0;
    this.#respawns += 1;
    const pauseMs = this.#options.pauseMs(this.#respawns);
    clearTimeout(this.#pause);
    if (pauseMs === 0) this.#start();
    else this.#pause = setTimeout(() => this.#start(), pauseMs);
  }

  /** Closes the pipe: the child ends by itself, and this process stays until then. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#pause);
    this.#child?.stdin?.end();
  }

  /** Closes the pipe, hears nothing more and does not stay. */
  abandon(): void {
    this.close();
    this.#child?.stdout?.destroy();
    this.#child?.unref();
  }

  #start(): void {
    if (this.#closed) return;
    this.#startedAt = monotonicNow();
    const [program, ...args] = this.#options.command();
    let child: ChildProcess;
    try {
      // detached: a signal to our process group (Ctrl-C) is not the child's business; its pipe
      // tells it when to end.
      child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    } catch (error) {
      // Out of memory, for instance. Like the failures that Node.js itself reports: not from within
      // the call.
      this.#pause = setTimeout(() => this.#options.onFailedStart(error as Error), 0);
      return;
    }
    this.#child = child;
    child.on('error', error => this.#gone(child, () => this.#options.onFailedStart(error)));
    child.on('exit', (code, signal) => {
      const tell = () => this.#gone(child, () => this.#options.onGone(signal ?? `exit code ${code}`));
      // An end may be known before the last words were read (node reaps all children at the first
      // one's signal). The pipe has them by then: one more turn of the event loop reads them.
      setImmediate(() => setImmediate(tell));
    });
    child.stdin?.on('error', () => {});
    child.stdout?.on('error', () => {});
    const lines = lineReader(this.#options.lines);
    child.stdout?.on('data', (chunk: Buffer) => {
      const heard = lines.push(chunk, line => {
        if (this.#child === child) this.#options.onLine(line);
      });
      if (!heard) this.#gone(child, () => this.#options.onGone('it says a line that is too long'));
    });
    this.#options.onStart?.(this);
  }

  /** Of a child that was given up before, nothing is heard. */
  #gone(child: ChildProcess, tell: () => void): void {
    if (this.#child !== child || this.#closed) return;
    this.#drop();
    tell();
  }

  /** Forgets the present child, and ends it: SIGKILL also ends a stopped process. */
  #drop(): void {
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
  }
}
