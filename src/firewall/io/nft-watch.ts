// Follows nftables' events through `nft monitor` and tells when one of our tables was touched, or when that may have been missed.
// Not pure. A child that ends is started again, later each time; it dies with us. Each start is told as a change, once the child
// listens: what happened before that, nobody heard.
import { type ChildProcess, spawn } from 'node:child_process';
import { areSubscribed } from '../../command/io/netlink-sockets.ts';
import { lineReader } from '../../socket/lines.ts';
import { nftEventOf } from '../nft-events.ts';

export interface NftWatch {
  /** A sentence; undefined: events are followed. */
  problem(): string | undefined;
  close(): void;
}

const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 30_000;
/** A child that lived this long was in order. */
const PROVEN_MS = 20_000;
const SUBSCRIBED_MS_MAX = 5_000;
/** Longer than any line of ours; a foreign set may be printed in one line of any length. */
const LINE_BYTES_MAX = 4_096;
const WORDS_MAX = 400;

export function createNftWatch(onChange: (what: string) => void): NftWatch {
  return new Watch(onChange);
}

class Watch implements NftWatch {
  readonly #onChange: (what: string) => void;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #backoffMs = BACKOFF_MS_MIN;
  #closed = false;
  #problem: string | undefined;

  constructor(onChange: (what: string) => void) {
    this.#onChange = onChange;
    this.#start();
  }

  problem(): string | undefined {
    return this.#problem;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGKILL');
  }

  #start(): void {
    const startedAt = performance.now();
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'nft', 'monitor'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`,
        LC_ALL: 'C',
      },
    });
    this.#child = child;
    void this.#tellWhenHeard(child);
    const words = this.#hear(child);
    let ended = false;
    const end = (why: string) => {
      if (ended || this.#closed) return;
      ended = true;
      if (performance.now() - startedAt > PROVEN_MS) this.#backoffMs = BACKOFF_MS_MIN;
      this.#problem = `nftables' events are not followed (nft monitor ${why}): what others do to our rules is noticed at the next audit only`;
      this.#timer = setTimeout(() => this.#start(), this.#backoffMs).unref();
      this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX);
    };
    child.on('error', error => end(`cannot be started: ${error.message}; install util-linux (setpriv)`));
    child.on('close', (code, signal) => {
      const said = words().trim();
      const missing = /nft.*(No such file|not found)/.test(said) ? '; install nftables' : '';
      end(`ended with ${signal ?? code}${said === '' ? '' : `: ${said}`}${missing}`);
    });
  }

  async #tellWhenHeard(child: ChildProcess): Promise<void> {
    const heard = await areSubscribed(() => [child.pid], SUBSCRIBED_MS_MAX);
    if (this.#closed || this.#child !== child || child.exitCode !== null || child.signalCode !== null) return;
    if (heard) this.#problem = undefined;
    this.#onChange('nftables is watched from now on');
  }

  #hear(child: ChildProcess): () => string {
    const lines = lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'skip', encoding: 'latin1' });
    child.stdout?.on('data', (chunk: Buffer) => {
      if (this.#closed) return;
      const seen = new Set<string>();
      lines.push(chunk, line => seen.add(nftEventOf(line)));
      if (seen.has('ours')) this.#onChange('nftables was changed');
      else if (seen.has('lost')) this.#onChange("nftables' events were lost");
    });
    let words = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-WORDS_MAX);
    });
    return () => words;
  }
}
