// The drains of operators as the director holds them: takes commands and the peer's words, saves,
// tells the peer, and says what is new. Not pure: it holds what is known, logs and saves; it is
// decided in drain/drains.ts and operator-drains.ts.
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../../config/schema.ts';
import { DRAINS_STALE_MS, type DrainWord } from '../../drain/drain-word.ts';
import {
  type Decree,
  type Drains,
  decree,
  drained,
  drainKey,
  drainOf,
  fromWords,
  isSameDecree,
  isTooFar,
  merge,
  newsOf,
  noRoom,
  type ServerName,
  toWords,
  withoutUnknown,
} from '../../drain/drains.ts';
import type { ServerCounts } from '../../ipvs/ipvsadm.ts';
import type { Log } from '../../log/log.ts';
import type { Verdict } from '../../nanny/verdict.ts';
import type { DrainReport } from '../../status/status-report.ts';
import type { ConnectionSync, ServerLoad } from '../../sync/sync.ts';
import { type At, between } from '../../units/duration.ts';
import { hasServer, targetOf } from '../drain-target.ts';
import {
  type DrainOrder,
  type DrainOutcome,
  type DrainsTold,
  decreeEvents,
  drainedByService,
  drainReports,
  drainRule,
  emptiedBy,
  hasAllConnections,
  progressEvents,
  servicesOfDrains,
  standOfDrains,
} from '../operator-drains.ts';
import type { DrainOf } from '../wanted.ts';
import { oneAtATime } from './one-at-a-time.ts';

/** So much of a drain's time a power cut may give back at most. */
const SAVE_EVERY_MS = 60_000;

export interface DrainPorts {
  readonly sync: Pick<ConnectionSync, 'tellDrains' | 'loadOf' | 'status'>;
  readonly log: Log;
  readonly verdicts: () => readonly Verdict[];
  /** Names the servers that are drained, to the nannies: by service, all of them. */
  readonly judgeWithout: (drained: ReadonlyMap<string, readonly string[]>) => void;
  /** Resolves with the reason why it failed, which it has logged; undefined: it is on disk. */
  readonly saveDrains: (drains: Drains) => Promise<string | undefined>;
  /** Monotonic. */
  readonly now: () => At;
  /** Wall time, ISO 8601. */
  readonly wall: () => string;
}

interface DrainOptions extends DrainPorts {
  readonly node: string;
  readonly drains: Drains;
  readonly config: () => Config;
  /** Undefined: the kernel was not read yet. */
  readonly counts: () => readonly ServerCounts[] | undefined;
  /** These servers were drained or enabled just now. */
  readonly decreed: (names: readonly ServerName[]) => void;
  /** See hasAllConnections. */
  readonly owns: () => boolean | undefined;
  readonly changed: (reason: string) => void;
  readonly audit: (reason: string) => Promise<void>;
}

