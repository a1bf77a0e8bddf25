// Virtual time: one queue of what happens next, and the clocks of machines, which run a little fast or slow and stand still while
// a hypervisor has paused the machine.

export const NEVER = Number.POSITIVE_INFINITY;

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A binary heap by time; entries of the same instant run in the order in which they were put in. */
export class Timeline {
  /** True time, in ms. */
  now = 0;
  /** Entries run so far. */
  steps = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  at(time: number, run: () => void): void {
    const entry: Entry = { at: time < this.now ? this.now : time, order: this.#order++, run };
    const heap = this.#heap;
    let hole = heap.length;
    heap.push(entry);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!isBefore(entry, above)) break;
      heap[hole] = above;
      hole = parent;
    }
    heap[hole] = entry;
  }

  in(ms: number, run: () => void): void {
    this.at(this.now + ms, run);
  }

  /** Runs the next entry if it is due until `end`; else time moves to `end` and it answers false. */
  step(end: number): boolean {
    const first = this.#heap[0];
    if (!first || first.at > end) {
      this.now = end;
      return false;
    }
    this.#take();
    this.now = first.at;
    this.steps += 1;
    first.run();
    return true;
  }

  #take(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    const size = heap.length;
    if (size === 0) return;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
      if (!isBefore(heap[child] as Entry, last)) break;
      heap[hole] = heap[child] as Entry;
      hole = child;
    }
    heap[hole] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** CLOCK_MONOTONIC of one machine. */
export class HostClock {
  readonly timeline: Timeline;
  readonly rate: number;
  #base: number;
  #since: number;

  /** `rate`: its seconds for each true second; `start`: what it shows now. */
  constructor(timeline: Timeline, rate: number, start: number) {
    this.timeline = timeline;
    this.rate = rate;
    this.#base = start;
    this.#since = timeline.now;
  }

  now(): number {
    const passed = this.timeline.now - this.#since;
    return passed > 0 ? this.#base + passed * this.rate : this.#base;
  }

  /** The true time at which this clock shows `local`. */
  trueTimeOf(local: number): number {
    return this.#since + Math.max(0, local - this.#base) / this.rate;
  }

  isPaused(): boolean {
    return this.timeline.now < this.#since;
  }

  /** True time at which a pause ends; in the past when there is none. */
  resumesAt(): number {
    return this.#since;
  }

  /** The hypervisor stops the machine: its clock stands still too. */
  pause(forMs: number): void {
    this.#base = this.now();
    this.#since = Math.max(this.timeline.now, this.#since) + forMs;
  }
}

const GRAIN_MS = 1e-5;

/** A timer of one machine, by its own clock. Setting it later costs nothing: it looks at the clock when it goes off. */
export class Alarm {
  due = NEVER;
  #armedAt = NEVER;
  readonly #clock: HostClock;
  readonly #run: () => void;

  constructor(clock: HostClock, run: () => void) {
    this.#clock = clock;
    this.#run = run;
  }

  set(due: number): void {
    this.due = due;
    if (due === NEVER) return;
    const at = Math.max(this.#clock.trueTimeOf(due), this.#clock.timeline.now);
    if (at < this.#armedAt) this.#arm(at);
  }

  #arm(at: number): void {
    this.#armedAt = at;
    this.#clock.timeline.at(at, () => {
      if (at === this.#armedAt) this.#fire();
    });
  }

  #fire(): void {
    this.#armedAt = NEVER;
    if (this.due === NEVER) return;
    if (this.#clock.isPaused() || this.#clock.now() < this.due) {
      // Rounding may bring it here a hair too early: time must go on all the same.
      const { now } = this.#clock.timeline;
      this.#arm(Math.max(this.#clock.trueTimeOf(this.due), this.#clock.resumesAt(), now + GRAIN_MS));
      return;
    }
    this.due = NEVER;
    this.#run();
  }
}
