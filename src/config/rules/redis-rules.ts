// Rules about a section that names a Redis, whoever uses it: the store and the witness. Pure.
import { parseAddress } from '../../units/address.ts';
import type { Config, RedisConfig } from '../schema.ts';
import { error, type Finding, type Path, type Rule, warning } from './finding.ts';

/** A section that names a Redis. */
interface Section {
  readonly redis: RedisConfig;
  readonly at: Path;
  /**
   * What crosses the network, for the warning about a missing `tls`: "sessions and password go".
   */
  readonly whatGoes: string;
}

function sections({ witness, sync: { store } }: Config): Section[] {
  return [
    ...(witness
      ? [{ redis: witness.redis, at: ['witness', 'redis'], whatGoes: 'the word of the witness and the password go' }]
      : []),
    ...(store.redis
      ? [{ redis: store.redis, at: ['sync', 'store', 'redis'], whatGoes: 'sessions and password go' }]
      : []),
  ];
}

export const REDIS_RULES: readonly Rule[] = [
  {
    says: 'A `redis` section has either `host`, or `sentinels` with `master`.',
    check: config => sections(config).flatMap(({ redis, at }) => whichRedis(redis, at)),
  },
  {
    says:
      'In a `redis` section `username` needs `password_file`, `sentinel_password_file` needs `sentinels`, ' +
      'and `cert_file` and `key_file` of `tls` come together.',
    check: config => sections(config).flatMap(({ redis, at }) => redisCredentials(redis, at)),
  },
  {
    says: 'Warning: a Redis on another machine without `tls`.',
    check: config => sections(config).flatMap(({ redis, at, whatGoes }) => unencrypted(redis, at, whatGoes)),
  },
];

function whichRedis({ host, sentinels, master }: RedisConfig, section: Path): Finding[] {
  const at = (field: string): Path => [...section, field];
  if (host === undefined && !sentinels) {
    const problem = 'neither host nor sentinels say where Redis is';
    return [error(section, problem, 'write host: NAME, or sentinels and master', [at('host'), at('sentinels')])];
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

function redisCredentials(redis: RedisConfig, section: Path): Finding[] {
  const { sentinels, username, password_file, sentinel_password_file, tls } = redis;
  const findings: Finding[] = [];
  const at = (field: string): Path => [...section, field];
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

/** What is sent, and the password, cross the network in the clear. */
function unencrypted(redis: RedisConfig, section: Path, whatGoes: string): Finding[] {
  const open = redisHosts(redis)
    .map(({ host }) => host)
    .filter(name => !isLoopback(name));
  if (redis.tls || open.length === 0) return [];
  const field = redis.host === undefined ? 'sentinels' : 'host';
  const problem = `${whatGoes} to ${open.slice(0, 3).join(', ')} unencrypted`;
  return [warning([...section, field], problem, 'write tls: { ca_file: FILE }', [[...section, 'tls']])];
}

/** The hosts that the section names, each with the field that names it. */
export function redisHosts({ host, sentinels }: RedisConfig): { host: string; field: Path }[] {
  return [
    ...(host === undefined ? [] : [{ host, field: ['host'] }]),
    ...(sentinels ?? []).map((sentinel, index) => ({ host: sentinel.host, field: ['sentinels', index] })),
  ];
}

/** An address of the machine itself, or its usual name. */
export function isLoopback(host: string): boolean {
  const address = parseAddress(host);
  return address === undefined ? host === 'localhost' : address === '::1' || /^127\./.test(address);
}
