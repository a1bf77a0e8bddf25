// Which router this host is, by its name. At boot the name may come late (DHCP, cloud-init), so a
// daemon waits for it: it would end, and be started again ten times a second.
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 1_000;
/** Below TimeoutStartSec of the units. */
const LOOKS_MAX = 25;

/**
 * What `find` finds for the host name, as soon as it finds something; undefined after 25 s. Calls
 * `onWait` once, when it has to wait.
 */
export async function awaitOwnName(
  find: (name: string) => string | undefined,
  onWait: (name: string) => void,
  hostname: () => string,
): Promise<string | undefined> {
  for (let looks = 0; looks <= LOOKS_MAX; looks += 1) {
    const name = hostname();
    const found = find(name);
    if (found !== undefined) return found;
    if (looks === 0) onWait(name);
    if (looks < LOOKS_MAX) await sleep(LOOK_MS);
  }
  return undefined;
}
