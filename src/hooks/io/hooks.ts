// The hooks of this router: takes each event of both daemons, gives it to the hooks that want it,
// and has tandem-runner do what they say, for each one message after the other. Not pure: timers,
// the runner's socket, log. Nothing that logs waits for it.
import { randomBytes } from 'node:crypto';
import { type HookTask, hookDigest, hookTask } from '../../config/hook-task.ts';
import type { HookWord } from '../../config/hook-word.ts';
import { readSecret } from '../../config/io/key.ts';
import type { Config } from '../../config/schema.ts';
import { type FeedEvents, type FeedMark, newEvents } from '../../feed/feed-events.ts';
import { EVENTS, type EventCode } from '../../log/catalogue.ts';
import type { Log } from '../../log/log.ts';
import { askRunner } from '../../runner/io/ask-runner.ts';
import { isGood } from '../../runner/runner-message.ts';
import { type At, between } from '../../units/duration.ts';
import { type Happened, type HookMessage, messageOf } from '../hook-message.ts';
import {
  beginTry,
  dueOf,
  EMPTY_QUEUE,
  enqueueMessage,
  type HookQueue,
  tryDelivered,
  tryFailed,
} from '../hook-queue.ts';
import type { HookReport, KeptHooks } from '../hook-report.ts';
import { wants } from '../hook-selection.ts';
import { hearSent, NOTHING_HELD, type PairHold, releaseHeld, takeShared } from '../pair-hold.ts';

interface HooksOptions {
  readonly config: Pick<Config, 'hooks' | 'pair'>;
  readonly node: string;
  readonly log: Log;
  /** Where the runner listens. */
  readonly socketPath: string;
  readonly now: () => At;
  /** Wall time for people, ISO 8601. */
  readonly wall: () => string;
  /** What the last run left. */
  readonly kept: KeptHooks;
  /** What is to be kept has changed. */
  readonly keep: (kept: KeptHooks) => void;
  /** A report has changed. */
  readonly onChange: () => void;
  /** Whether this router is the owner of the VIPs. */
  readonly owns: () => boolean;
  /** For the peer's hooks: this has got through. Where it cannot be said, the peer sends, too. */
  readonly say: (word: HookWord) => void;
  /** How the runner is asked; absent: over its socket. */
  readonly ask?: typeof askRunner;
}

/** How often it is looked whether what was left to the peer is due here. */
const SETTLE_MS = 1_000;

interface Outcome {
  readonly good: boolean;
  /** How the try ended, for people. */
  readonly reason: string;
}

export interface Hooks {
  /** An event of this process. Never waits. */
  take(happened: Happened): void;
  /** What pulse says beside a snapshot. */
  takePulse(events: FeedEvents): void;
  /** The peer's hook has sent this. */
  peerSent(word: HookWord): void;
  /** To be called when the owner may have changed: what was left to the peer may be due here. */
  settle(): void;
  /** Hooks that stay keep what waits. */
  update(config: Pick<Config, 'hooks' | 'pair'>): void;
  reports(): HookReport[];
  /** Tries it once, past what waits; undefined: there is no such hook. */
  test(name: string): Promise<Outcome | undefined>;
  /** Gives up what is under way; it is kept for the next start. */
  stop(): void;
}

