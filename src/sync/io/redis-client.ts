// One errand to Redis at a time: connect (through Sentinel, where there is one), do it, disconnect. Every command has a deadline and
// so has the whole; nothing is queued while there is no connection, nothing is retried here. A connection that lives no longer than
// its errand cannot go stale after a failover, cannot collect commands for a stopped server, and cannot reconnect in a loop. Not pure.
import { Redis, type RedisOptions } from 'ioredis';
import { readSecret } from '../../config/io/key.ts';
import { readPublic } from '../../config/io/secrets.ts';
import type { RedisConfig } from '../../config/schema.ts';
import { formatDuration } from '../../units/duration.ts';
import { StoreError } from '../store-error.ts';

/** Connecting, in multiples of `timeout`: Sentinels that are down are tried one after the other. */
const CONNECT_TIMEOUTS = 5;
/** How long a server that has stopped reading may keep our socket after we left. */
const LINGER_MS = 200;

export interface Errand<T> {
  readonly config: RedisConfig;
  /** The whole, from connecting on, in ms. */
  readonly deadlineMs: number;
  run(client: Redis): Promise<T>;
}

/** Rejects with a StoreError that says what is wrong and what to do. */
export async function withRedis<T>({ config, deadlineMs, run }: Errand<T>): Promise<T> {
  // Secrets are read each time, so that a new password needs no restart.
  const client = new Redis(clientOptions(config));
  // The first one tells why; those that follow only say that the connection is closed.
  let first: Error | undefined;
  client.on('error', (error: Error) => {
    first ??= error;
  });
  // One Sentinel that does not help is no error as long as the next one does; the last that answered tells most.
  let hint: Error | undefined;
  client.on('sentinelError', (error: Error) => {
    if (!hint || !/is closed|ETIMEDOUT/.test(error.message)) hint = error;
  });
  try {
    await within(client.connect(), CONNECT_TIMEOUTS * config.timeout);
    // The number of the database may have been refused: ioredis goes on, in database 0.
    if (first !== undefined) throw first;
    return await within(run(client), deadlineMs);
  } catch (error) {
    throw explain(config, error as Error, hint ?? first);
  } finally {
    client.disconnect();
  }
}

async function within<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreError('timeout', `not done within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function clientOptions(config: RedisConfig): RedisOptions & { replyMapping?: 'legacy' } {
  const { username, password_file, timeout, database } = config;
  return {
    ...where(config),
    ...(username === undefined ? {} : { username }),
    ...(password_file === undefined ? {} : { password: secretOf(password_file) }),
    db: database,
    protocol: 2,
    replyMapping: 'legacy',
    lazyConnect: true,
    disableClientInfo: true,
    connectTimeout: timeout,
    commandTimeout: timeout,
    disconnectTimeout: LINGER_MS,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  };
}

function where(config: RedisConfig): RedisOptions {
  const { host, port, sentinels, master, sentinel_password_file, timeout } = config;
  const tls = tlsOptions(config);
  if (!sentinels || master === undefined) return { host: host ?? 'localhost', port, ...(tls ? { tls } : {}) };
  return {
    sentinels: sentinels.map(sentinel => ({ ...sentinel })),
    name: master,
    ...(sentinel_password_file === undefined ? {} : { sentinelPassword: secretOf(sentinel_password_file) }),
    sentinelCommandTimeout: timeout,
    sentinelRetryStrategy: () => null,
    updateSentinels: false,
    failoverDetector: false,
    ...(tls ? { tls, sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
  };
}

function tlsOptions({ tls }: RedisConfig): NonNullable<RedisOptions['tls']> | undefined {
  if (tls === false) return undefined;
  const { ca_file, cert_file, key_file, server_name } = tls;
  return {
    ...(ca_file === undefined ? {} : { ca: readPublic(ca_file) }),
    ...(cert_file === undefined ? {} : { cert: readPublic(cert_file) }),
    ...(key_file === undefined ? {} : { key: readSecret(key_file, 'make it with mode 0600, or correct the path') }),
    ...(server_name === undefined ? {} : { servername: server_name }),
  };
}

function secretOf(file: string): string {
  return readSecret(file, 'make it with mode 0600, or correct the path').replace(/\r?\n$/, '');
}

/** Redis as the operator knows it, for sentences. */
export function placeOf({ host, port, sentinels, master }: RedisConfig): string {
  if (!sentinels) return `Redis at ${host ?? 'localhost'}:${port}`;
  return `Redis "${master}" of Sentinel ${sentinels.map(sentinel => `${sentinel.host}:${sentinel.port}`).join(', ')}`;
}

/** What Redis, the network or ioredis say → what to do. The first that fits. */
const WORDS: readonly (readonly [pattern: RegExp, means: string])[] = [
  [
    /WRONGPASS|NOAUTH|invalid password|invalid username|ERR AUTH|ERR Client sent AUTH/i,
    'refuses the user or the password; look at username, password_file and sentinel_password_file',
  ],
  [
    /NOPERM/,
    'does not let the user do this; give it: ~PREFIX:* +set +getrange +unlink +hgetall +hmget +hset +hdel +rename +exists +pexpire +pttl +evalsha +eval +select',
  ],
  [/\bOOM\b/, 'is full (maxmemory); raise it, or let other keys expire'],
  [/invalid reply: null/, 'is not known to its Sentinels; correct master'],
  [/failed to connect to sentinel/, 'cannot be found: no Sentinel answers'],
  [/READONLY/, 'is a read-only replica; name the master, or use its Sentinels'],
  [/LOADING/, 'is still loading its data; it is tried again'],
  [/MISCONF|MASTERDOWN|NOREPLICAS/, 'does not take writes now; it says'],
  [/DB index|invalid DB/i, 'does not have this database; correct database'],
  [/WRONGTYPE/, 'has something else under our keys; choose another key_prefix'],
  [/unknown command/i, 'is too old; version 5 or newer is needed'],
  [/ECONNREFUSED/, 'does not run, or not on this port: the connection was refused'],
  [/ENOTFOUND|EAI_AGAIN/, 'cannot be found: its name has no address'],
  [/EHOSTUNREACH|ENETUNREACH/, 'cannot be reached: there is no route'],
  [/certificate required/i, 'wants a certificate of ours; add cert_file and key_file'],
  [
    /self-signed|unable to (?:get|verify)|certificate|altnames/i,
    'has a certificate that is not accepted; look at ca_file and server_name',
  ],
  [/SSL|EPROTO|wrong version number/i, 'does not speak TLS here, or ours is refused; look at tls'],
  [/ECONNRESET|EPIPE|Connection is closed|socket hang up/i, 'closed the connection'],
];

function explain(config: RedisConfig, error: Error, first: Error | undefined): Error {
  if (error instanceof StoreError && error.code !== 'timeout') return error;
  // A connection that was closed is explained by what came before.
  const cause = /Connection is closed|writeable|All sentinels/.test(error.message) ? (first ?? error) : error;
  const place = placeOf(config);
  if (error instanceof StoreError || /timed out|ETIMEDOUT/.test(cause.message)) {
    const problem = `${place} does not answer in time (timeout ${formatDuration(config.timeout)}); is it overloaded, stopped or cut off?`;
    return new StoreError('timeout', problem, { cause });
  }
  // An error of several addresses (AggregateError) has no message of its own.
  const said = [cause.message, (cause as NodeJS.ErrnoException).code].filter(Boolean).join(' ').slice(0, 300);
  const means = WORDS.find(([pattern]) => pattern.test(said))?.[1] ?? 'cannot be used';
  return new StoreError('failed', `${place} ${means} (${said})`, { cause });
}
