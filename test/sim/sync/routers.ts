// The two routers: a kernel with its table, a director with the shipped sync machine, and a pulse
// that says who is the owner. What the machines want done is done here.

import type { SyncRole } from '../../../src/status/sync-status.ts';
import type { SyncEffect, SyncInput } from '../../../src/sync/stream/effect.ts';
import type { Id } from '../../../src/sync/stream/frame.ts';
import { SyncMachine } from '../../../src/sync/stream/sync-machine.ts';
import type { Entry } from '../../../src/sync/table/entry.ts';
import type { At } from '../../../src/units/duration.ts';
import type { Faults, Sabotage } from './faults.ts';
import type { History } from './history.ts';
import { KernelModel, scopeWith } from './kernel-table.ts';
import { BOTH, type Index, Links, otherOf } from './links.ts';

export const NAMES = ['r1', 'r2'] as const;

interface Director {
  readonly machine: SyncMachine;
  readonly instance: Id;
  wakeAt: number;
  warm: boolean;
  alive: boolean;
}

export interface Router {
  readonly index: Index;
  kernel: KernelModel;
  director: Director;
  role: SyncRole;
  epoch: number;
  /** The machine and its kernel are without power. */
  off: boolean;
}

interface RoutersOptions {
  readonly history: History;
  readonly faults: Faults;
  readonly sabotage: Partial<Sabotage> | undefined;
  /** persistence_prefix of the service. */
  readonly prefix: number;
  /** What a director says on a link. */
  readonly onSent: (from: Router, frame: Buffer) => void;
}

export class Routers {
  readonly both: readonly [Router, Router];
  readonly links: Links;
  /** What may go wrong from now on. */
  faults: Faults;
  readonly #history: History;
  readonly #sabotage: Partial<Sabotage>;
  readonly #prefix: number;
  #instances = 0;
  #owner: Index = 0;
  #epoch = 1;

