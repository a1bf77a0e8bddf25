// Rules about the connection sync and its store. Pure. What the fields mean: schema.ts; which files must be there: io/secrets.ts.
import { parseAddress } from '../../units/address.ts';
import type { Config, RedisConfig } from '../schema.ts';
import { cronProblem, error, type Finding, type Path, warning } from './finding.ts';

const STORE: Path = ['sync', 'store'];
const REDIS: Path = [...STORE, 'redis'];

export function syncRules(config: Config, validCron: (expression: string) => boolean): Finding[] {
  const { store } = config.sync;
  return [
    ...switchedOff(config),
    ...cronProblem([...STORE, 'schedule'], store.schedule, validCron),
    ...storeType(config),
    ...(store.redis ? [...whichRedis(store.redis), ...redisCredentials(store.redis), ...unencrypted(store.redis)] : []),
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

function whichRedis({ host, sentinels, master }: RedisConfig): Finding[] {
  const at = (field: string): Path => [...REDIS, field];
  if (host === undefined && !sentinels) {
    const problem = 'neither host nor sentinels say where Redis is';
    return [error(REDIS, problem, 'write host: NAME, or sentinels and master', [at('host'), at('sentinels')])];
  }
  if (host !== undefined && sentinels) {
    return [error(at('host'), 'host and sentinels exclude each other', 'keep one of them', [at('sentinels')])];
  }
  if (sentinels && master === undefined) {
    const remedy = 'add master: NAME, as "sentinel monitor NAME" has it';
    return [error(at('sentinels'), 'the Sentinels must be asked for a master by its name', remedy, [at('master')])];
  }
  if (!sentinels && master !== undefined) {
    return [
      error(at('master'), 'only Sentinels know a master by its name', 'write sentinels, or delete it', [
        at('sentinels'),
      ]),
    ];
  }
  return [];
}

function redisCredentials({ sentinels, username, password_file, sentinel_password_file, tls }: RedisConfig): Finding[] {
  const findings: Finding[] = [];
  const at = (field: string): Path => [...REDIS, field];
  if (username !== undefined && password_file === undefined) {
    findings.push(
      error(at('username'), 'a user without a password_file', 'add password_file: FILE', [at('password_file')]),
    );
  }
  if (sentinel_password_file !== undefined && !sentinels) {
    const remedy = 'write sentinels, or delete it';
    findings.push(error(at('sentinel_password_file'), 'there are no sentinels', remedy, [at('sentinels')]));
  }
  if (tls && (tls.cert_file === undefined) !== (tls.key_file === undefined)) {
    const problem = 'a certificate needs its key, and a key its certificate';
    findings.push(error(at('tls'), problem, 'write both cert_file and key_file, or neither'));
  }
  return findings;
}

/** Snapshots tell who talks to which server, and the password crosses the network in the clear. */
function unencrypted({ host, sentinels, tls }: RedisConfig): Finding[] {
  const hosts = [...(host === undefined ? [] : [host]), ...(sentinels ?? []).map(sentinel => sentinel.host)];
  const open = hosts.filter(name => !isLoopback(name));
  if (tls || open.length === 0) return [];
  const field = host === undefined ? 'sentinels' : 'host';
  const problem = `sessions and password go to ${open.slice(0, 3).join(', ')} unencrypted`;
  return [warning([...REDIS, field], problem, 'write tls: { ca_file: FILE }', [[...REDIS, 'tls']])];
}

function isLoopback(host: string): boolean {
  const address = parseAddress(host);
  return address === undefined ? host === 'localhost' : address === '::1' || /^127\./.test(address);
}
