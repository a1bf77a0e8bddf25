// The sync goes over to the keys that pulse uses, and never before it: pulse knows what the peer
// accepts. Whoever has changed the key file, pulse's next snapshot says what it has taken.
import { areSameKeys, type KeyIds } from '../config/key-id.ts';
import type { Snapshot } from '../feed/message.ts';
import type { Log } from '../log/log.ts';

/** What hears each snapshot. `take`: goes over to these keys, or says why not. */
export function followKeys(take: (inUse: KeyIds) => string, log: Log): (snapshot: Snapshot) => void {
  let followed: KeyIds | undefined;
  return ({ keys }) => {
    if (keys === null || (followed !== undefined && areSameKeys(keys, followed))) return;
    followed = keys;
    const problem = take(keys);
    if (problem !== '') log.event('SYNC_KEYS_KEPT', { problem });
  };
}