  constructor({ history, faults, sabotage = {}, prefix, onSent }: RoutersOptions) {
    this.#history = history;
    this.#sabotage = sabotage;
    this.#prefix = prefix;
    this.faults = faults;
    this.links = new Links({
      history,
      canConnect: () => this.both.every(router => !router.off && router.director.alive),
      onInput: (index, input) => this.input(this.both[index], input),
      onSent: (index, frame) => onSent(this.both[index], frame),
    });
    this.both = [this.#router(0), this.#router(1)];
    for (const router of this.both) this.#boot(router);
  }

  get owner(): Router {
    return this.both[this.#owner];
  }

  get standby(): Router {
    return this.both[otherOf(this.#owner)];
  }

  #router(index: Index): Router {
    return {
      index,
      kernel: new KernelModel(this.#prefix),
      director: this.#director(index),
      role: 'idle',
      epoch: 0,
      off: false,
    };
  }

  #director(index: Index): Director {
    const instance = (++this.#instances).toString(16).padStart(8, '0').padEnd(16, 'ab') as Id;
    const machine = new SyncMachine({ node: index === 0 ? 1 : 2, instance, kernelRelease: '6.1.0' });
    return { machine, instance, wakeAt: Number.POSITIVE_INFINITY, warm: false, alive: true };
  }

  #boot(router: Router): void {
    this.input(router, { type: 'scope', scope: scopeWith(this.#prefix) });
    this.input(router, { type: 'tick' });
  }

  // The loop around the machine

  input(router: Router, input: SyncInput): void {
    const { director } = router;
    const { now } = this.#history;
    if (router.off || !director.alive) return;
    const effects = director.machine.step(input, now as At);
    this.#runEffects(router, director, this.#sabotage.effects?.(router.index, effects) ?? effects);
    const wakeAt = Math.max(now + 1, director.machine.wakeAt(now as At));
    if (wakeAt >= director.wakeAt && director.wakeAt > now) return;
    director.wakeAt = wakeAt;
    this.#history.at(wakeAt, () => {
      if (director.wakeAt !== wakeAt) return;
      director.wakeAt = Number.POSITIVE_INFINITY;
      if (router.director === director) this.input(router, { type: 'tick' });
    });
  }

  #runEffects(router: Router, director: Director, effects: readonly SyncEffect[]): void {
    const history = this.#history;
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          if (!this.links.send(router.index, effect.link as Index, effect.frame)) {
            const more = director.machine.step({ type: 'refused', ticket: effect.ticket }, history.now as At);
            this.#runEffects(router, director, more);
          }
          break;
        case 'inject':
          this.#inject(router, director, effect.id, effect.entries);
          break;
        case 'read-table':
          this.#answer(router, director, () => ({
            type: 'table',
            id: effect.id,
            entries:
              this.faults.losses === true && history.random.chance(0.1) ? null : router.kernel.table(history.now),
            activeData: [],
          }));
          break;
        case 'read-counts':
          this.#answer(router, director, () => ({
            type: 'counts',
            id: effect.id,
            counts: router.kernel.counts(history.now),
          }));
          break;
        case 'event':
          history.note(`${NAMES[router.index]} ${effect.code} ${JSON.stringify(effect.fields)}`);
          break;
        case 'peer-checks':
          break;
        case 'warm':
          director.warm = effect.warm;
          break;
      }
    }
  }

  /** The kernel is read some time before the answer arrives. */
  #answer(router: Router, director: Director, read: () => SyncInput): void {
    const { random } = this.#history;
    this.#history.in(random.between(1, 150), () => {
      const answer = read();
      this.#history.in(random.between(0, 150), () => {
        if (router.director === director) this.input(router, answer);
      });
    });
  }

  #inject(router: Router, director: Director, id: number, entries: readonly Entry[]): void {
    const { kernel } = router;
    const { random } = this.#history;
    const { injectionMs, losesInSilence } = this.#sabotage;
    this.#history.in(injectionMs ?? random.between(0.2, random.chance(0.05) ? 400 : 8), () => {
      const dropping = this.faults.drops === true && random.chance(0.1);
      const through = dropping ? entries.filter(() => random.chance(0.6)) : entries;
      kernel.inject(losesInSilence?.(through) ?? through, this.#history.now);
      const dropped = entries.length - through.length;
      if (router.director === director && router.kernel === kernel)
        this.input(router, { type: 'injected', id, dropped });
    });
  }

  // What pulse says

  #tellRole(router: Router): void {
    const mine = this.#owner === router.index;
    router.role = mine ? 'source' : 'sink';
    router.epoch = this.#epoch;
    const peerServing = !mine && !this.owner.off;
    this.input(router, {
      type: 'role',
      role: router.role,
      epoch: { counter: this.#epoch, node: this.#owner + 1 },
      peerServing,
    });
  }

  changeRoles(ownerAfterMs: number, otherAfterMs: number): void {
    for (const [router, afterMs] of [
      [this.owner, ownerAfterMs],
      [this.standby, otherAfterMs],
    ] as const) {
      if (afterMs === 0) this.#tellRole(router);
      else this.#history.in(afterMs, () => this.#tellRole(router));
    }
  }

  failover(): void {
    if (this.standby.off) return;
    this.#owner = otherOf(this.#owner);
    this.#epoch++;
    this.#history.note(`${NAMES[this.#owner]} takes over`);
    this.changeRoles(this.#history.random.between(0, 200), this.#history.random.between(0, 700));
  }

  // Restarts and power

  restart(router: Router): void {
    if (router.off || !router.director.alive) return;
    const { random } = this.#history;
    this.#history.note(`${NAMES[router.index]} director restarts`);
    const { director } = router;
    director.alive = false;
    for (const index of BOTH) this.links.disconnect(index, 'closed');
    this.#history.in(random.between(100, 3_000), () => {
      if (router.off || router.director !== director) return;
      router.director = this.#director(router.index);
      this.#boot(router);
      this.#tellRole(router);
      for (const index of BOTH) this.links.reconnectLater(index, random.between(0, 500));
    });
  }

  powerOff(router: Router): void {
    if (router.off || this.both.some(other => other.off)) return;
    this.#history.note(`${NAMES[router.index]} loses its power`);
    router.off = true;
    router.director.alive = false;
    router.kernel = new KernelModel(this.#prefix);
    for (const index of BOTH) this.links.disconnect(index, 'reset');
    if (router === this.owner) this.failover();
    else this.#tellRole(this.owner);
    this.#history.in(this.#history.random.between(1_000, 6_000), () => this.powerOn(router));
  }

  powerOn(router: Router): void {
    if (!router.off) return;
    this.#history.note(`${NAMES[router.index]} is on again`);
    router.off = false;
    router.kernel = new KernelModel(this.#prefix);
    router.director = this.#director(router.index);
    this.#boot(router);
    for (const one of this.both) this.#tellRole(one);
    for (const index of BOTH) this.links.reconnectLater(index, this.#history.random.between(0, 500));
  }
}
