// Words between the two directors that are not about entries but go over the same links: what the
// nannies say, what operators have decreed, reloads, and what hooks have sent. Either router says
// them, whatever its role, to a peer that takes them. Deterministic.
import type { HookWord } from '../../config/hook-word.ts';
import type { ReloadWord } from '../../config/reload-word.ts';
import { DRAINS_EVERY_MS, type DrainWord } from '../../drain/drain-word.ts';
import { CHECKS_EVERY_MS, type CheckWord } from '../../nanny/check-word.ts';
import { type At, ms } from '../../units/duration.ts';
import { type ControlOf, writeChecks, writeControl, writeDrains } from './frame.ts';
import type { Outbox } from './outbox.ts';
import type { SyncLinks } from './sync-links.ts';

/** An ask is repeated once a second, for a minute at most. */
const RELOAD_WORDS_MS = ms(60_000);
const RELOAD_WORDS_MAX = 200;

export class DirectorWords {
  readonly #links: SyncLinks;
  readonly #out: Outbox;
  /** What the nannies here say, and when it was last sent. */
  #checks: readonly CheckWord[] = [];
  #checksAt = Number.NEGATIVE_INFINITY;
  /** What operators have decreed, and when it was last sent. */
  #drains: readonly DrainWord[] = [];
  #drainsAt = Number.NEGATIVE_INFINITY;
  /** The peer's words on reloads in the span that began then. */
  #reloads = 0;
  #reloadsAt = Number.NEGATIVE_INFINITY;

  constructor(links: SyncLinks, out: Outbox) {
    this.#links = links;
    this.#out = out;
  }

  /** Whether the peer can be asked for a reload; else why not, as a clause. */
  get canReload(): true | string {
    if (this.#links.usableOnes.length === 0) return 'no sync link to it is up';
    return this.#links.anyTakes('reload') ? true : 'its director is of an older version';
  }

  /** All that the nannies here say now; tick() sends it. */
  setChecks(words: readonly CheckWord[]): void {
    if (JSON.stringify(words) !== JSON.stringify(this.#checks)) this.#checksAt = Number.NEGATIVE_INFINITY;
    this.#checks = words;
  }

  /** All that operators have decreed, as it is known here now; tick() sends it. */
  setDrains(words: readonly DrainWord[]): void {
    if (decreesIn(words) !== decreesIn(this.#drains)) this.#drainsAt = Number.NEGATIVE_INFINITY;
    this.#drains = words;
  }

  /** Whoever says it says it again until it is answered. */
  sayReload(word: ReloadWord, now: At): void {
    const link = this.#links.bestFor('reload', now);
    if (link !== undefined) this.#out.send(link, writeControl({ type: 'reload', word }));
  }

  /** Once: where it is lost, the peer's hook sends, too. */
  sayHookSent(word: HookWord, now: At): void {
    const link = this.#links.bestFor('hook-sent', now);
    if (link !== undefined) this.#out.send(link, writeControl({ type: 'hook-sent', word }));
  }

  /** Another director than before has heard nothing yet. */
  peerChanged(): void {
    this.#checksAt = Number.NEGATIVE_INFINITY;
    this.#drainsAt = Number.NEGATIVE_INFINITY;
  }

  /** At once when they change; again and again, since a link may go with what it carries. */
  tick(now: At): void {
    this.#sendChecks(now);
    this.#sendDrains(now);
  }

  heard(message: ControlOf<'checks' | 'drains' | 'reload' | 'hook-sent'>, now: At): void {
    switch (message.type) {
      case 'checks':
        return this.#out.effect({ type: 'peer-checks', words: message.words });
      case 'drains':
        return this.#out.effect({ type: 'peer-drains', words: message.words });
      case 'hook-sent':
        return this.#out.effect({ type: 'peer-hook-sent', word: message.word });
      case 'reload':
        return this.#heardReload(message.word, now);
    }
  }

  #sendChecks(now: At): void {
    if (this.#checks.length === 0 || now - this.#checksAt < CHECKS_EVERY_MS) return;
    const link = this.#links.bestFor('checks', now);
    if (link === undefined) return;
    this.#checksAt = now;
    for (const frame of writeChecks(this.#checks)) this.#out.send(link, frame);
  }

  #sendDrains(now: At): void {
    if (this.#drains.length === 0 || now - this.#drainsAt < DRAINS_EVERY_MS) return;
    const link = this.#links.bestFor('drains', now);
    if (link === undefined) return;
    this.#drainsAt = now;
    for (const frame of writeDrains(this.#drains)) this.#out.send(link, frame);
  }

  /** Each ask costs the reading of a file: no peer needs many. */
  #heardReload(word: ReloadWord, now: At): void {
    this.#out.count('reload_words');
    if (now - this.#reloadsAt >= RELOAD_WORDS_MS) {
      this.#reloadsAt = now;
      this.#reloads = 0;
    }
    this.#reloads++;
    if (this.#reloads > RELOAD_WORDS_MAX) this.#out.count('reload_dropped');
    else this.#out.effect({ type: 'peer-reload', word });
  }
}

/** What is left of their time is no news. */
function decreesIn(words: readonly DrainWord[]): string {
  return JSON.stringify(words.map(({ leftMs: _leftMs, ...word }) => word));
}
