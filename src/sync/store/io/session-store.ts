// The store that the config names. Not pure: it makes the one that does the work.
import { join } from 'node:path';
import type { Config } from '../../../config/schema.ts';
import type { SessionStore } from '../session-store.ts';
import { createFileStore } from './file-store.ts';
import { createRedisStore } from './redis-store.ts';

const FILE = 'sessions.snapshot';

/**
 * undefined: none is wanted. `stateDir` is the director's, for the file where the config names
 * none.
 */
export function createStore(config: Config, stateDir: string): SessionStore | undefined {
  const { type, path, redis, max_age } = config.sync.store;
  if (!config.sync.enabled || type === 'none') return undefined;
  if (type === 'redis' && redis) return createRedisStore({ config: redis, pair: config.pair, maxAgeMs: max_age });
  return createFileStore(path ?? join(stateDir, FILE));
}
