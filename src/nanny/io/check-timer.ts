// The one timer of a check. Not pure.
import type { At } from '../../units/duration.ts';

export class CheckTimer {
  readonly #now: () => At;
  readonly #onOver: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(now: () => At, onOver: () => void) {
    this.#now = now;
    this.#onOver = onOver;
  }

  /** Replaces the last one. */
  set(at: At): void {
    clearTimeout(this.#timer);
    const timer = setTimeout(
      () => {
        // If it was this process that came late, the server's answer may be waiting in the socket
        // while Node runs timers first. The poll phase that reads it lies between here and
        // setImmediate; an answer then replaces or clears the timer.
        setImmediate(() => {
          if (this.#timer === timer) this.#onOver();
        });
      },
      Math.max(0, Math.ceil(at - this.#now())),
    );
    this.#timer = timer;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
