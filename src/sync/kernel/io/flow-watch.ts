// Follows conntrack's events through `conntrack -E`, one child for each question. Not pure. When we
// read slowly it waits, and what the kernel could not give it meanwhile it says itself.

import { type Followed, follow } from '../../../command/io/follow.ts';
import { areSubscribed } from '../../../command/io/netlink-sockets.ts';
import { monotonicNow } from '../../../units/io/clocks.ts';
import { addressOfRaw, type Entry } from '../../table/entry.ts';
import { activeQuestions, type Scope, trackedServices } from '../../table/scope.ts';
import { createFlowParser, type FlowParser } from '../conntrack-events.ts';

interface FlowWatchOptions {
  readonly scope: () => Scope;
  readonly entries: (entries: readonly Entry[]) => void;
  readonly lost: (what: string) => void;
  readonly count: (name: FlowCounter, by: number) => void;
}

type FlowCounter = 'flows_used' | 'flows_foreign' | 'flows_unknown' | 'flows_lost' | 'flow_watch_restarts';

export interface FlowWatch {
  /** Starts what the scope asks for now, ends what it asks for no more. */
  follow(): void;
  /**
   * Whether every child is subscribed to the kernel's events now; waits for that at most
   * `timeoutMs`.
   */
  ready(timeoutMs: number): Promise<boolean>;
  /** Each a sentence. */
  problems(): readonly string[];
  close(): void;
}

/** Bytes of the kernel's queue for one child: about 20,000 events. */
const QUEUE_BYTES = 8 * 1024 * 1024;
/**
 * More VIPs than this are heard by one child for each family, and sorted out here: each child is
 * given all events there are.
 */
const CHILDREN_MAX = 6;
/** A child that lives longer than this has understood its arguments. */
const CALM_MS = 3_000;
const LOST_AGAIN_MS = 1_000;

/**
 * The arguments of the children for a scope. Answers to a VIP cover active mode and what IPVS
 * picked up from a server's side.
 */
export function questionsOf(scope: Scope): readonly (readonly string[])[] {
  const services = trackedServices(scope.services);
  const vips = [...new Set(services.map(service => service.vip))];
  const familyOf = (vip: string) => (vip.length === 8 ? 'ipv4' : 'ipv6');
  const families = [...new Set(vips.map(familyOf))];
  if (vips.length > CHILDREN_MAX) return families.map(family => ['-f', family]);
  return [
    ...vips.map(vip => ['-f', familyOf(vip), '-e', 'NEW,UPDATES', '--orig-dst', addressOfRaw(vip)]),
    ...activeQuestions(services),
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
  readonly #options: FlowWatchOptions;
  readonly #conntrack: Followed;
  #parser: FlowParser;
  #calm: NodeJS.Timeout | undefined;
  #closed = false;
  #saidLostAt = Number.NEGATIVE_INFINITY;
  #problem: string | undefined;

  constructor(question: readonly string[], options: FlowWatchOptions) {
    this.#options = options;
    this.#parser = createFlowParser(options.scope);
    this.#conntrack = follow({
      // userspace: a deletion by a program (our own at a demotion) is no end of the connection.
      command: ['conntrack', '-E', '-o', 'id,userspace', '-p', 'tcp', '-b', `${QUEUE_BYTES}`, ...question],
      install: 'conntrack',
      onStart: () => this.#started(),
      onOutput: chunk => this.#take(chunk),
      onWords: words => {
        const isFull = words.includes('ENOBUFS');
        if (isFull) this.#lost('the kernel had more conntrack events than conntrack could take (ENOBUFS)');
        return isFull;
      },
      onEnd: why => this.#ended(why),
    });
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  get pid(): number | undefined {
    return this.#conntrack.child()?.pid;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#calm);
    this.#conntrack.close();
  }

  #started(): void {
    this.#parser = createFlowParser(this.#options.scope);
    this.#calm = setTimeout(() => {
      this.#problem = undefined;
    }, CALM_MS).unref();
  }

  #ended(why: string): void {
    clearTimeout(this.#calm);
    this.#problem = `conntrack's events are not followed (conntrack -E ${why}): connections of the last two seconds before a failover, and active mode's, may be missing on the peer`;
    this.#options.count('flow_watch_restarts', 1);
    this.#lost('conntrack -E ended');
  }

  #take(chunk: Buffer): void {
    const before = this.#parser.counts();
    const entries = this.#parser.push(chunk);
    const counts = this.#parser.counts();
    this.#options.count('flows_used', counts.used - before.used);
    this.#options.count('flows_foreign', counts.foreign - before.foreign);
    this.#options.count('flows_unknown', counts.unknown - before.unknown);
    if (entries.length > 0) this.#options.entries(entries);
  }

  #lost(what: string): void {
    this.#options.count('flows_lost', 1);
    const now = monotonicNow();
    if (this.#closed || now - this.#saidLostAt < LOST_AGAIN_MS) return;
    this.#saidLostAt = now;
    this.#options.lost(what);
  }
}
