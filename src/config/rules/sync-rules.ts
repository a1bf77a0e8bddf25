// Rules about the connection sync and its store. Pure. What the fields mean: schema.ts; which files
// must be there: io/secrets.ts.
import type { Config } from '../schema.ts';
import { error, type Finding, type Path, type Rule, scheduleProblem, warning } from './finding.ts';

const STORE: Path = ['sync', 'store'];
const REDIS: Path = [...STORE, 'redis'];

export const SYNC_RULES: readonly Rule[] = [
  { says: 'Warning: services with `sync.enabled: false`.', check: switchedOff },
  {
    says: '`sync.store.schedule` is a duration or a cron expression.',
    check: ({ sync }) => scheduleProblem([...STORE, 'schedule'], sync.store.schedule),
  },
  {
    says: 'A `sync.store` of type `redis` has a `redis` section. Warnings: `redis` or `path` for another type.',
    check: storeType,
  },
];

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
