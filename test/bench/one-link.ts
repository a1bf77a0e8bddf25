// What a transport would lose that uses one link at a time and goes over to the next once it notices that its link is dead,
// beside the one there is, which sends on every link at once. The simulator of the sync (test/sim/sync) plays both: the
// same seeds, the same cuts, the shipped machines. Deterministic.

import { goneAfter } from '../../src/pulse/timing.ts';
import { LINK_LIMITS } from '../../src/sync/link/link-limits.ts';
import { isInactive, isTemplate } from '../../src/sync/table/entry.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { Random } from '../sim/random.ts';
import { PERSISTENCE_S } from '../sim/sync/kernel-table.ts';
import { SyncPair } from '../sim/sync/sync-pair.ts';

export interface Transport {
  readonly name: string;
  readonly oneLink: boolean;
  /** A link that has brought nothing for this long is dead. */
  readonly noticeMs: number;
}

/** GRACE_MS of src/sync/link/io/link-channel.ts is the 50. */
const SILENCE_MS = LINK_LIMITS.silenceMs + 50;
/** How soon pulse calls a heartbeat link gone, with D of 300 ms. */
const PULSE_MS = goneAfter(ms(300));

export const TRANSPORTS: readonly Transport[] = [
  { name: 'every link at once (as it is)', oneLink: false, noticeMs: SILENCE_MS },
  { name: `one link, dead after ${SILENCE_MS / 1_000} s`, oneLink: true, noticeMs: SILENCE_MS },
  { name: `one link, dead after ${PULSE_MS / 1_000} s`, oneLink: true, noticeMs: PULSE_MS },
];

/** Clients still come in when the link is cut: some are new, with a template that nobody has yet. */
const SITE = { faults: {}, clients: 250, rate: 40 };
const CUT_BETWEEN_MS = [5_000, 7_000] as const;
const TAKEOVER_MS = 300;
/** A link that is well again is dialled: the pause between two attempts by then. */
const REDIAL_MS = LINK_LIMITS.backoffMsMax;

