// Rules about the connection sync and its store. Pure. What the fields mean: schema.ts; which files must be there: io/secrets.ts.
import type { Config } from '../schema.ts';
import { error, type Finding, type Path, scheduleProblem, warning } from './finding.ts';
import { redisRules } from './redis.ts';

const STORE: Path = ['sync', 'store'];
const REDIS: Path = [...STORE, 'redis'];

export function syncRules(config: Config, validCron: (expression: string) => boolean): Finding[] {
  const { store } = config.sync;
  return [
    ...switchedOff(config),
    ...scheduleProblem([...STORE, 'schedule'], store.schedule, validCron),
    ...storeType(config),
    ...(store.redis ? redisRules(store.redis, REDIS, 'sessions and password go') : []),
  ];
}

function switchedOff(config: Config): Finding[] {
  if (config.sync.enabled || Object.keys(config.services).length === 0) return [];
  const problem = 'sync is off: running transfers do not survive a failover';
  return [warning(['sync', 'enabled'], problem, 'write enabled: true', [['services']])];
}

/** What is written for a type that is not chosen would be ignored in silence. */
function storeType(config: Config): Finding[] {
  const { type, redis, path } = config.sync.store;
  const basis: Path[] = [[...STORE, 'type']];
  const findings: Finding[] = [];
  if (type === 'redis' && !redis) {
    findings.push(
      error([...STORE, 'type'], 'type is redis, but there is no "redis" section', 'add redis: { host: ... }', [REDIS]),
    );
  }
  if (type !== 'redis' && redis) {
    findings.push(warning(REDIS, `"redis" is not used: type is ${type}`, 'write type: redis, or delete it', basis));
  }
  if (type !== 'file' && path !== undefined) {
    findings.push(
      warning([...STORE, 'path'], `"path" is not used: type is ${type}`, 'write type: file, or delete it', basis),
    );
  }
  return findings;
}
