// The one connection to Redis that the witness process keeps: made anew when it breaks, with pauses
// that grow to a bound. An ask goes out on a connection that stands, or fails at once; nothing is
// ever queued. An answer that is late ends the connection: what is asked later must not stand in
// line behind it. Not pure.
import { Redis } from 'ioredis';
import type { RedisConfig } from '../../config/schema.ts';
import { withDeadline } from '../../redis/io/deadline.ts';
import { CONNECT_TIMEOUTS, clientOptions } from '../../redis/io/options.ts';
import { placeOf, problemOf } from '../../redis/problem.ts';
import { type Ms, ms } from '../../units/duration.ts';
import { failed, readReply, scriptArguments, WITNESS_RIGHTS, WITNESS_SCRIPT } from '../script.ts';
import type { WitnessAnswer, WitnessAsk } from '../witness.ts';

/** Pauses between attempts to connect double from the first to the last. */
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2_000;

interface ConnectionOptions {
  readonly redis: RedisConfig;
  readonly key: string;
  readonly nodeId: number;
  readonly leaseMs: number;
  /** Longest time for one ask. */
  readonly timeoutMs: number;
}

export interface WitnessConnection {
  /** The answer, within `timeoutMs`; never rejects. */
  ask(ask: WitnessAsk): Promise<WitnessAnswer>;
  close(): void;
}

export function openConnection(options: ConnectionOptions): WitnessConnection {
  return new Connection(options);
}

/** The answer did not come in time. */
class LateError extends Error {
  override readonly name = 'LateError';
}
const tooLate = (message: string) => new LateError(message);

class Connection implements WitnessConnection {
  readonly #options: ConnectionOptions;
  /** Open, and usable. */
  #client: Redis | undefined;
  /** Being opened. */
  #opening: Redis | undefined;
  /** Why there is none. */
  #problem: string;
  #pauseMs = PAUSE_MS_MIN;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#problem = `${placeOf(options.redis)} is not connected yet`;
    void this.#open();
  }

  async ask(ask: WitnessAsk): Promise<WitnessAnswer> {
    const client = this.#client;
    if (!client) return failed(ask.seq, this.#problem);
    const { key, timeoutMs, redis } = this.#options;
    try {
      const reply = await withDeadline(
        client.eval(WITNESS_SCRIPT, 1, key, ...scriptArguments(ask, this.#options)),
        timeoutMs,
        tooLate,
      );
      const answer = readReply(ask.seq, reply, placeOf(redis));
      // With Sentinels, another one is the master now.
      if (answer.verdict === 'failed') this.#lost(client, answer.problem);
      else this.#pauseMs = PAUSE_MS_MIN;
      return answer;
    } catch (error) {
      const problem = this.#sentence(error as Error, undefined, ms(timeoutMs));
      this.#lost(client, problem);
      return failed(ask.seq, problem);
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#pause);
    this.#opening?.disconnect();
    this.#client?.disconnect();
    this.#opening = undefined;
    this.#client = undefined;
  }

  /** Never rejects. */
  async #open(): Promise<void> {
    const { redis } = this.#options;
    let client: Redis | undefined;
    // The first error tells why; those that follow only say that the connection is closed.
    let first: Error | undefined;
    // One Sentinel that does not help is no error as long as the next one does; the last that
    // answered tells most.
    let hint: Error | undefined;
    try {
      const opening = new Redis(clientOptions(redis));
      client = opening;
      this.#opening = opening;
      opening.on('error', (error: Error) => {
        first ??= error;
      });
      opening.on('sentinelError', (error: Error) => {
        if (!hint || !/is closed|ETIMEDOUT/.test(error.message)) hint = error;
      });
      opening.on('end', () => this.#lost(opening, this.#sentence(new Error('Connection is closed.'), hint ?? first)));
      await withDeadline(opening.connect(), CONNECT_TIMEOUTS * redis.timeout, tooLate);
      // The number of the database may have been refused: ioredis goes on, in database 0.
      if (first !== undefined) throw first;
      if (this.#opening !== opening) return;
      this.#opening = undefined;
      this.#client = opening;
    } catch (error) {
      this.#lost(client, this.#sentence(error as Error, hint ?? first));
    }
  }

  /**
   * `client` is of no use any more; the next one is opened after a pause. Of one that was given up
   * before, nothing is heard.
   */
  #lost(client: Redis | undefined, problem: string): void {
    client?.disconnect();
    if (this.#closed || (client !== undefined && client !== this.#client && client !== this.#opening)) return;
    this.#client = undefined;
    this.#opening = undefined;
    this.#problem = problem;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => void this.#open(), this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_MS_MAX);
  }

  #sentence(error: Error, before: Error | undefined, timeoutMs: Ms = this.#options.redis.timeout): string {
    const config = this.#options.redis;
    const late = error instanceof LateError;
    return problemOf({ config, error, before, late, timeoutMs, rights: WITNESS_RIGHTS }).sentence;
  }
}
