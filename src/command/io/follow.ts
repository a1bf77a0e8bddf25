// Follows a program that prints events for as long as it runs, such as `nft monitor` and `conntrack
// -E`. Not pure. It dies with us. When it ends it is started again, later each time, and its last
// words are told.
import { type ChildProcess, spawn } from 'node:child_process';
import { monotonicNow } from '../../units/io/clocks.ts';

interface FollowOptions {
  readonly command: readonly [program: string, ...args: string[]];
  /** The package that has the program. */
  readonly install: string;
  /** At each start, before anything is heard. */
  readonly onStart: (child: ChildProcess) => void;
  readonly onOutput: (chunk: Buffer) => void;
  /** What stands on its standard error, the newest part; true: that is dealt with, forget it. */
  readonly onWords?: (words: string) => boolean;
  /** Why, to be read after the program's name. It is started again. */
  readonly onEnd: (why: string) => void;
}

export interface Followed {
  /** Of the child that runs, or ran last. */
  child(): ChildProcess | undefined;
  isClosed(): boolean;
  close(): void;
}

const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 30_000;
/** A child that lived this long was in order: the next start is soon again. */
const PROVEN_MS = 20_000;
const WORDS_MAX = 400;

export function follow(options: FollowOptions): Followed {
  return new Follower(options);
}

class Follower implements Followed {
  readonly #options: FollowOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #backoffMs = BACKOFF_MS_MIN;
  #closed = false;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#start();
  }

  child(): ChildProcess | undefined {
    return this.#child;
  }

  isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGKILL');
  }

  #start(): void {
    const startedAt = monotonicNow();
    const { command, install, onStart } = this.#options;
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`,
        LC_ALL: 'C',
      },
    });
    this.#child = child;
    onStart(child);
    const words = this.#hear(child);
    let ended = false;
    const end = (why: string) => {
      if (ended || this.#closed) return;
      ended = true;
      if (monotonicNow() - startedAt > PROVEN_MS) this.#backoffMs = BACKOFF_MS_MIN;
      this.#timer = setTimeout(() => this.#start(), this.#backoffMs).unref();
      this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX);
      this.#options.onEnd(why);
    };
    child.on('error', error => end(`cannot be started: ${error.message}; install util-linux (setpriv)`));
    child.on('close', (code, signal) => {
      const said = words().trim();
      const missing = new RegExp(`${command[0]}.*(No such file|not found)`).test(said) ? `; install ${install}` : '';
      end(`ended with ${signal ?? code}${said === '' ? '' : `: ${said}`}${missing}`);
    });
  }

  /** Gives the way to read the child's last words. */
  #hear(child: ChildProcess): () => string {
    child.stdout?.on('data', (chunk: Buffer) => {
      if (!this.#closed) this.#options.onOutput(chunk);
    });
    let words = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-WORDS_MAX);
      if (this.#options.onWords?.(words)) words = '';
    });
    return () => words;
  }
}
