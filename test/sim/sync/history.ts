// What one seed is: virtual time, the generator that everything is drawn from, and what has
// happened so far.

import { Random } from '../random.ts';
import { Timeline } from '../timeline.ts';

export class History {
  readonly random: Random;
  readonly violations: string[] = [];
  readonly log: string[] = [];
  readonly #timeline = new Timeline();

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#timeline.now = 1_000_000;
  }

  get now(): number {
    return this.#timeline.now;
  }

  at(time: number, run: () => void): void {
    this.#timeline.at(time, run);
  }

  in(ms: number, run: () => void): void {
    this.#timeline.in(ms, run);
  }

  every(gapMs: () => number, run: () => void): void {
    this.in(gapMs(), () => {
      run();
      this.every(gapMs, run);
    });
  }

  run(forMs: number): void {
    const end = this.now + forMs;
    while (this.#timeline.step(end));
  }

  note(text: string): void {
    this.log.push(`${(this.now / 1_000).toFixed(3)} ${text}`);
    if (this.log.length > 400) this.log.splice(0, 200);
  }

  violate(text: string): void {
    this.note(`VIOLATION ${text}`);
    if (this.violations.length < 100) this.violations.push(`${(this.now / 1_000).toFixed(3)} ${text}`);
  }
}