/** Two physical links between the routers, and the transport on top of them. Node 1 dials. */
class Links {
  readonly pair: SyncPair;
  readonly #transport: Transport;
  /** When each router heard on each link for the last time. */
  readonly #heardAt = [
    [0, 0],
    [0, 0],
  ];
  readonly #isCut = [false, false];
  #dialling = false;
  used = 0;
  /** When the transport went on, after each cut of the link in use. */
  readonly resumedAt: number[] = [];

  constructor(seed: number, transport: Transport, more: { readonly idle?: number } = {}) {
    this.#transport = transport;
    this.pair = new SyncPair({
      seed,
      ...SITE,
      ...more,
      sabotage: {
        effects: (router, effects) => {
          for (const effect of effects) if (effect.type === 'send') this.#sent(router, effect.link);
          return effects;
        },
      },
    });
    if (transport.oneLink) this.#down(1);
  }

  #link(index: number) {
    return this.pair.links[index] as SyncPair['links'][0];
  }

  #sent(from: number, index: number): void {
    if (!this.#isCut[index]) this.#heard(index)[1 - from] = this.pair.history.now + this.#link(index).delayMs;
  }

  #heard(index: number): number[] {
    return this.#heardAt[index] as number[];
  }

  cut(index: number, repairAfterMs = Number.POSITIVE_INFINITY): void {
    const { pair } = this;
    if (this.#isCut[index]) return;
    this.#isCut[index] = true;
    const cutAt = pair.history.now;
    pair.history.note(`link ${index} cut`);
    if (Number.isFinite(repairAfterMs)) pair.history.at(cutAt + repairAfterMs, () => this.#repair(index));
    if (!this.#link(index).up) return;
    this.#link(index).blackhole = true;
    const noticedAt = this.#heard(index).map(at => Math.min(at, cutAt) + this.#transport.noticeMs);
    for (const router of pair.routers) {
      pair.history.at(noticedAt[router.index] as number, () => {
        pair.input(router, { type: 'link-down', link: index, why: 'silence' });
        if (router.index === 0 && this.#transport.oneLink) this.#dial(1 - index);
      });
    }
    pair.history.at(Math.max(...noticedAt) + 0.01, () => {
      this.#link(index).blackhole = false;
      this.#down(index);
    });
  }

  #down(index: number): void {
    this.#link(index).up = false;
    this.#link(index).session++;
  }

  #repair(index: number): void {
    const { pair } = this;
    this.#isCut[index] = false;
    if (this.#transport.oneLink) return;
    pair.history.at(pair.history.now + pair.history.random.between(0, REDIAL_MS), () => {
      if (!this.#isCut[index]) this.#up(index);
    });
  }

  /** TCP and TLS 1.3 take a round trip each; a link that does not answer is given up for the other. */
  #dial(index: number): void {
    const { pair } = this;
    if (this.#dialling) return;
    this.#dialling = true;
    const isCut = this.#isCut[index] as boolean;
    const tookMs = isCut ? LINK_LIMITS.connectMs + LINK_LIMITS.backoffMsMin : 4 * this.#link(index).delayMs;
    pair.history.at(pair.history.now + tookMs, () => {
      this.#dialling = false;
      if (isCut || this.#isCut[index]) return this.#dial(1 - index);
      this.used = index;
      this.#up(index);
      this.resumedAt.push(pair.history.now);
    });
  }

  #up(index: number): void {
    const { pair } = this;
    const link = this.#link(index);
    if (link.up) return;
    link.up = true;
    link.session++;
    link.blackhole = false;
    for (const router of pair.routers) {
      link.upAt[router.index] = pair.history.now;
      pair.input(router, { type: 'link-up', link: index });
    }
  }
}

/** How long the owner has had the oldest entry that the standby's kernel was never given. */
function lagOf({ owner, standby, history: { now } }: SyncPair): number {
  let lagMs = 0;
  for (const [key, row] of owner.kernel.rows) {
    if (row.expiresAt <= now || now - row.since <= lagMs) continue;
    if ((standby.kernel.takenAt.get(key) ?? Number.NEGATIVE_INFINITY) < row.since) lagMs = now - row.since;
  }
  return lagMs;
}

interface Watched {
  readonly lagMs: number;
  readonly coldMs: number;
}

const LOOK_EVERY_MS = 10;
/** Longer than any change-over. */
const WATCHED_MS = 6_000;

/** The standby, looked at again and again: its longest lag, and how long it was not warm. */
function watch(pair: SyncPair, forMs: number): Watched {
  let lagMs = 0;
  let coldMs = 0;
  for (let at = 0; at < forMs; at += LOOK_EVERY_MS) {
    pair.history.run(LOOK_EVERY_MS);
    lagMs = Math.max(lagMs, lagOf(pair));
    if (!pair.standby.director.warm) coldMs += LOOK_EVERY_MS;
  }
  return { lagMs, coldMs };
}

function resyncsOf({ owner, history: { now } }: SyncPair): number {
  return owner.director.machine.status(now as At, String).counters.resyncs ?? 0;
}

/** A pair that has been in step for a while, at the instant at which this seed's link is cut. */
function settled(seed: number, transport: Transport): { readonly links: Links; readonly random: Random } {
  const links = new Links(seed, transport);
  const random = new Random(seed);
  links.pair.history.run(random.between(...CUT_BETWEEN_MS));
  return { links, random };
}

export interface Cut extends Watched {
  readonly resyncs: number;
  readonly changeOverMs: number;
  readonly violations: readonly string[];
}

/** Nothing is cut: the lag that is the model's own, whose kernel takes up to 0.4 s for an injection. */
export function measureCalm(seed: number): Watched {
  return watch(settled(seed, TRANSPORTS[0] as Transport).links.pair, WATCHED_MS);
}

/** The link in use is cut for good. */
export function measureCut(seed: number, transport: Transport): Cut {
  const { links } = settled(seed, transport);
  const { pair } = links;
  const cutAt = pair.history.now;
  links.cut(links.used);
  const watched = watch(pair, WATCHED_MS);
  const changeOverMs = (links.resumedAt[0] ?? cutAt) - cutAt;
  return { ...watched, resyncs: resyncsOf(pair), changeOverMs, violations: pair.history.violations };
}

export interface Takeover {
  /** On the owner when its power went. */
  readonly connections: number;
  readonly templates: number;
  /** Missing on the new owner half a second after it took over. */
  readonly lostConnections: number;
  readonly lostTemplates: number;
}

/** The owner's power goes `afterMs` after its link was cut. */
export function measureTakeover(seed: number, transport: Transport, afterMs: number): Takeover {
  const { links } = settled(seed, transport);
  const { pair } = links;
  links.cut(links.used);
  pair.history.run(afterMs);
  const { owner, standby } = pair;
  const held = [...owner.kernel.rows].filter(([, row]) => row.expiresAt > pair.history.now && !isInactive(row.entry));
  owner.director.alive = false;
  owner.off = true;
  pair.history.run(TAKEOVER_MS);
  const epoch = { counter: 2, node: 2 } as const;
  pair.input(standby, { type: 'role', role: 'source', epoch, peerServing: false });
  pair.history.run(500);
  const count = (templates: boolean, lost: boolean) =>
    held
      .filter(([, row]) => isTemplate(row.entry) === templates && row.expiresAt > pair.history.now)
      .filter(([key]) => !lost || standby.kernel.get(key, pair.history.now) === undefined).length;
  return {
    connections: count(false, false),
    templates: count(true, false),
    lostConnections: count(false, true),
    lostTemplates: count(true, true),
  };
}

export interface Flapping extends Watched {
  readonly resyncs: number;
  readonly violations: readonly string[];
}

/** Half a minute in which one link or the other is cut again and again, now and then both. */
export function measureFlapping(seed: number, transport: Transport): Flapping {
  const { links, random } = settled(seed, transport);
  const { pair } = links;
  let at = pair.history.now;
  for (const end = at + 22_000; at < end; at += random.between(2_000, 10_000)) {
    const index = random.below(2);
    const repairAfterMs = random.between(4_000, 8_000);
    pair.history.at(at, () => links.cut(index, repairAfterMs));
  }
  // Shorter than a template lives: a renewal that a cut swallows is another matter.
  return {
    ...watch(pair, PERSISTENCE_S * 1_000 - CUT_BETWEEN_MS[1]),
    resyncs: resyncsOf(pair),
    violations: pair.history.violations,
  };
}

/** A standby that joins a table of 12,000 clients; the link in use is cut in the middle: ms until it is warm. */
export function measureJoin(seed: number, transport: Transport): number {
  const links = new Links(seed, transport, { idle: 12_000 });
  const { pair } = links;
  pair.history.at(pair.history.now + new Random(seed).between(50, 300), () => links.cut(links.used));
  const startedAt = pair.history.now;
  while (!pair.standby.director.warm && pair.history.now - startedAt < 60_000) pair.history.run(LOOK_EVERY_MS);
  return pair.history.now - startedAt;
}
