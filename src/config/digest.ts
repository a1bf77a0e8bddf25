// Short names for what a config says, to tell whether two are the same. Pure.
import { createHash } from 'node:crypto';
import { nodeView } from './node.ts';
import type { Config } from './schema.ts';

/**
 * The first 8 bytes of the SHA-256 of the parsed config, as 16 hex digits. Defaults filled in, keys sorted: comments, order and
 * spelling ("1s" or "1000ms") do not change it, meaning does. The routers compare it over the heartbeat.
 */
export function configDigest(config: Config): string {
  return digestOf(config);
}

/**
 * The same of the part that pulse runs with on `node`: what it was started with waits for a restart when this differs. The rest of
 * the config (weights, schedulers, the sync) is the director's, which reloads.
 */
export function pulseDigest(config: Config, node: string): string {
  const { pair, heartbeat, witness, services } = config;
  // How long a failed server may go unnoticed, and whether there are sessions at all.
  const checks = Object.values(services).map(({ check: { fall, interval, timeout } }) => ({ fall, interval, timeout }));
  return digestOf({ pair, heartbeat, witness, view: nodeView(config, node), checks });
}

function digestOf(value: object): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 16);
}

/** JSON with sorted keys. */
function canonical(value: object): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
