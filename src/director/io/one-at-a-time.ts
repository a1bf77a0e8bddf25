// Runs one piece of work at a time, however often it is asked for: whoever asks while it runs
// shares the next run, so that everybody gets one that began no earlier than the call. Not pure: it
// waits.

interface OneAtATime<T> {
  run(): Promise<T>;
  /** Refuses further calls with `answer`; resolves when nothing runs any more. */
  close(answer: T): Promise<void>;
}

export function oneAtATime<T>(work: () => Promise<T>): OneAtATime<T> {
  let running: Promise<T> | undefined;
  let waiting: Promise<T> | undefined;
  let closed: { readonly answer: T } | undefined;
  const start = (): Promise<T> => {
    if (closed) return Promise.resolve(closed.answer);
    running = work().finally(() => {
      running = undefined;
    });
    return running;
  };
  const run = (): Promise<T> => {
    if (running === undefined) return start();
    waiting ??= running
      .catch(() => undefined)
      .then(() => {
        waiting = undefined;
        return start();
      });
    return waiting;
  };
  return {
    run,
    close: async answer => {
      closed = { answer };
      await Promise.allSettled([running, waiting]);
    },
  };
}