/** What the runner may not read itself, or why that cannot be had. Never quotes it. */
function secretOf(task: HookTask): { readonly url?: string; readonly headers?: string } | string {
  if (task.type !== 'webhook') return {};
  try {
    const [url, headers] = [task.urlFile, task.headerFile].map(file =>
      file === undefined ? undefined : readSecret(file, 'make it with mode 0600, or correct the path'),
    );
    return { ...(url === undefined ? {} : { url }), ...(headers === undefined ? {} : { headers }) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

interface Ward {
  readonly name: string;
  queue: HookQueue;
  hold: PairHold;
  timer: NodeJS.Timeout | undefined;
  triedAt: string | null;
  outcome: string;
}

export function startHooks(options: HooksOptions): Hooks {
  return new HookSet(options);
}

class HookSet implements Hooks {
  readonly #options: HooksOptions;
  readonly #life = randomBytes(6).toString('hex');
  readonly #abort = new AbortController();
  #config: Pick<Config, 'hooks' | 'pair'>;
  #wards = new Map<string, Ward>();
  #mark: FeedMark | undefined;
  #count = 0;
  readonly #settling: NodeJS.Timeout;

  constructor(options: HooksOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#mark = options.kept.mark;
    this.#name();
    this.#settling = setInterval(() => this.settle(), SETTLE_MS).unref();
    for (const [name, waiting] of Object.entries(options.kept.waiting)) {
      const ward = this.#wards.get(name);
      if (ward === undefined) continue;
      ward.queue = { ...EMPTY_QUEUE, waiting };
      this.#next(ward);
    }
  }

  take(happened: Happened): void {
    const takers = Object.entries(this.#config.hooks).filter(([, hook]) => wants(hook, happened.code, happened.fields));
    if (takers.length === 0) return;
    const message = messageOf(happened, this.#origin());
    for (const [name, { once_per_pair: isOnce }] of takers) {
      if (!isOnce || this.#isOurs(name, message)) this.#enter(name, message);
    }
    this.#changed();
  }

  takePulse(heard: FeedEvents): void {
    const { events, missed, mark } = newEvents(heard, this.#mark);
    if (events.length === 0) return;
    this.#mark = mark;
    if (missed > 0) this.#options.log.event('HOOK_EVENTS_MISSED', { events: missed });
    for (const { at, code, fields } of events) {
      // A pulse of another version may know events that this director does not.
      if (Object.hasOwn(EVENTS, code)) this.take({ at, process: 'pulse', code: code as EventCode, fields });
    }
    this.#keep();
  }

  peerSent({ hook, dedup }: HookWord): void {
    const ward = this.#wards.get(hook);
    if (ward === undefined) return;
    ward.hold = hearSent(ward.hold, dedup, this.#options.now());
    this.#changed();
  }

  settle(): void {
    const [owns, now] = [this.#options.owns(), this.#options.now()];
    for (const ward of this.#wards.values()) {
      if (ward.hold.held.length === 0) continue;
      const most = this.#config.hooks[ward.name]?.queue ?? 0;
      const { next, messages } = releaseHeld(ward.hold, { owns, now, most });
      ward.hold = next;
      for (const message of messages) this.#enter(ward.name, message);
      if (messages.length > 0) this.#changed();
    }
  }

  update(config: Pick<Config, 'hooks' | 'pair'>): void {
    this.#config = config;
    this.#name();
    // One that waits for its next try gets it at once: the reload may have mended it.
    for (const ward of this.#wards.values()) {
      ward.queue = { ...ward.queue, notBefore: EMPTY_QUEUE.notBefore };
      this.#next(ward);
    }
    this.#changed();
  }

  reports(): HookReport[] {
    return [...this.#wards.values()].map(({ name, queue, hold, triedAt, outcome }) => ({
      ...{ name, does: this.#taskOf(name)?.type ?? '', failing: queue.isFailing },
      ...{ waiting: queue.waiting.length, tries: queue.failures, held: hold.held.length },
      ...{ sent: queue.sent, lost: queue.lost, dropped: queue.dropped, triedAt, outcome },
    }));
  }

  async test(name: string): Promise<Outcome | undefined> {
    if (!this.#wards.has(name)) return undefined;
    const { wall, log } = this.#options;
    const fields = { hook: name, outcome: '' };
    const happened: Happened = { at: wall(), process: 'director', code: 'HOOK_TEST', fields };
    const outcome = await this.#try(name, messageOf(happened, this.#origin()));
    log.event('HOOK_TEST', { hook: name, outcome: outcome.reason });
    return outcome;
  }

  stop(): void {
    this.#abort.abort();
    clearInterval(this.#settling);
    for (const ward of this.#wards.values()) clearTimeout(ward.timer);
    this.#keep();
  }

  /** A ward for each hook of the config. */
  #name(): void {
    const before = this.#wards;
    this.#wards = new Map();
    for (const name of Object.keys(this.#config.hooks)) {
      const fresh: Ward = {
        name,
        queue: EMPTY_QUEUE,
        hold: NOTHING_HELD,
        timer: undefined,
        triedAt: null,
        outcome: '',
      };
      this.#wards.set(name, before.get(name) ?? fresh);
      before.delete(name);
    }
    for (const { name, timer, queue } of before.values()) {
      clearTimeout(timer);
      if (queue.isFailing) this.#options.log.event('HOOK_WORKS', { hook: name });
    }
  }

  #origin(): { readonly id: string; readonly pair: string; readonly node: string } {
    this.#count += 1;
    const { node } = this.#options;
    return { id: `${node}-${this.#life}-${this.#count}`, pair: this.#config.pair, node };
  }

  /** Whether this router sends it now; else it is kept back, or the peer has sent it. */
  #isOurs(name: string, message: HookMessage): boolean {
    const ward = this.#wards.get(name);
    // Only one router has become active.
    if (ward === undefined || !message.pairWide || message.code === 'ROLE_CHANGED') return true;
    const { owns, now } = this.#options;
    const { next, does } = takeShared(ward.hold, message, { owns: owns(), now: now() });
    ward.hold = next;
    if (does === 'hold') this.settle();
    return does === 'send';
  }

  #enter(name: string, message: HookMessage): void {
    const [ward, hook] = [this.#wards.get(name), this.#config.hooks[name]];
    if (ward === undefined || hook === undefined) return;
    const { next, dropped } = enqueueMessage(ward.queue, message, hook);
    ward.queue = next;
    for (const { code } of dropped) this.#options.log.event('HOOK_DROPPED', { hook: name, event: code });
    this.#next(ward);
  }

  /** Begins a try, or waits for when one is due. */
  #next(ward: Ward): void {
    clearTimeout(ward.timer);
    if (this.#abort.signal.aborted || this.#wards.get(ward.name) !== ward) return;
    const now = this.#options.now();
    const { message, at } = dueOf(ward.queue, now);
    if (at !== undefined) ward.timer = setTimeout(() => this.#next(ward), between(now, at) + 1);
    if (message === undefined) return;
    ward.queue = beginTry(ward.queue);
    void this.#deliver(ward, message);
  }

  async #deliver(ward: Ward, message: HookMessage): Promise<void> {
    const { wall, now, log } = this.#options;
    const { name } = ward;
    const { good, reason } = await this.#try(name, message);
    if (this.#abort.signal.aborted) return;
    ward.triedAt = wall();
    ward.outcome = reason;
    if (good) {
      const { next, recovered } = tryDelivered(ward.queue);
      ward.queue = next;
      if (recovered) log.event('HOOK_WORKS', { hook: name });
      if (message.pairWide) this.#options.say({ hook: name, dedup: message.dedup });
    } else {
      const settings = this.#config.hooks[name] ?? { retries: 0, retry_after: 0 };
      const { next, tries, pauseMs } = tryFailed(ward.queue, settings as Config['hooks'][string], now());
      ward.queue = next;
      const about = { hook: name, event: message.code, tries, problem: reason };
      if (pauseMs === undefined) log.event('HOOK_FAILED', about);
      else log.event('HOOK_RETRIED', { ...about, pauseMs });
    }
    this.#next(ward);
    this.#changed();
  }

  /** Never rejects. */
  async #try(name: string, message: HookMessage): Promise<Outcome> {
    const { socketPath, ask = askRunner } = this.#options;
    const task = this.#taskOf(name);
    if (task === undefined) return { good: false, reason: 'the config has no such hook any more' };
    const secret = secretOf(task);
    if (typeof secret === 'string') return { good: false, reason: secret };
    const run = { type: 'hook', hook: name } as const;
    const request = { run, digest: hookDigest(task), message: JSON.stringify({ ...message, hook: name }), secret };
    const answer = await ask(socketPath, request, { timeoutMs: task.timeoutMs, signal: this.#abort.signal });
    return { good: answer.type === 'ended' && isGood(answer), reason: answer.reason };
  }

  #taskOf(name: string) {
    return hookTask(this.#config, this.#options.node, name);
  }

  #changed(): void {
    this.#keep();
    this.#options.onChange();
  }

  #keep(): void {
    // What is kept back goes out after a restart: better twice than never.
    const open = [...this.#wards.values()].map(
      ({ name, queue, hold }) => [name, [...queue.waiting, ...hold.held.map(({ message }) => message)]] as const,
    );
    const waiting = Object.fromEntries(open.filter(([, messages]) => messages.length > 0));
    this.#options.keep({ mark: this.#mark, waiting });
  }
}
