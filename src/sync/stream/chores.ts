// Work that is too much for one step: each chore does a bounded slice at a time and says when it is
// done. Deterministic.
import type { At } from '../../units/duration.ts';

/** Does one slice; true when there is nothing left. */
export type Chore = (now: At) => boolean;

export class Chores {
  #list: Chore[] = [];

  get pending(): boolean {
    return this.#list.length > 0;
  }

  add(chore: Chore): void {
    this.#list.push(chore);
  }

  clear(): void {
    this.#list = [];
  }

  /** One slice of each. A chore may add others, or clear all. */
  run(now: At): void {
    const list = this.#list;
    for (const chore of list) {
      if (chore(now)) this.#list = this.#list.filter(other => other !== chore);
      if (this.#list.length === 0) break;
    }
  }
}
