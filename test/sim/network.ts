// One network of the simulated world: who can send to whom, and what becomes of what is sent. Loss, duplication, re-ordering by
// jitter, delay, clogging, one-way and two-way cuts, each for a pair of hosts.
import type { Random } from './random.ts';
import type { Timeline } from './timeline.ts';

/** Hosts by number: the two routers, the clients, a third machine that should not be there, gateway and real servers, a copy of a router. */
export const HOSTS = 9;
export const R1 = 0;
export const R2 = 1;
export const CLIENTS = [2, 3] as const;
export const STRANGER = 4;
export const SERVER = 5;
/** The machines that answer as reachability targets, in order. */
export const TARGETS = [SERVER, 6, 7] as const;
/** A third machine that runs as one of the routers. */
export const COPY = 8;

/** `eaten`: lost or cut. `held`: clogged, comes much later. */
export type Fate = 'sent' | 'eaten' | 'held';

export class Network {
  readonly name: string;
  readonly #timeline: Timeline;
  readonly #random: Random;
  /** How many faults cut the way from one host to another; index from * HOSTS + to. */
  readonly #cuts = new Uint8Array(HOSTS * HOSTS);
  /** How many faults leave each router without neighbours there. */
  readonly #quiet = [0, 0];
  readonly #loss = new Float64Array(HOSTS * HOSTS);
  #lossy = 0;
  duplication = 0;
  /** How long the packet that was sent last is on its way. */
  flightMs = 0;
  delayMs: number;
  jitterMs: number;
  #clogEnd = 0;
  #clogged = 0;

  constructor(name: string, timeline: Timeline, random: Random, delayMs: number, jitterMs: number) {
    this.name = name;
    this.#timeline = timeline;
    this.#random = random;
    this.delayMs = delayMs;
    this.jitterMs = jitterMs;
  }

  cut(from: number, to: number, on: boolean): void {
    const at = from * HOSTS + to;
    this.#cuts[at] = (this.#cuts[at] as number) + (on ? 1 : -1);
  }

  /** Adds to the share of packets that are lost from one host to another. */
  lose(from: number, to: number, share: number): void {
    const at = from * HOSTS + to;
    this.#loss[at] = Math.max(0, (this.#loss[at] as number) + share);
    this.#lossy = this.#loss.reduce((sum, one) => sum + one, 0);
  }

  clog(forMs: number): void {
    this.#clogEnd = Math.max(this.#clogEnd, this.#timeline.now + forMs);
    this.#clogged = 0;
  }

  setQuiet(router: 0 | 1, on: boolean): void {
    this.#quiet[router] = (this.#quiet[router] as number) + (on ? 1 : -1);
  }

  isQuiet(router: 0 | 1): boolean {
    return this.#quiet[router] !== 0;
  }

  isOpen(from: number, to: number): boolean {
    return this.#cuts[from * HOSTS + to] === 0;
  }

  bothWays(a: number, b: number): boolean {
    return this.#cuts[a * HOSTS + b] === 0 && this.#cuts[b * HOSTS + a] === 0;
  }

  /** Neither cut nor loss nor clog between the two, in either direction. */
  isWell(a: number, b: number): boolean {
    return (
      this.bothWays(a, b) &&
      (this.#lossy === 0 || (this.#loss[a * HOSTS + b] === 0 && this.#loss[b * HOSTS + a] === 0)) &&
      this.#timeline.now >= this.#clogEnd
    );
  }

  /** Sends one packet; `arrive` runs when it comes, twice if it is duplicated. */
  send(from: number, to: number, arrive: () => void): Fate {
    const at = from * HOSTS + to;
    if (this.#cuts[at] !== 0) return 'eaten';
    if (this.#lossy > 0 && this.#random.chance(Math.min(1, this.#loss[at] as number))) return 'eaten';
    if (this.duplication > 0 && this.#random.chance(this.duplication)) this.#timeline.in(this.#flight(), arrive);
    if (this.#timeline.now < this.#clogEnd) {
      // A full queue that drains in order.
      this.#clogged += 1;
      this.#timeline.at(this.#clogEnd + 0.01 * this.#clogged, arrive);
      return 'held';
    }
    this.flightMs = this.#flight();
    this.#timeline.in(this.flightMs, arrive);
    return 'sent';
  }

  #flight(): number {
    return this.delayMs + this.#random.next() * this.jitterMs;
  }
}
