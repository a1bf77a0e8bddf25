// One errand to Redis at a time: connect (through Sentinel, where there is one), do it, disconnect.
// Every command has a deadline and so has the whole; nothing is queued while there is no
// connection, nothing is retried here. A connection that lives no longer than its errand cannot go
// stale after a failover, cannot collect commands for a stopped server, and cannot reconnect in a
// loop. Not pure.
import type { Redis } from 'ioredis';
import type { RedisConfig } from '../../../config/schema.ts';
import { withDeadline } from '../../../redis/io/deadline.ts';
import { CONNECT_TIMEOUTS, clientOptions } from '../../../redis/io/options.ts';
import { problemOf } from '../../../redis/problem.ts';
import { StoreError } from '../store-error.ts';

interface Errand<T> {
  readonly config: RedisConfig;
  /** The whole, from connecting on, in ms. */
  readonly deadlineMs: number;
  run(client: Redis): Promise<T>;
}

/** Rejects with a StoreError that says what is wrong and what to do. */
export async function withRedis<T>({ config, deadlineMs, run }: Errand<T>): Promise<T> {
  // Most pairs have no Redis, and loading its library takes a tenth of the director's start.
  const library = await import('ioredis');
  const client = new library.Redis(clientOptions(config));
  // The first one tells why; those that follow only say that the connection is closed.
  let first: Error | undefined;
  client.on('error', (error: Error) => {
    first ??= error;
  });
  // One Sentinel that does not help is no error as long as the next one does; the last that
  // answered tells most.
  let hint: Error | undefined;
  client.on('sentinelError', (error: Error) => {
    if (!hint || !/is closed|ETIMEDOUT/.test(error.message)) hint = error;
  });
  try {
    await withDeadline(client.connect(), CONNECT_TIMEOUTS * config.timeout, tooLate);
    // The number of the database may have been refused: ioredis goes on, in database 0.
    if (first !== undefined) throw first;
    return await withDeadline(run(client), deadlineMs, tooLate);
  } catch (error) {
    throw explain(config, error as Error, hint ?? first);
  } finally {
    client.disconnect();
  }
}

const tooLate = (message: string) => new StoreError('timeout', message);

/** What the user of the store must be allowed. */
const RIGHTS =
  '~PREFIX:* +set +getrange +unlink +hgetall +hmget +hset +hdel +rename +exists +pexpire +pttl +evalsha +eval +select';

function explain(config: RedisConfig, error: Error, before: Error | undefined): Error {
  const late = error instanceof StoreError;
  if (late && error.code !== 'timeout') return error;
  const told = problemOf({ config, error, before, late, timeoutMs: config.timeout, rights: RIGHTS });
  return new StoreError(told.late ? 'timeout' : 'failed', told.sentence, { cause: told.cause });
}
