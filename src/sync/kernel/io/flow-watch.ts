// Follows conntrack's events through `conntrack -E`, one child for each question. Not pure. A child that ends is started again, later
// each time; it dies with us. When we read slowly it waits, and what the kernel could not give it meanwhile it says itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { areSubscribed } from '../../../command/io/netlink-sockets.ts';
import { addressOfRaw, type Entry } from '../../table/entry.ts';
import { FTP_DATA_PORT, type Scope } from '../../table/scope.ts';
import { createFlowParser } from '../conntrack-events.ts';

export interface FlowWatchOptions {
  readonly scope: () => Scope;
  readonly entries: (entries: readonly Entry[]) => void;
  readonly lost: (what: string) => void;
  readonly count: (name: FlowCounter, by: number) => void;
}

export type FlowCounter = 'flows_used' | 'flows_foreign' | 'flows_unknown' | 'flows_lost' | 'flow_watch_restarts';

export interface FlowWatch {
  /** Starts what the scope asks for now, ends what it asks for no more. */
  follow(): void;
  /** Whether every child is subscribed to the kernel's events now; waits for that at most `timeoutMs`. */
  ready(timeoutMs: number): Promise<boolean>;
  /** Each a sentence. */
  problems(): readonly string[];
  close(): void;
}

/** Bytes of the kernel's queue for one child: about 20,000 events. */
const QUEUE_BYTES = 8 * 1024 * 1024;
const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 30_000;
/** A child that lived this long was in order: the next start is at once again. */
const PROVEN_MS = 20_000;
/** More VIPs than this are heard by one child for each family, and sorted out here: each child is given all events there are. */
const CHILDREN_MAX = 6;
/** A child that lives longer than this has understood its arguments. */
const CALM_MS = 3_000;
const WORDS_MAX = 400;
const LOST_AGAIN_MS = 1_000;

/** The arguments of the children for a scope. Answers to a VIP cover active mode and what IPVS picked up from a server's side. */
export function questionsOf({ services }: Scope): readonly (readonly string[])[] {
  const vips = [...new Set(services.map(service => service.vip))];
  const familyOf = (vip: string) => (vip.length === 8 ? 'ipv4' : 'ipv6');
  const families = [...new Set(vips.map(familyOf))];
  if (vips.length > CHILDREN_MAX) return families.map(family => ['-f', family]);
  const active = [...new Set(services.filter(service => service.active).map(service => familyOf(service.vip)))];
  return [
    ...vips.map(vip => ['-f', familyOf(vip), '-e', 'NEW,UPDATES', '--orig-dst', addressOfRaw(vip)]),
    ...active.map(family => ['-f', family, '--orig-port-src', `${FTP_DATA_PORT}`]),
  ];
}

export function createFlowWatch(options: FlowWatchOptions): FlowWatch {
  const watchers = new Map<string, Watcher>();
  return {
    follow: () => {
      const wanted = new Map(questionsOf(options.scope()).map(question => [question.join(' '), question]));
      for (const [name, watcher] of watchers) {
        if (wanted.has(name)) continue;
        watcher.close();
        watchers.delete(name);
      }
      for (const [name, question] of wanted) {
        if (!watchers.has(name)) watchers.set(name, new Watcher(question, options));
      }
    },
    ready: timeoutMs => areSubscribed(() => [...watchers.values()].map(watcher => watcher.pid), timeoutMs),
    problems: () => [...new Set([...watchers.values()].flatMap(watcher => watcher.problem ?? []))],
    close: () => {
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

class Watcher {
  readonly #question: readonly string[];
  readonly #options: FlowWatchOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #calm: NodeJS.Timeout | undefined;
  #backoffMs = BACKOFF_MS_MIN;
  #closed = false;
  #saidLostAt = Number.NEGATIVE_INFINITY;
  #problem: string | undefined;

  constructor(question: readonly string[], options: FlowWatchOptions) {
    this.#question = question;
    this.#options = options;
    this.#start();
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#calm);
    this.#child?.kill('SIGKILL');
  }

  #start(): void {
    const startedAt = performance.now();
    // userspace: a deletion by a program (our own at a demotion) is no end of the connection.
    const conntrack = ['conntrack', '-E', '-o', 'id,userspace', '-p', 'tcp', '-b', `${QUEUE_BYTES}`, ...this.#question];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...conntrack], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`,
        LC_ALL: 'C',
      },
    });
    this.#child = child;
    this.#calm = setTimeout(() => {
      this.#problem = undefined;
    }, CALM_MS).unref();
    const words = this.#hear(child);
    let ended = false;
    const end = (why: string) => {
      if (ended || this.#closed) return;
      ended = true;
      clearTimeout(this.#calm);
      if (performance.now() - startedAt > PROVEN_MS) this.#backoffMs = BACKOFF_MS_MIN;
      this.#again(why);
    };
    child.on('error', error => end(`cannot be started: ${error.message}; install util-linux (setpriv)`));
    child.on('close', (code, signal) => {
      const said = words().trim();
      const missing = /conntrack.*(No such file|not found)/.test(said) ? '; install conntrack' : '';
      end(`ended with ${signal ?? code}${said === '' ? '' : `: ${said}`}${missing}`);
    });
  }

  #again(why: string): void {
    this.#problem = `conntrack's events are not followed (conntrack -E ${why}): connections of the last two seconds before a failover, and active mode's, may be missing on the peer`;
    this.#options.count('flow_watch_restarts', 1);
    this.#timer = setTimeout(() => this.#start(), this.#backoffMs).unref();
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX);
    this.#lost('conntrack -E ended');
  }

  /** Feeds what the child writes to the parser; gives the way to read its last words. */
  #hear(child: ChildProcess): () => string {
    const parser = createFlowParser(this.#options.scope);
    let before = parser.counts();
    child.stdout?.on('data', (chunk: Buffer) => {
      if (this.#closed) return;
      const entries = parser.push(chunk);
      const counts = parser.counts();
      this.#options.count('flows_used', counts.used - before.used);
      this.#options.count('flows_foreign', counts.foreign - before.foreign);
      this.#options.count('flows_unknown', counts.unknown - before.unknown);
      before = counts;
      if (entries.length > 0) this.#options.entries(entries);
    });
    let words = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-WORDS_MAX);
      if (!words.includes('ENOBUFS')) return;
      words = '';
      this.#lost('the kernel had more conntrack events than conntrack could take (ENOBUFS)');
    });
    return () => words;
  }

  #lost(what: string): void {
    this.#options.count('flows_lost', 1);
    const now = performance.now();
    if (this.#closed || now - this.#saidLostAt < LOST_AGAIN_MS) return;
    this.#saidLostAt = now;
    this.#options.lost(what);
  }
}
