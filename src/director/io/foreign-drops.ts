// Whether other firewalls let through what is ours, by the counters of our own rules, and who does
// not. Not pure: it reads the kernel, holds what was counted, and logs; it is decided in
// firewall/evidence.ts and firewall/suspects.ts.
import type { Config } from '../../config/schema.ts';
import { type Evidence, type Loss, NO_EVIDENCE, weigh } from '../../firewall/evidence.ts';
import { acceptMatch, firewallOf } from '../../firewall/ruleset.ts';
import { lossText, suspects } from '../../firewall/suspects.ts';
import type { Log } from '../../log/log.ts';
import { familyOf } from '../../units/address.ts';
import { type At, after, between, ms } from '../../units/duration.ts';
import type { Kernel } from './kernel.ts';

/**
 * nft reads the whole table for its counters, which takes long with hundreds of services: the pause
 * after a look is so many times as long.
 */
const PAUSE_SHARE = 20;

interface ForeignDropsOptions {
  readonly kernel: Pick<Kernel, 'readCounters' | 'readAllRules'>;
  readonly log: Log;
  readonly node: string;
  readonly config: () => Config;
  readonly changed: (reason: string) => void;
  /** Monotonic. */
  readonly now: () => At;
}

export class ForeignDrops {
  readonly #options: ForeignDropsOptions;
  #evidence: Evidence = NO_EVIDENCE;
  /** When it is looked again, at the earliest. */
  #nextAt = -Infinity as At;
  readonly #losses = new Map<string, { readonly loss: Loss; readonly problem: string }>();
  readonly #refused = { seen: 0, total: 0 };

  constructor(options: ForeignDropsOptions) {
    this.#options = options;
  }

  /** Packets that our own guard has refused. */
  get refused(): number {
    return this.#refused.total;
  }

  /** A sentence for each loss that goes on. */
  problems(): readonly string[] {
    return [...this.#losses.values()].map(({ problem }) => problem);
  }

  /** To be called every few seconds. */
  async weigh(): Promise<void> {
    const { kernel, log, config, changed, now: clock } = this.#options;
    const services = Object.keys(config().services);
    const began = clock();
    if ((services.length === 0 && this.#losses.size === 0) || began < this.#nextAt) return;
    const read = await kernel.readCounters();
    this.#nextAt = after(began, ms(PAUSE_SHARE * between(began, clock())));
    if (!read.ok) return;
    this.#countRefused(read.value);
    this.#evidence = weigh(this.#evidence, read.value, services);
    const keyOf = ({ service, way }: Loss) => `${way} ${service}`;
    const now = new Set(this.#evidence.losses.map(keyOf));
    for (const [key, { loss }] of this.#losses) {
      if (now.has(key)) continue;
      this.#losses.delete(key);
      log.event('FOREIGN_DROP_OVER', { service: loss.service, way: loss.way });
      changed('firewall');
    }
    for (const loss of this.#evidence.losses) {
      if (this.#losses.has(keyOf(loss))) continue;
      const problem = await this.#explain(loss);
      this.#losses.set(keyOf(loss), { loss, problem });
      log.event('FOREIGN_DROP', { service: loss.service, way: loss.way, problem });
      changed('firewall');
    }
  }

  /** Rules that were put in anew count from zero. */
  #countRefused(counters: ReadonlyMap<string, number>): void {
    const refused = [...counters].filter(([name]) => name.startsWith('refused_')).reduce((sum, [, n]) => sum + n, 0);
    this.#refused.total += refused < this.#refused.seen ? refused : refused - this.#refused.seen;
    this.#refused.seen = refused;
  }

  async #explain(loss: Loss): Promise<string> {
    const { kernel, config, node } = this.#options;
    const service = firewallOf(config(), node).services.find(({ name }) => name === loss.service);
    const rules = await kernel.readAllRules();
    const family = service && familyOf(service.vip) === 6 ? 'ip6' : 'ip';
    return lossText(
      loss,
      rules.ok ? suspects(rules.value, loss.way, family) : [],
      service ? acceptMatch(loss.way, service) : '',
    );
  }
}
