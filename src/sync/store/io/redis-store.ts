// Snapshots in Redis, which both routers may share: the chunks are written under a new name, then
// one script makes the pointer name them, if all are there and the pointer does not name a snapshot
// of a newer term of ownership. Every key expires. Not pure.
//   PREFIX:v1:PAIR:current   hash: id, epoch, chunks and bytes of the newest snapshot and of the
//                            one before it
//   PREFIX:v1:PAIR:ID:N      string: chunk N of snapshot ID
//   PREFIX:v1:PAIR:damaged   hash: what was set aside last
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { RedisConfig } from '../../../config/schema.ts';
import { placeOf } from '../../../redis/problem.ts';
import { readHeader, SAVED_BYTES_MAX } from '../saved-sessions.ts';
import type { SessionStore } from '../session-store.ts';
import { StoreError } from '../store-error.ts';
import { withRedis } from './redis-client.ts';

const CHUNK_BYTES = 262_144;
const CHUNKS_MAX = Math.ceil(SAVED_BYTES_MAX / CHUNK_BYTES);
/**
 * Chunks on their way at once: back-pressure, since each must be answered before the next ones are
 * sent.
 */
const IN_FLIGHT_MAX = 4;
/**
 * Keys outlive max_age by this much, so that a snapshot that is too old is refused by name rather
 * than missing.
 */
const MARGIN_MS = 300_000;
/** The pointer goes before its chunks do. */
const POINTER_MARGIN_MS = 60_000;
/** A whole save or load; with a large table and a slow Redis more than one timeout. */
const WHOLE_MS_MIN = 30_000;
const WHOLE_TIMEOUTS = 10;

/** Answers: ok and the snapshot that is now nobody's; newer and its epoch; missing. */
const SWITCH = `
local was = redis.call('HMGET', KEYS[1], 'id', 'counter', 'node', 'chunks', 'bytes', 'previousId', 'previousChunks')
local counter, node = tonumber(was[2]) or 0, tonumber(was[3]) or 0
local ours, from = tonumber(ARGV[2]), tonumber(ARGV[3])
if was[1] and (counter > ours or (counter == ours and node > from)) then
  return {'newer', was[2] .. '.' .. was[3]}
end
if redis.call('EXISTS', unpack(KEYS, 2)) ~= #KEYS - 1 then return {'missing'} end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'counter', ARGV[2], 'node', ARGV[3], 'chunks', ARGV[4], 'bytes', ARGV[5],
  'previousId', was[1] or '', 'previousCounter', was[2] or '0', 'previousNode', was[3] or '0',
  'previousChunks', was[4] or '0', 'previousBytes', was[5] or '0')
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {'ok', was[6] or '', was[7] or '0'}`;

/** Takes one of the two snapshots out of the pointer; the one before becomes the newest. */
const SET_ASIDE = `
local was = redis.call('HMGET', KEYS[1], 'id', 'chunks', 'previousId', 'previousCounter', 'previousNode', 'previousChunks', 'previousBytes')
local left = redis.call('PTTL', KEYS[1])
if was[1] ~= ARGV[1] and was[3] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'id', ARGV[1], 'why', ARGV[2], 'chunks', was[1] == ARGV[1] and was[2] or was[6] or '0')
if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
if was[1] == ARGV[1] and was[3] and was[3] ~= '' then
  redis.call('HSET', KEYS[1], 'id', was[3], 'counter', was[4], 'node', was[5], 'chunks', was[6], 'bytes', was[7])
elseif was[1] == ARGV[1] then
  redis.call('UNLINK', KEYS[1])
  return 1
end
redis.call('HSET', KEYS[1], 'previousId', '', 'previousChunks', '0', 'previousBytes', '0')
return 1`;

interface RedisStoreOptions {
  readonly config: RedisConfig;
  /** Name of the pair: other pairs may use the same Redis. */
  readonly pair: string;
  /** Snapshots older than this are of no use, so their keys expire a little later. */
  readonly maxAgeMs: number;
}

export function createRedisStore(options: RedisStoreOptions): SessionStore {
  return new RedisStore(options);
}

/** One snapshot, as the pointer names it. */
interface Named {
  readonly id: string;
  readonly chunks: number;
  readonly bytes: number;
}

class RedisStore implements SessionStore {
  readonly type = 'redis';
  readonly #config: RedisConfig;
  readonly #base: string;
  readonly #expireMs: number;
  readonly #wholeMs: number;
  /** The id of each loaded snapshot. */
  readonly #loaded = new WeakMap<Buffer, string>();
  #saving: Promise<void> | undefined;

  constructor({ config, pair, maxAgeMs }: RedisStoreOptions) {
    this.#config = config;
    this.#base = `${config.key_prefix}:v1:${pair}`;
    this.#expireMs = maxAgeMs + MARGIN_MS;
    this.#wholeMs = Math.max(WHOLE_MS_MIN, WHOLE_TIMEOUTS * config.timeout);
  }

