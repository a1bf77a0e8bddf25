// What goes wrong, one fault after the other, each drawn from those that the history has.

import { readFrame } from '../../../src/sync/stream/frame.ts';
import type { Faults } from './faults.ts';
import type { History } from './history.ts';
import type { Index } from './links.ts';
import type { Routers } from './routers.ts';
import type { Traffic } from './traffic.ts';

export class Schedule {
  readonly #history: History;
  readonly #routers: Routers;
  readonly #traffic: Traffic;

  constructor(history: History, routers: Routers, traffic: Traffic) {
    this.#history = history;
    this.#routers = routers;
    this.#traffic = traffic;
  }

  /** Begins the next fault, which ends by itself. */
  next(): void {
    const { random } = this.#history;
    const { links, both, faults } = this.#routers;
    const kinds = Object.entries(faults).filter(([, on]) => on === true);
    if (kinds.length === 0) return;
    const index = random.below(2) as Index;
    switch (random.pick(kinds)[0] as keyof Faults) {
      case 'linkCuts':
        return links.cut(index);
      case 'congestion':
        return links.congest(index);
      case 'restarts':
        return this.#routers.restart(both[index]);
      case 'failovers':
        return this.#routers.failover();
      case 'powerLoss':
        return this.#routers.powerOff(both[index]);
      case 'losses':
        return this.#traffic.loseReports(random.between(10, 500));
      case 'hostile':
        return this.#hostile(index);
      case 'drops':
        return;
    }
  }

  /** Bytes that no director sent, and frames of long ago. */
  #hostile(index: Index): void {
    const { random } = this.#history;
    const router = this.#routers.both[random.below(2) as Index];
    for (let i = 0; i < 20; i++) {
      const bytes = Buffer.from(Array.from({ length: random.below(80) }, () => random.below(256)));
      if (bytes.length > 0 && random.chance(0.7)) bytes[0] = 1 + random.below(2);
      const frame = random.chance(0.3) && this.#routers.links.recorded.length > 0 ? this.#oldFrame() : bytes;
      this.#routers.input(router, { type: 'frame', link: random.below(10) < 9 ? index : 99, frame });
    }
  }

  /**
   * A frame that was sent before: if numbered, of a stream that is no more, else with its end
   * blanked. TLS lets nobody say an old one again as it was.
   */
  #oldFrame(): Buffer {
    const { random } = this.#history;
    const frame = Buffer.from(random.pick(this.#routers.links.recorded));
    const read = readFrame(frame);
    if (read.type === 'numbered') frame.fill(0xee, 2, 10);
    else frame.subarray(1).fill(0x20, random.below(frame.length - 1));
    return frame;
  }
}
