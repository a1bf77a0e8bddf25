// Calls that come in a row made fewer: the first one at once, those in the pause after it as one at
// its end. Not pure: timer.

/** `work`, at most once in `pauseMs`. */
export function atMostEvery(pauseMs: number, work: () => void): () => void {
  let pause: NodeJS.Timeout | undefined;
  let isAsked = false;
  const call = (): void => {
    if (pause !== undefined) {
      isAsked = true;
      return;
    }
    work();
    pause = setTimeout(() => {
      pause = undefined;
      if (!isAsked) return;
      isAsked = false;
      call();
    }, pauseMs);
    pause.unref();
  };
  return call;
}
