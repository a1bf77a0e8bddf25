// Two routers whose directors keep their connection tables the same, on a virtual clock: the
// shipped sync machine, a model of the kernel's table with its rules, links that delay, fill up and
// break, and a pulse that moves the VIPs. Deterministic: a seed gives one history.

import type { SyncInput } from '../../../src/sync/stream/effect.ts';
import type { Faults, Sabotage } from './faults.ts';
import { History } from './history.ts';
import { Invariants } from './invariants.ts';
import { BOTH, type Links } from './links.ts';
import { type Router, Routers } from './routers.ts';
import { Schedule } from './schedule.ts';
import { Traffic } from './traffic.ts';

export interface SyncPairOptions {
  readonly seed: number;
  readonly faults: Faults;
  readonly clients?: number;
  /** Changes per second of what clients do. */
  readonly rate?: number;
  /** persistence_prefix of the service; absent: the whole address. */
  readonly prefix?: number;
  /**
   * Clients that are in the owner's kernel from the beginning, each with a template and an idle
   * connection.
   */
  readonly idle?: number;
  /** The longest time between two faults. */
  readonly faultEveryMs?: number;
  /** Breaks something on purpose, to show that the invariants notice. */
  readonly sabotage?: Partial<Sabotage>;
}

export class SyncPair {
  readonly history: History;
  readonly invariants: Invariants;
  readonly #seed: number;
  readonly #routers: Routers;

  constructor(options: SyncPairOptions) {
    const { seed, faults, sabotage, clients = 24, rate = 5, prefix = 32, idle = 0, faultEveryMs = 3_000 } = options;
    this.#seed = seed;
    const history = new History(seed);
    const { random } = history;
    this.history = history;
    this.#routers = new Routers({
      history,
      faults,
      sabotage,
      prefix,
      onSent: (from, frame) => this.invariants.inspect(from, frame),
    });
    this.invariants = new Invariants(history, this.#routers);
    const traffic = new Traffic(history, this.#routers, clients);
    const schedule = new Schedule(history, this.#routers, traffic);
    for (let n = 0; n < idle; n++) traffic.addIdle(n);
    this.#routers.changeRoles(0, 0);
    for (const index of BOTH) this.#routers.links.connect(index);
    history.every(
      () => random.between(500, 1_500) / rate,
      () => traffic.next(),
    );
    history.every(
      () => 250,
      () => this.invariants.check(),
    );
    history.every(
      () => 400,
      () => traffic.expire(),
    );
    history.every(
      () => random.between(200, faultEveryMs),
      () => schedule.next(),
    );
  }

  get routers(): readonly [Router, Router] {
    return this.#routers.both;
  }

  get owner(): Router {
    return this.#routers.owner;
  }

  get standby(): Router {
    return this.#routers.standby;
  }

  get links(): Links['both'] {
    return this.#routers.links.both;
  }

  input(router: Router, input: SyncInput): void {
    this.#routers.input(router, input);
  }

  /** From now on nothing goes wrong any more; what is wrong is mended. */
  calm(): void {
    this.#routers.faults = {};
    this.history.note('calm');
    this.#routers.links.calm();
    for (const router of this.routers) if (router.off) this.#routers.powerOn(router);
    this.#routers.changeRoles(0, 0);
    for (const index of BOTH) this.#routers.links.connect(index);
  }

  describe(): string {
    return [
      `seed ${this.#seed}; replay: SYNC_SEED=${this.#seed} node node_modules/ava/entrypoints/cli.mjs test/sim/sync.test.ts`,
      ...this.history.violations.slice(0, 10),
      ...this.history.log.slice(-40),
    ].join('\n');
  }
}