  save(snapshot: Buffer): Promise<void> {
    if (this.#saving !== undefined) return Promise.reject(new RangeError('one save at a time'));
    this.#saving = this.#errand(client => this.#write(client, snapshot)).finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  #errand<T>(run: (client: Redis) => Promise<T>): Promise<T> {
    return withRedis({ config: this.#config, deadlineMs: this.#wholeMs, run });
  }

  async #write(client: Redis, snapshot: Buffer): Promise<void> {
    const header = readHeader(snapshot);
    if (!header) throw new RangeError('not a snapshot');
    if (snapshot.length > SAVED_BYTES_MAX) {
      const problem = `${snapshot.length} bytes are more than a snapshot may have (${SAVED_BYTES_MAX})`;
      throw new StoreError('too-large', problem);
    }
    const named: Named = {
      id: randomBytes(8).toString('hex'),
      chunks: Math.ceil(snapshot.length / CHUNK_BYTES),
      bytes: snapshot.length,
    };
    try {
      await this.#writeChunks(client, named, snapshot);
      await this.#switchTo(client, named, header.epoch);
    } catch (error) {
      // Nobody names them; they would expire, but a full Redis needs the place now.
      if (client.status === 'ready') await this.#unlink(client, named).catch(() => undefined);
      throw error;
    }
  }

  async #writeChunks(client: Redis, { id, chunks }: Named, snapshot: Buffer): Promise<void> {
    for (let first = 0; first < chunks; first += IN_FLIGHT_MAX) {
      const numbers = Array.from({ length: Math.min(IN_FLIGHT_MAX, chunks - first) }, (_, index) => first + index);
      await Promise.all(
        numbers.map(number => {
          const chunk = snapshot.subarray(number * CHUNK_BYTES, (number + 1) * CHUNK_BYTES);
          return client.set(this.#chunkKey(id, number), chunk, 'PX', this.#expireMs + POINTER_MARGIN_MS);
        }),
      );
    }
  }

  async #switchTo(client: Redis, named: Named, epoch: { counter: number; node: number }): Promise<void> {
    const keys = [`${this.#base}:current`, ...this.#chunkKeys(named)];
    const { id, chunks, bytes } = named;
    const values = [id, epoch.counter, epoch.node, chunks, bytes, this.#expireMs];
    const [word, first, second] = (await client.eval(SWITCH, keys.length, ...keys, ...values)) as string[];
    if (word === 'newer') {
      const problem = `${placeOf(this.#config)} has a snapshot of a newer term of ownership (${first}, ours is ${epoch.counter}.${epoch.node}); it stays`;
      throw new StoreError('older-epoch', problem);
    }
    if (word !== 'ok') {
      const problem = `${placeOf(this.#config)} has lost what was just written (does it evict keys?); use maxmemory-policy noeviction or volatile-ttl`;
      throw new StoreError('failed', problem);
    }
    const old = namedOf(first, second, '0');
    // It expires anyway; that it could not be removed is no reason to call the save failed.
    if (old) await this.#unlink(client, old).catch(() => undefined);
  }

  async #unlink(client: Redis, named: Named): Promise<void> {
    await client.unlink(...this.#chunkKeys(named));
  }

  #chunkKey(id: string, number: number): string {
    return `${this.#base}:${id}:${number}`;
  }

  #chunkKeys({ id, chunks }: Named): string[] {
    return Array.from({ length: chunks }, (_, number) => this.#chunkKey(id, number));
  }

  load(): Promise<readonly Buffer[]> {
    return this.#errand(async client => {
      const pointer = await client.hgetall(`${this.#base}:current`);
      if (Object.keys(pointer).length === 0) return [];
      const newest = await this.#read(client, namedOf(pointer.id, pointer.chunks, pointer.bytes));
      // A pointer that makes no sense is a damaged snapshot.
      const found = [newest ?? Buffer.alloc(0)];
      this.#loaded.set(found[0] as Buffer, pointer.id ?? '');
      const before = await this.#read(
        client,
        namedOf(pointer.previousId, pointer.previousChunks, pointer.previousBytes),
      );
      // Of the one before, which expires earlier, nothing at all may be left.
      if (before && before.length > 0) {
        this.#loaded.set(before, pointer.previousId ?? '');
        found.push(before);
      }
      return found;
    });
  }

  /**
   * What is there of it, one chunk after the other: a missing or short one makes it a damaged
   * snapshot.
   */
  async #read(client: Redis, named: Named | undefined): Promise<Buffer | undefined> {
    if (!named) return undefined;
    const chunks: Buffer[] = [];
    const keys = this.#chunkKeys(named);
    for (let first = 0; first < keys.length; first += IN_FLIGHT_MAX) {
      // Not get: whatever somebody wrote there, no answer is longer than a chunk.
      const some = keys.slice(first, first + IN_FLIGHT_MAX).map(key => client.getrangeBuffer(key, 0, CHUNK_BYTES - 1));
      chunks.push(...(await Promise.all(some)));
    }
    return Buffer.concat(chunks).subarray(0, named.bytes);
  }

  setAside(snapshot: Buffer, why: string): Promise<string> {
    const id = this.#loaded.get(snapshot);
    if (id === undefined) return Promise.reject(new RangeError('not a snapshot that load() gave'));
    const aside = `${this.#base}:damaged`;
    return this.#errand(async client => {
      await client.eval(SET_ASIDE, 2, `${this.#base}:current`, aside, id, why);
      return `${aside} names it (${id})`;
    });
  }

  async close(): Promise<void> {
    await this.#saving?.catch(() => undefined);
  }
}

/**
 * What a pointer says, as far as it makes sense. Whoever can write to Redis may have written it.
 */
function namedOf(id: string | undefined, chunks: string | undefined, bytes: string | undefined): Named | undefined {
  const named = { id: id ?? '', chunks: Number(chunks), bytes: Number(bytes) };
  const sound =
    /^[0-9a-f]{16}$/.test(named.id) &&
    Number.isInteger(named.chunks) &&
    named.chunks > 0 &&
    named.chunks <= CHUNKS_MAX &&
    Number.isInteger(named.bytes) &&
    named.bytes >= 0 &&
    named.bytes <= SAVED_BYTES_MAX;
  return sound ? named : undefined;
}
