// Follows the SYNs to real servers of DR and TUN through the helper syn-log, while the scope has
// such services. Not pure.
import { type Followed, follow } from '../../../command/io/follow.ts';
import { SYN_GROUP } from '../../../ipvs/sync-daemon.ts';
import { ownFile } from '../../../units/io/own-files.ts';
import type { Entry } from '../../table/entry.ts';
import { type Scope, trackedServices } from '../../table/scope.ts';
import { createSynParser, type SynParser } from '../syn-reports.ts';

interface SynWatchOptions {
  readonly scope: () => Scope;
  readonly entries: (entries: readonly Entry[]) => void;
  readonly lost: (what: string) => void;
  readonly count: (name: SynCounter, by: number) => void;
}

type SynCounter = 'syns_used' | 'syns_foreign' | 'syns_unknown' | 'syns_lost' | 'syn_watch_restarts';

export interface SynWatch {
  /** Starts when the scope has a service whose SYNs are told, ends when it has none any more. */
  follow(): void;
  /** Each a sentence. */
  problems(): readonly string[];
  close(): void;
}

/** Beside the compiled program. */
const SYN_LOG = ownFile('dist/syn-log');
/** A helper that lives longer than this has the kernel's ear. */
const CALM_MS = 3_000;

export function createSynWatch(options: SynWatchOptions): SynWatch {
  return new Watch(options);
}

class Watch implements SynWatch {
  readonly #options: SynWatchOptions;
  #helper: Followed | undefined;
  #parser: SynParser;
  #calm: NodeJS.Timeout | undefined;
  #problem: string | undefined;

  constructor(options: SynWatchOptions) {
    this.#options = options;
    this.#parser = createSynParser(options.scope);
  }

  follow(): void {
    const { services } = this.#options.scope();
    if (services.length === trackedServices(services).length) return this.close();
    this.#helper ??= follow({
      command: [SYN_LOG, `${SYN_GROUP}`],
      install: 'Tandem anew (scripts/install)',
      onStart: () => {
        this.#parser = createSynParser(this.#options.scope);
        this.#calm = setTimeout(() => {
          this.#problem = undefined;
        }, CALM_MS).unref();
      },
      onOutput: chunk => this.#take(chunk),
      onEnd: why => this.#ended(why),
    });
  }

  problems(): readonly string[] {
    return this.#problem === undefined ? [] : [this.#problem];
  }

  close(): void {
    clearTimeout(this.#calm);
    this.#helper?.close();
    this.#helper = undefined;
    this.#problem = undefined;
  }

  #ended(why: string): void {
    clearTimeout(this.#calm);
    this.#problem = `new connections of services with dr or tun are not followed (syn-log ${why}): those of the last two seconds before a failover may be missing on the peer`;
    this.#options.count('syn_watch_restarts', 1);
  }

  #take(chunk: Buffer): void {
    const before = this.#parser.counts();
    const entries = this.#parser.push(chunk);
    const counts = this.#parser.counts();
    for (const name of ['used', 'foreign', 'unknown', 'lost'] as const)
      this.#options.count(`syns_${name}`, counts[name] - before[name]);
    if (entries.length > 0) this.#options.entries(entries);
    // The sync master tells of them all the same, later.
    if (counts.lost > before.lost) this.#options.lost('the kernel had more SYNs than syn-log could take (ENOBUFS)');
  }
}
