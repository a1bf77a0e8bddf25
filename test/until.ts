// Waits for what another process or a timer does, with a bound that a busy machine does not meet.

const WAIT_MS = 20_000;
const LOOK_MS = 10;

/** Looks until `isSo`; throws, with `what`, after 20 s. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
    if (isSo()) return;
    await new Promise(resolve => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(`waited in vain until ${what}`);
}
