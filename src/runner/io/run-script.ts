// Runs one script, bounded in time and output, and ends all of its process group afterwards. Not
// pure. It gets nothing of ours: no environment, no descriptor, no shell; of input only what it is
// to be told.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Script } from '../../config/check-script.ts';
import type { Ms } from '../../units/duration.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
import { firstLine, keptOutput, NO_OUTPUT, OUTPUT_BYTES_MAX, type Output, withOutput } from '../output.ts';
import { type Ended, REASON_LENGTH_MAX, type RunAnswer } from '../runner-message.ts';

/** Between SIGTERM and SIGKILL. */
export const TERM_GRACE_MS = 1_000;
/** How long the output of a script that has ended is waited for: a child may hold the pipe. */
const OUTPUT_GRACE_MS = 100;

interface Running {
  /** Never rejects. It is there once nothing of the script's process group is left to be ended. */
  readonly answer: Promise<RunAnswer>;
  /** Ends it at once. */
  kill(): void;
}

/** `input`: for its standard input; without, that is empty. */
export function runScript(script: Script, input?: string): Running {
  const run = new ScriptRun(script, input);
  return { answer: run.answer, kill: () => run.kill() };
}

class ScriptRun {
  readonly #script: Script;
  readonly #input: string | undefined;
  readonly #startedAt = monotonicNow();
  readonly answer: Promise<RunAnswer>;
  #settle: (answer: RunAnswer) => void = () => undefined;
  #child: ChildProcess | undefined;
  #output: Output = NO_OUTPUT;
  /** Why it was ended by us. */
  #ended: 'timeout' | 'output' | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** From then on its number may be another process's. */
  #hasExited = false;

  constructor(script: Script, input: string | undefined) {
    this.#script = script;
    this.#input = input;
    this.answer = new Promise(resolve => {
      this.#settle = resolve;
    });
    this.#start();
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  #start(): void {
    const [program, ...args] = this.#script.command;
    let child: ChildProcess;
    try {
      // detached: a process group of its own, so that all of it can be ended.
      child = spawn(program, args, {
        ...{ cwd: '/', env: { ...this.#script.environment }, detached: true },
        stdio: [this.#input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      });
    } catch (error) {
      // Not a script that fails, but one that was never begun: out of memory, say.
      return this.#refuse(error as Error);
    }
    this.#child = child;
    child.on('error', error => {
      if (child.pid === undefined) this.#refuse(error);
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('error', () => undefined);
      stream?.on('data', (chunk: Buffer) => this.#hear(chunk));
    }
    // One that does not read it is no mistake (EPIPE), and one that reads late is ended in time.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(this.#input);
    child.on('exit', (code, signal) => this.#exited(child, code, signal));
    if (child.pid === undefined) return;
    // Where the runner came late, the script may have ended in time: that is heard first.
    this.#timer = setTimeout(() => setImmediate(() => this.#end('timeout')), this.#script.timeoutMs);
  }

  #hear(chunk: Buffer): void {
    this.#output = withOutput(this.#output, chunk);
    if (this.#output.bytes > OUTPUT_BYTES_MAX) this.#end('output');
  }

  #end(why: 'timeout' | 'output'): void {
    if (this.#ended !== undefined || (this.#hasExited && why === 'timeout')) return;
    this.#ended = why;
    if (this.#hasExited) return;
    clearTimeout(this.#timer);
    this.#signal('SIGTERM');
    // What goes on talking is not read any more; its pipe fills and it waits.
    this.#child?.stdout?.pause();
    this.#child?.stderr?.pause();
    this.#timer = setTimeout(() => this.#signal('SIGKILL'), TERM_GRACE_MS);
  }

  /** To its whole process group. */
  #signal(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid;
    if (pid === undefined || this.#hasExited) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // ESRCH: nothing of it is left. EPERM: nothing that is ours.
    }
  }

  #exited(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    clearTimeout(this.#timer);
    const tookMs = Math.round(monotonicNow() - this.#startedAt);
    // What it has left behind in the background has nobody to report to. While there is any, the
    // number of its group is its own.
    this.#signal('SIGKILL');
    this.#hasExited = true;
    const done = () => {
      clearTimeout(late);
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
      this.#settle(this.#answerOf(code, signal, tookMs));
    };
    const late = setTimeout(done, OUTPUT_GRACE_MS);
    child.stdout?.resume();
    child.stderr?.resume();
    child.once('close', done);
  }

  #answerOf(status: number | null, signal: NodeJS.Signals | null, tookMs: number): Ended {
    const how = this.#ended ?? (status === null ? 'signal' : 'exit');
    const said = firstLine(this.#output);
    const ending = endingOf(how, { status, signal, timeoutMs: this.#script.timeoutMs });
    const reason = said === '' ? ending : `${ending}: ${said}`;
    return {
      type: 'ended',
      how,
      status: how === 'exit' ? status : null,
      tookMs,
      reason,
      output: keptOutput(this.#output),
    };
  }

  #refuse({ message }: Error): void {
    clearTimeout(this.#timer);
    this.#settle({ type: 'refused', reason: `it cannot be started: ${message.slice(0, REASON_LENGTH_MAX)}` });
  }
}

function endingOf(
  how: Ended['how'],
  about: { readonly status: number | null; readonly signal: NodeJS.Signals | null; readonly timeoutMs: Ms },
): string {
  switch (how) {
    case 'exit':
      return `exit status ${about.status}`;
    case 'signal':
      return `ended by ${about.signal}`;
    case 'timeout':
      return `not done within ${about.timeoutMs} ms`;
    case 'output':
      return `more output than ${OUTPUT_BYTES_MAX} bytes`;
  }
}
