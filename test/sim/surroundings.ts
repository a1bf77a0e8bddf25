// What vipd says of the LANs around a router once it samples: which targets and neighbours answer, whether frames come in. Derived from
// which ways are open, told only on change and after vipd's own window.
import type { NeighboursWord } from '../../src/vip/protocol.ts';
import { CLIENTS, type Network, SERVER, TARGETS } from './network.ts';
import type { Router } from './router.ts';
import type { World } from './world.ts';

/** As in src/vip/native/watch/neighbours.c. */
const KEPT_WINDOWS = 64;

export interface Sampling {
  readonly everyMs: number;
  readonly windowMs: number;
}

/** Of one router: what vipd has told, and since when the truth has been otherwise. */
export class Surroundings {
  readonly #world: World;
  readonly #router: Router;
  #sampling: Sampling | undefined;
  readonly #told = new Map<string, boolean | NeighboursWord>();
  /** LANs on which a neighbour has answered. */
  readonly #proven = new Set<number>();
  #vipd: Router['vipd'];
  #generation = 0;

  constructor(world: World, router: Router) {
    this.#world = world;
    this.#router = router;
  }

  /** `sample` tells everything anew. */
  sample(sampling: Sampling): void {
    this.#sampling = sampling;
    this.#told.clear();
    this.look();
  }

  /** The ways may have changed: silence is told after the window, life at the next sample. */
  look(): void {
    if (!this.#sampling) return;
    this.#generation += 1;
    const generation = this.#generation;
    const { everyMs, windowMs } = this.#sampling;
    for (const delay of [everyMs, windowMs + 0.5 * everyMs, KEPT_WINDOWS * windowMs]) {
      this.#world.timeline.in(delay, () => {
        if (generation === this.#generation) this.#tell(delay === everyMs, delay === KEPT_WINDOWS * windowMs);
      });
    }
  }

  #tell(onlyLife: boolean, forgets: boolean): void {
    const { vipd } = this.#router;
    if (!vipd?.alive || vipd.stopped) return;
    if (vipd !== this.#vipd) this.#proven.clear();
    this.#vipd = vipd;
    for (const [lan, { targets, interface: iface }] of this.#router.options.settings.lans.entries()) {
      const network = this.#world.networks[lan] as Network;
      const hears = (host: number) => network.isOpen(host, this.#router.host);
      const answers = (host: number) => hears(host) && network.isOpen(this.#router.host, host);
      for (const [nth, index] of targets.entries()) {
        const up = answers(TARGETS[nth] ?? SERVER);
        if (!this.#isNews(`target ${index}`, up, onlyLife)) continue;
        this.#router.say(vipd, { type: 'target', index, up });
      }
      if (lan > 1) continue;
      const quiet = network.isQuiet(this.#router.index);
      const answered = !quiet && [...CLIENTS, ...TARGETS].some(answers);
      if (answered) this.#proven.add(lan);
      else if (forgets || quiet) this.#proven.delete(lan);
      const silence = this.#proven.has(lan) ? 'silent' : 'none';
      const word = answered ? 'answer' : silence;
      if (targets.length === 0 && this.#isNews(`neighbours ${lan}`, word, onlyLife))
        this.#router.say(vipd, { type: 'neighbours', iface, word });
      const alive = [...CLIENTS, ...TARGETS, this.#router.peer.host].some(hears);
      if (this.#isNews(`traffic ${lan}`, alive, onlyLife)) this.#router.say(vipd, { type: 'traffic', iface, alive });
    }
  }

  #isNews(what: string, is: boolean | NeighboursWord, onlyLife: boolean): boolean {
    if (this.#told.get(what) === is || (onlyLife && is !== true && is !== 'answer')) return false;
    this.#told.set(what, is);
    return true;
  }
}
