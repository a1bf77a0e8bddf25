// What stands beside the audits and changes nothing in them: the checks through the VIPs, with the
// ways that they take, what both routers' nannies say of a server, and which server is the third
// machine that claims a VIP. Not pure: it holds what is known, and logs; it is decided in paths.ts,
// vip-ways.ts, check-watch.ts and vip-claimer.ts.
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../../config/schema.ts';
import type { Snapshot } from '../../feed/message.ts';
import type { Log } from '../../log/log.ts';
import { type CheckWord, checkWord } from '../../nanny/check-word.ts';
import type { PathWatch } from '../../nanny/io/nannies.ts';
import type { Verdict } from '../../nanny/verdict.ts';
import type { ConnectionSync } from '../../sync/sync.ts';
import { type At, between } from '../../units/duration.ts';
import { type CheckWatch, hearChecks, NOTHING_COMPARED, watchChecks } from '../check-watch.ts';
import { type PathCheck, pathChecks, wayPaths, wholePaths, withWay } from '../paths.ts';
import { claimerOf, claimerProblem, type VipClaimer } from '../vip-claimer.ts';
import { type VipWay, waysOf } from '../vip-ways.ts';
import type { Kernel } from './kernel.ts';
import type { VipWays } from './vip-ways.ts';

/** How often it is looked whether the kernel has the ways to the VIP on each server. */
const WAYS_EVERY_MS = 5_000;

export interface VipCheckPorts {
  readonly kernel: Pick<Kernel, 'readNeighbours'>;
  readonly sync: Pick<ConnectionSync, 'tellChecks'>;
  readonly log: Log;
  readonly verdicts: () => readonly Verdict[];
  /** Of checks through a VIP, named PATH or wayName() of a server. */
  readonly pathVerdicts: () => readonly Verdict[];
  /** Names the checks through VIPs to be made: all of them. */
  readonly watchPaths: (paths: readonly PathWatch[]) => void;
  readonly vipWays: VipWays;
  readonly snapshot: () => Snapshot | null;
  /** Monotonic. */
  readonly now: () => At;
}

interface VipCheckOptions extends VipCheckPorts {
  readonly node: string;
  readonly config: () => Config;
  /** The kernel's names of the interfaces, by those of the config. */
  readonly names: () => ReadonlyMap<string, string>;
  /** Names of the services of which a server drains. */
  readonly draining: () => ReadonlySet<string>;
  readonly changed: (reason: string) => void;
}

/** What the status shows of it. */
interface VipCheckSeen {
  readonly claimer: VipClaimer | undefined;
  readonly pathChecks: ReadonlyMap<string, PathCheck>;
  readonly pathVerdicts: readonly Verdict[];
  readonly checks: CheckWatch;
}

export class VipChecks {
  readonly #options: VipCheckOptions;
  #claimer: VipClaimer | undefined;
  /** As pulse last said. */
  #foreign: Snapshot['foreign'] = null;
  /** By which the VIP is checked on each server; why the kernel does not have them. */
  #ways: readonly VipWay[] = [];
  #waysProblem: string | undefined;
  #waysAt = -Infinity as At;
  #waysAreIn = false;
  /** Grows with every change of the ways. */
  #waysRound = 0;
  #checkWatch: CheckWatch = NOTHING_COMPARED;
  #closed = false;

  constructor(options: VipCheckOptions) {
    this.#options = options;
  }

  /** To be called often. */
  look(): void {
    this.#compareChecks();
    void this.#watchPaths();
  }

  pulseSays({ foreign }: Snapshot): void {
    if (!isDeepStrictEqual(foreign, this.#foreign)) void this.nameClaimer();
    this.#foreign = foreign;
    // A router that takes the VIP must not go on talking to itself.
    void this.#watchPaths();
  }

  /** What the peer's nannies say of some servers. */
  peerChecks(words: readonly CheckWord[]): void {
    const { config, now, changed } = this.#options;
    this.#checkWatch = hearChecks(this.#checkWatch, words, config(), now());
    changed('checks');
  }

  seen(): VipCheckSeen {
    const pathVerdicts = this.#options.pathVerdicts();
    return { claimer: this.#claimer, pathChecks: this.#pathChecks(), pathVerdicts, checks: this.#checkWatch };
  }

  /** Ends all checks through VIPs, and takes their ways away. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#watchPaths();
  }

  /** Looks whether the third machine of which pulse tells is a real server. */
  async nameClaimer(): Promise<void> {
    const { config, kernel, log, snapshot, changed } = this.#options;
    const foreign = snapshot()?.foreign ?? null;
    const before = this.#claimer;
    if (foreign?.mac.toLowerCase() === before?.mac && foreign?.address === before?.vip) return;
    let claimer: VipClaimer | undefined;
    if (foreign !== null) {
      const read = await kernel.readNeighbours();
      claimer = read.ok ? claimerOf(config(), foreign, read.value) : undefined;
    }
    if (this.#claimer !== before || isDeepStrictEqual(claimer, before)) return;
    this.#claimer = claimer;
    if (before)
      log.event('SERVER_CLAIMS_VIP_OVER', { service: before.service, server: before.server, vip: before.vip });
    if (claimer) log.event('SERVER_CLAIMS_VIP', { ...claimer, problem: claimerProblem(claimer) });
    changed('claimer');
  }

  /** Tells the peer what the nannies here say, and compares it with what it says. */
  #compareChecks(): void {
    const { config, sync, log, now, verdicts, pathVerdicts, changed } = this.#options;
    const ways = pathVerdicts();
    const words = verdicts().map(verdict => checkWord(withWay(verdict, ways)));
    sync.tellChecks(words);
    const { next, events } = watchChecks(this.#checkWatch, { config: config(), words, now: now() });
    this.#checkWatch = next;
    for (const { code, fields } of events) log.event(code, fields);
    if (events.length > 0) changed('checks');
  }

  #pathChecks(): ReadonlyMap<string, PathCheck> {
    const { config, node, snapshot, draining } = this.#options;
    return pathChecks({ config: config(), node, pulse: snapshot(), draining: draining() });
  }

  /**
   * Checks of the whole path begin and end at once. Those by way of a server begin once the kernel
   * has the way, and the way is taken away when nothing uses it any more.
   */
  async #watchPaths(): Promise<void> {
    const { config, node, names, now, watchPaths, vipWays } = this.#options;
    const checks = this.#closed ? new Map<string, PathCheck>() : this.#pathChecks();
    const whole = wholePaths(config(), checks);
    const checked = new Set([...checks].filter(([, { type }]) => type === 'checked').map(([service]) => service));
    const ways = waysOf({ config: config(), node, names: names(), checked });
    const isNew = !isDeepStrictEqual(ways, this.#ways);
    // Without its way a check would go by the other router.
    if (isNew) this.#waysAreIn = false;
    const round = isNew ? ++this.#waysRound : this.#waysRound;
    this.#ways = ways;
    watchPaths(this.#waysAreIn ? [...whole, ...wayPaths(ways)] : whole);
    if (!isNew && between(this.#waysAt, now()) < WAYS_EVERY_MS) return;
    this.#waysAt = now();
    const problem = await vipWays.ensure(ways);
    if (round !== this.#waysRound) return;
    this.#tellWays(problem);
    this.#waysAreIn = problem === undefined;
  }

  #tellWays(problem: string | undefined): void {
    const before = this.#waysProblem;
    this.#waysProblem = problem;
    if (problem !== undefined && problem !== before)
      this.#options.log.event('KERNEL_REFUSED', { target: 'vip ways', problem });
  }
}
