// Bounds a wait for Redis in time. Not pure: timer.

/**
 * What `work` gives, or the error of `late` when it is not done within `deadlineMs`; `late` is told
 * so in words.
 */
export async function withDeadline<T>(
  work: Promise<T>,
  deadlineMs: number,
  late: (message: string) => Error,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late(`not done within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([work, passed]);
  } finally {
    clearTimeout(timer);
  }
}
