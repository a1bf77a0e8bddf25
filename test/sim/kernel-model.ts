// What the kernel of a router does for the virtual addresses whatever becomes of the processes: addresses with lifetimes, and the
// packet lease at ingress (docs/internals/packet-lease.md).
import { Alarm, type HostClock, NEVER } from './timeline.ts';

export class KernelModel {
  /** The addresses that are configured, by number. */
  readonly present = new Set<number>();
  /** The L that the rules of the packet lease are made for. */
  gateLeaseMs = 0;
  readonly gated: boolean;
  readonly #clock: HostClock;
  #validUntil = NEVER;
  #openUntil = 0;
  readonly #lifetime: Alarm;
  readonly #gateEnd: Alarm;
  readonly #lateMs: number;

  /** `gated`: the packet lease is installed. `lateMs`: how late lifetimes end (seen: 2.2 s for 2 s). */
  constructor(clock: HostClock, gated: boolean, lateMs: number) {
    this.#clock = clock;
    this.gated = gated;
    this.#lateMs = lateMs;
    this.#lifetime = new Alarm(clock, () => this.remove());
    // Nothing to do when it goes off: the world looks at who serves after every step.
    this.#gateEnd = new Alarm(clock, () => {});
  }

  get held(): boolean {
    return this.present.size > 0;
  }

  /** Adds these addresses; all that are there get this lifetime. */
  ensure(validSeconds: number, addresses: Iterable<number>): void {
    for (const index of addresses) this.present.add(index);
    this.#validUntil = this.#clock.now() + validSeconds * 1000 + this.#lateMs;
    this.#lifetime.set(this.#validUntil);
  }

  /** Some of them go. */
  lose(addresses: Iterable<number>): void {
    for (const index of addresses) this.present.delete(index);
  }

  remove(): void {
    this.present.clear();
    this.#lifetime.set(NEVER);
  }

  openGate(forMs: number): void {
    if (!this.gated) return;
    this.#openUntil = this.#clock.now() + forMs;
    this.#gateEnd.set(this.#openUntil);
  }

  closeGate(): void {
    this.#openUntil = 0;
  }

  /** Packets for the virtual addresses are answered. */
  serves(): boolean {
    return this.held && !this.#clock.isPaused() && (!this.gated || this.#clock.now() < this.#openUntil);
  }
}