export class OperatorDrains {
  readonly #options: DrainOptions;
  #drains: Drains;
  /** What the peer has said that it has. */
  #heard: ReadonlyMap<string, { readonly decree: Decree; readonly at: At }> = new Map();
  #told: DrainsTold = new Map();
  #savedAt = -Infinity as At;
  /** The last save has failed: the file says something else than what holds. */
  #isUnsaved = false;
  /** The peer has sent words that are too far ahead, and this was told. */
  #isFarTold = false;
  #closed = false;
  readonly #saves = oneAtATime(() => this.#write());

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#drains = withoutUnknown(options.drains, this.#known);
    options.judgeWithout(drainedByService(this.#drains));
  }

  readonly #known = (name: ServerName): boolean => hasServer(this.#options.config(), name);

  /** For the plan. */
  rule(): DrainOf {
    return drainRule(this.#drains, this.#options.now(), this.#options.config().ipvs);
  }

  stand(): string {
    return standOfDrains(this.#drains, this.#options.now(), this.#options.config().ipvs);
  }

  /** Services that must not be checked through their VIP. */
  services(): readonly string[] {
    const { config, counts, now } = this.#options;
    return servicesOfDrains(this.#drains, config(), counts(), now());
  }

  /** Takes a command; resolves when the kernel has followed. */
  async order({ target, spanMs, force, ...order }: DrainOrder): Promise<DrainOutcome> {
    // As of hear(): it would hold until the end of this process, and the next one would not know.
    if (this.#closed) return { ok: false, kind: 'refused', problem: 'the director stops; ask again when it runs' };
    const { config, node, now, wall, verdicts } = this.#options;
    const found = targetOf(target, config());
    if (!found.ok) return { ok: false, kind: 'unknown', problem: found.problem };
    const about = { config: config(), drains: this.#drains, verdicts: verdicts() };
    const emptied = order.drained && !force ? emptiedBy(found.servers, about) : [];
    if (emptied.length > 0) return { ok: false, kind: 'refused', problem: emptied.join('; ') };
    // Enabling what takes clients is no news; draining again sets a new time.
    const servers = order.drained ? found.servers : found.servers.filter(name => drainOf(this.#drains, name));
    if (servers.length === 0) return { ok: true, servers, unsaved: '' };
    const full = noRoom(this.#drains, servers);
    if (full !== undefined) return { ok: false, kind: 'refused', problem: full };
    const span = spanMs ?? config().ipvs.drain;
    const next = decree(this.#drains, servers, { ...order, spanMs: span, router: node, since: wall() }, now());
    const before = this.#drains;
    this.#drains = next;
    const unsaved = await this.#became(before, 'enabled');
    await this.#options.audit(order.drained ? 'an operator drains a server' : 'an operator enables a server');
    return { ok: true, servers, unsaved: unsaved ?? '' };
  }

  /** All that the peer has; it says it again and again. */
  hear(words: readonly DrainWord[]): void {
    // What is taken now would be lost: the last save is under way.
    if (this.#closed) return;
    const now = this.#options.now();
    const others = fromWords(words, now);
    const heard = new Map([...this.#heard].filter(([, { at }]) => between(at, now) < DRAINS_STALE_MS));
    for (const other of others) if (this.#known(other)) heard.set(drainKey(other), { decree: other, at: now });
    this.#heard = heard;
    const before = this.#drains;
    this.#tellFar(others.find(other => isTooFar(before, other)));
    const next = merge(before, others, this.#known);
    this.#drains = next;
    if (newsOf(before, next).length === 0) return this.#options.changed('drains');
    void this.#became(before, 'enabled');
    void this.#options.audit('the peer has told of drains');
  }

  #tellFar(far: Decree | undefined): void {
    if (far === undefined || this.#isFarTold) return;
    this.#isFarTold = true;
    const { service, server, counter } = far;
    this.#options.log.event('DRAIN_REFUSED', { service, server, counter, own: this.#drains.counter });
  }

  /** The config in use is another one. */
  configured(): void {
    const before = this.#drains;
    this.#drains = withoutUnknown(before, this.#known);
    if (this.#drains.decrees.size !== before.decrees.size) void this.#became(before, 'left the config');
  }

  #became(before: Drains, why: 'enabled' | 'left the config'): Promise<string | undefined> {
    const { log, changed, decreed, judgeWithout } = this.#options;
    judgeWithout(drainedByService(this.#drains));
    decreed(newsOf(before, this.#drains));
    const events = decreeEvents(before, this.#drains, why);
    for (const { code, fields } of events) log.event(code, fields);
    this.#tell();
    changed('drains');
    return this.#save();
  }

  /**
   * One at a time, each with what is known when its turn comes; those that wait share one. Resolves
   * with why what is known now is not on disk.
   */
  #save(): Promise<string | undefined> {
    this.#savedAt = this.#options.now();
    return this.#saves.run();
  }

  async #write(): Promise<string | undefined> {
    const problem = await this.#options.saveDrains(this.#drains);
    this.#isUnsaved = problem !== undefined;
    return problem;
  }

  #tell(): void {
    this.#options.sync.tellDrains(toWords(this.#drains, this.#options.now()));
  }

  /** To be called often. */
  look(): void {
    const { log, now, changed } = this.#options;
    this.#tell();
    const { next, events } = progressEvents(
      this.#told,
      this.#reports(() => undefined),
    );
    const isNew = !isDeepStrictEqual(next, this.#told);
    this.#told = next;
    for (const { code, fields } of events) log.event(code, fields);
    if (isNew) changed('drains');
    const isDue = drained(this.#drains).length > 0 || this.#isUnsaved;
    if (isDue && between(this.#savedAt, now()) >= SAVE_EVERY_MS) void this.#save();
  }

  report(): readonly DrainReport[] {
    return this.#reports(name => this.#options.sync.loadOf(name)).map(({ counter: _counter, ...report }) => report);
  }

  #reports(load: (name: ServerName) => ServerLoad | undefined): ReturnType<typeof drainReports> {
    const { config, counts, owns, sync, now } = this.#options;
    return drainReports({
      hasAll: service => hasAllConnections(service, { owns: owns(), sync: sync.status() }),
      drains: this.#drains,
      config: config(),
      counts: counts(),
      now: now(),
      load,
      isShared: one => this.#isShared(one),
    });
  }

  #isShared(one: Decree): boolean {
    const heard = this.#heard.get(drainKey(one));
    const isFresh = heard !== undefined && between(heard.at, this.#options.now()) < DRAINS_STALE_MS;
    return isFresh && isSameDecree(heard.decree, one);
  }

  /** The time that is left, for the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#drains.decrees.size > 0 || this.#isUnsaved) await this.#save();
    await this.#saves.close(undefined);
  }
}
