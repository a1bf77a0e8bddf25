// check.manual_resume as the director holds it: which servers were up, and the orders for those
// that have gone down since. Not pure: it holds what was seen, saves it, and gives orders; it is
// decided in ../manual-resume.ts.
import type { Config } from '../../config/schema.ts';
import type { ServerName } from '../../drain/drains.ts';
import type { Log } from '../../log/log.ts';
import type { Verdict } from '../../nanny/verdict.ts';
import { type CheckWatch, isApart, peerWord } from '../check-watch.ts';
import { gonePending, type SeenUp, settledFor } from '../manual-resume.ts';
import type { DrainOrder, DrainOutcome } from '../operator-drains.ts';
import type { DrainOf } from '../wanted.ts';

export interface ManualResumePorts {
  readonly log: Log;
  readonly verdicts: () => readonly Verdict[];
  /** Keeps it for the next start. */
  readonly saveSeenUp: (seen: SeenUp) => void;
}

interface ManualResumeOptions extends ManualResumePorts {
  /** As the last run left it; undefined: not known. */
  readonly seenUp: SeenUp | undefined;
  readonly config: () => Config;
  readonly isOwner: () => boolean;
  readonly drainOf: () => DrainOf;
  readonly checks: () => CheckWatch;
  readonly drain: (order: DrainOrder) => Promise<DrainOutcome>;
}

export class ManualResume {
  readonly #options: ManualResumeOptions;
  #seenUp: SeenUp;
  /** Why orders have failed since one was last carried out. */
  readonly #toldProblems = new Set<string>();

  constructor(options: ManualResumeOptions) {
    this.#options = options;
    this.#seenUp = options.seenUp ?? new Set();
  }

  /** To be called when a verdict, the role, the config or the peer's word has changed. */
  look(): void {
    const { seenUp, config, verdicts, isOwner, drainOf, checks, drain, log } = this.#options;
    const foundUp = (name: ServerName) => peerWord(checks(), name)?.state === 'up';
    const { next, orders } = gonePending(this.#seenUp, {
      config: config(),
      verdicts: verdicts(),
      drainOf: drainOf(),
      isOwner: isOwner(),
      // What this router has seen itself before its restart is better known.
      peerSaysUp: name => seenUp === undefined && foundUp(name),
      isApart: name => isApart(checks(), name) && foundUp(name),
    });
    const before = this.#seenUp;
    this.#became(next);
    for (const order of orders) {
      void drain(order).then(outcome => {
        if (outcome.ok) return this.#toldProblems.clear();
        // Forgotten, it would take clients again once its check passes: the next look asks anew.
        this.#became(new Set([...this.#seenUp, ...[...before].filter(key => key.startsWith(`${order.target} `))]));
        if (this.#toldProblems.has(outcome.problem)) return;
        this.#toldProblems.add(outcome.problem);
        log.event('DIRECTOR_FAULT', { reason: order.reason, problem: outcome.problem });
      });
    }
  }

  /** Servers were drained or enabled, here or by the peer's word. */
  decreed(names: readonly ServerName[]): void {
    const { config, verdicts } = this.#options;
    this.#became(settledFor(this.#seenUp, names, { config: config(), verdicts: verdicts() }));
  }

  #became(next: SeenUp): void {
    const isSame = next.size === this.#seenUp.size && [...next].every(key => this.#seenUp.has(key));
    this.#seenUp = next;
    if (!isSame) this.#options.saveSeenUp(next);
  }
}
