// Runs pieces of work one after the other, each with what it was asked for. Not pure: it waits.

interface InTurn {
  /** Resolves with what `work` does, after all that was asked for before. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when nothing runs or waits any more. */
  idle(): Promise<void>;
}

export function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run: work => {
      const mine = last.then(work);
      last = mine.catch(() => undefined);
      return mine;
    },
    idle: async () => {
      await last;
    },
  };
}
