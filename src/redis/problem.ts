// What Redis, the network or ioredis say, in sentences that say what to do. Pure.
import type { RedisConfig } from '../config/schema.ts';
import { formatDuration, type Ms } from '../units/duration.ts';

/** Redis as the operator knows it, for sentences. */
export function placeOf({ host, port, sentinels, master }: RedisConfig): string {
  if (!sentinels) return `Redis at ${host ?? 'localhost'}:${port}`;
  return `Redis "${master}" of Sentinel ${sentinels.map(sentinel => `${sentinel.host}:${sentinel.port}`).join(', ')}`;
}

/** Of a command, and of one within a script. */
const RIGHTS_MISSING = /NOPERM|user executing the script/;

/** What Redis, the network or ioredis say → what to do. The first that fits. */
const WORDS: readonly (readonly [pattern: RegExp, means: string])[] = [
  [
    /WRONGPASS|NOAUTH|invalid password|invalid username|ERR AUTH|ERR Client sent AUTH/i,
    'refuses the user or the password; look at username, password_file and sentinel_password_file',
  ],
  [RIGHTS_MISSING, 'does not let the user do this; give it'],
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

interface RedisTrouble {
  readonly config: RedisConfig;
  readonly error: Error;
  /** An earlier error that explains a connection that was closed. */
  readonly before: Error | undefined;
  /** The answer did not come in time; else that is found in the error. */
  readonly late: boolean;
  /** The time that was given, for the sentence. */
  readonly timeoutMs: Ms;
  /** What an ACL user must be allowed, as ACL SETUSER takes it. */
  readonly rights: string;
}

interface RedisProblem {
  readonly late: boolean;
  /** Where, what and what to do; without a full stop. */
  readonly sentence: string;
  readonly cause: Error;
}

export function problemOf({ config, error, before, late, timeoutMs, rights }: RedisTrouble): RedisProblem {
  // A connection that was closed is explained by what came before.
  const cause = /Connection is closed|writeable|All sentinels/.test(error.message) ? (before ?? error) : error;
  const place = placeOf(config);
  if (late || /timed out|ETIMEDOUT/.test(cause.message)) {
    const sentence = `${place} does not answer in time (timeout ${formatDuration(timeoutMs)}); is it overloaded, stopped or cut off?`;
    return { late: true, sentence, cause };
  }
  // An error of several addresses (AggregateError) has no message of its own.
  const said = [cause.message, (cause as NodeJS.ErrnoException).code].filter(Boolean).join(' ').slice(0, 300);
  const means = WORDS.find(([pattern]) => pattern.test(said))?.[1] ?? 'cannot be used';
  const more = RIGHTS_MISSING.test(said) ? `: ${rights}` : '';
  return { late: false, sentence: `${place} ${means}${more} (${said})`, cause };
}
