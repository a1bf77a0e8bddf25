// How Tandem talks to a Redis that the config names, for everybody who does: one connection, no
// queue, no retry, no reconnecting; TLS, ACL user and password file, Sentinels. Not pure: reads the
// files with secrets and certificates.
import type { RedisOptions } from 'ioredis';
import { readSecret } from '../../config/io/key.ts';
import { readPublic } from '../../config/io/secrets.ts';
import type { RedisConfig } from '../../config/schema.ts';

/** Connecting, in multiples of `timeout`: Sentinels that are down are tried one after the other. */
export const CONNECT_TIMEOUTS = 5;
/** How long a server that has stopped reading may keep our socket after we left. */
const LINGER_MS = 200;

/**
 * The options of one connection, which `connect()` opens. Secrets are read each time, so that a new
 * password needs no restart; a file that is missing or open to others throws a KeyFileError.
 */
export function clientOptions(config: RedisConfig): RedisOptions & { replyMapping?: 'legacy' } {
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
