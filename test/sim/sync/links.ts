// The two links between the directors: they delay, fill up, break, and lose frames before anybody
// has noticed.

import type { SyncInput } from '../../../src/sync/stream/effect.ts';
import type { History } from './history.ts';

/** A router, or a link. */
export type Index = 0 | 1;
export const BOTH: readonly Index[] = [0, 1];
export const otherOf = (index: Index): Index => (index === 0 ? 1 : 0);

interface LinkModel {
  up: boolean;
  /** Grows with every cut: what is on its way then is lost. */
  session: number;
  /** Frames vanish, but nobody has noticed yet. */
  blackhole: boolean;
  /** By sender: the queue is full. */
  readonly full: [boolean, boolean];
  readonly lastAt: [number, number];
  /** By router: when it is told that the link is up. */
  readonly upAt: [number, number];
  readonly delayMs: number;
}

interface LinksOptions {
  readonly history: History;
  /** Both directors run. */
  readonly canConnect: () => boolean;
  readonly onInput: (router: Index, input: SyncInput) => void;
  /** What a director says on a link, whether it arrives or not. */
  readonly onSent: (from: Index, frame: Buffer) => void;
}

export class Links {
  readonly both: readonly [LinkModel, LinkModel];
  readonly #options: LinksOptions;
  readonly #history: History;
  /** Some of the frames that were sent. */
  readonly recorded: Buffer[] = [];

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#history = options.history;
    const { random } = options.history;
    this.both = [linkModel(random.between(0.2, 5)), linkModel(random.between(0.2, 40))];
  }

  /** False: it is refused. */
  send(from: Index, index: Index, frame: Buffer): boolean {
    const link = this.both[index];
    if (!link.up || link.full[from]) return false;
    this.#options.onSent(from, frame);
    if (this.#history.random.chance(0.05)) this.recorded.push(frame);
    if (this.recorded.length > 50) this.recorded.shift();
    if (link.blackhole) return true;
    const to = otherOf(from);
    // Nothing comes before the link is up on both sides.
    const at = Math.max(this.#history.now + link.delayMs, link.lastAt[from] + 0.01, link.upAt[to] + 0.01);
    link.lastAt[from] = at;
    const { session } = link;
    this.#history.at(at, () => {
      if (link.session === session && link.up && !link.blackhole)
        this.#options.onInput(to, { type: 'frame', link: index, frame });
    });
    return true;
  }

  connect(index: Index): void {
    const link = this.both[index];
    if (link.up || !this.#options.canConnect()) return;
    link.up = true;
    link.session++;
    link.blackhole = false;
    for (const router of BOTH) {
      const { session } = link;
      link.upAt[router] = this.#history.now + this.#history.random.between(0, 3);
      this.#history.at(link.upAt[router], () => {
        if (link.session === session) this.#options.onInput(router, { type: 'link-up', link: index });
      });
    }
  }

  disconnect(index: Index, why: string): void {
    const link = this.both[index];
    if (!link.up) return;
    link.up = false;
    link.session++;
    for (const router of BOTH) this.#options.onInput(router, { type: 'link-down', link: index, why });
  }

  reconnectLater(index: Index, afterMs: number): void {
    this.#history.in(afterMs, () => {
      if (this.both[index].up) return;
      this.connect(index);
      if (!this.both[index].up) this.reconnectLater(index, 500);
    });
  }

  cut(index: Index): void {
    const link = this.both[index];
    const { random } = this.#history;
    if (!link.up) return;
    this.#history.note(`link ${index} cut`);
    link.blackhole = true;
    this.#history.in(random.between(0, 2_500), () => this.disconnect(index, 'timeout'));
    this.reconnectLater(index, random.between(2_600, 9_000));
  }

  congest(index: Index): void {
    const link = this.both[index];
    const { random } = this.#history;
    const side = random.below(2);
    link.full[side] = true;
    this.#history.in(random.between(20, 2_000), () => {
      link.full[side] = false;
    });
  }

  calm(): void {
    for (const link of this.both) {
      link.blackhole = false;
      link.full.fill(false);
    }
  }
}

function linkModel(delayMs: number): LinkModel {
  return { up: false, session: 0, blackhole: false, full: [false, false], lastAt: [0, 0], upAt: [0, 0], delayMs };
}
