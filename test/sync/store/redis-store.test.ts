// Snapshots in a real Redis: killed, stopped, full, empty, locked, damaged, failed over. The previous snapshot stays, every fault has
// its sentence in time, and the event loop goes on.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { RedisConfig } from '../../../src/config/schema.ts';
import { createRedisStore } from '../../../src/sync/store/io/redis-store.ts';
import { decodeSteps, encodeSteps, runSteps, type SavedHeader } from '../../../src/sync/store/saved-sessions.ts';
import { ms } from '../../../src/units/duration.ts';
import { eventually, freePort, type RedisServer, startRedis } from '../../redis/redis-server.ts';
import { HEADER, KEY, redisConfig, rowsOf } from './entries.ts';

const CHILD = fileURLToPath(new URL('store-child.js', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'tandem-redis-'));
test.after.always(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;
const freshDir = () => join(root, `${directories++}`);

/** A server that ends with the test, whatever becomes of it. */
async function serverOf(t: ExecutionContext, options: Omit<Parameters<typeof startRedis>[0], 'dir'> = {}) {
  const server = await startRedis({ dir: freshDir(), ...options });
  t.teardown(() => server.kill());
  return server;
}

const MAX_AGE_MS = 600_000;
const storeOf = (config: Partial<RedisConfig>, pair = HEADER.pair) =>
  createRedisStore({ config: redisConfig(config), pair, maxAgeMs: MAX_AGE_MS });

/** About 38 bytes a row: 30,000 are five chunks. */
const LARGE = 30_000;
const snapshotOf = (n: number, rows = 10, header: Partial<SavedHeader> = {}) =>
  runSteps(encodeSteps({ ...HEADER, savedAtMs: n, ...header }, rowsOf(rows), KEY)).buffer;

/** The numbers that snapshots were made with, or why one is none. */
function numbersOf(snapshots: readonly Buffer[]): (number | string)[] {
  return snapshots.map(snapshot => {
    const decoded = runSteps(decodeSteps(snapshot, { pair: HEADER.pair, keys: [KEY] }));
    return decoded.ok ? decoded.header.savedAtMs : decoded.why;
  });
}

const succeeds = (work: Promise<unknown>) =>
  work.then(
    () => true,
    () => false,
  );

/** How often a timer of 10 ms came to run while `work` ran: hardly ever, if the loop was held up. */
async function ticksDuring(work: Promise<unknown>): Promise<number> {
  let ticks = 0;
  const timer = setInterval(() => {
    ticks++;
  }, 10);
  await work;
  clearInterval(timer);
  return ticks;
}

test.serial('what is saved is loaded, newest first, with the one before it; older chunks are gone', async t => {
  const server = await serverOf(t);
  const store = storeOf({ port: server.port });
  t.deepEqual(await store.load(), []);
  for (const n of [1, 2, 3]) await store.save(snapshotOf(n, LARGE));
  const loaded = await storeOf({ port: server.port }).load();
  t.deepEqual(numbersOf(loaded), [3, 2]);
  t.true(loaded[0]?.equals(snapshotOf(3, LARGE)));
  t.is((await server.client().keys('*')).length, 1 + 2 * 5);
});

test.serial('every key expires, the pointer before its chunks; pairs, prefixes and databases are apart', async t => {
  const server = await serverOf(t);
  await storeOf({ port: server.port }).save(snapshotOf(1));
  await storeOf({ port: server.port }, 'other-pair').save(snapshotOf(2));
  await storeOf({ port: server.port, key_prefix: 'a:b' }).save(snapshotOf(3));
  await storeOf({ port: server.port, database: 3 }).save(snapshotOf(4));
  const client = server.client();
  const keys = await client.keys('*');
  t.deepEqual(keys.map(key => key.replace(/[0-9a-f]{16}/, 'ID')).sort(), [
    'a:b:v1:ftp-pair:ID:0',
    'a:b:v1:ftp-pair:current',
    'tandem:v1:ftp-pair:ID:0',
    'tandem:v1:ftp-pair:current',
    'tandem:v1:other-pair:ID:0',
    'tandem:v1:other-pair:current',
  ]);
  for (const key of keys) {
    const [left, atLeast] = [await client.pttl(key), key.endsWith('current') ? MAX_AGE_MS : MAX_AGE_MS + 300_000];
    t.true(left > atLeast && left < MAX_AGE_MS + 400_000, `${key} ${left}`);
  }
  t.deepEqual(numbersOf(await storeOf({ port: server.port }).load()), [1]);
  t.deepEqual(numbersOf(await storeOf({ port: server.port, database: 3 }).load()), [4]);
});

test.serial('a router with an older term of ownership never replaces the snapshot of a newer one', async t => {
  const server = await serverOf(t);
  const [a, b] = [storeOf({ port: server.port }), storeOf({ port: server.port })];
  await a.save(snapshotOf(1, 10, { epoch: { counter: 10, node: 2 } }));
  const older = await t.throwsAsync(b.save(snapshotOf(2, 10, { epoch: { counter: 10, node: 1 } })));
  t.regex(older?.message ?? '', /has a snapshot of a newer term of ownership \(10\.2, ours is 10\.1\); it stays/);
  t.like(older, { code: 'older-epoch' });
  await t.throwsAsync(b.save(snapshotOf(2, 10, { epoch: { counter: 9, node: 3 } })), { message: /newer term/ });
  t.deepEqual(numbersOf(await a.load()), [1]);
  t.is((await server.client().keys('*')).length, 2, 'what was written for nothing is gone');
  await b.save(snapshotOf(3, 10, { epoch: { counter: 11, node: 1 } }));
  await b.save(snapshotOf(4, 10, { epoch: { counter: 11, node: 1 } }));
  t.deepEqual(numbersOf(await a.load()), [4, 3]);
});

test.serial(
  'Redis killed in the middle of a save: the save fails with a sentence, the previous snapshot is loaded',
  async t => {
    const dir = freshDir();
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always'];
    const server = await startRedis({ dir, args: durable });
    t.teardown(() => server.kill());
    const store = storeOf({ port: server.port });
    await store.save(snapshotOf(1, LARGE));
    const client = server.client();
    const saving = t.throwsAsync(store.save(snapshotOf(2, 300_000)));
    t.true(await eventually(async () => (await client.dbsize()) > 12, 20_000));
    await server.kill();
    t.regex((await saving)?.message ?? '', /^Redis at 127\.0\.0\.1:\d+ (closed the connection|does not run)/);
    await t.throwsAsync(store.load(), { message: /does not run, or not on this port: the connection was refused/ });
    const again = await startRedis({ dir, port: server.port, args: durable });
    t.teardown(() => again.kill());
    t.true(await eventually(() => succeeds(store.load()), 20_000), 'it has loaded its data');
    t.deepEqual(numbersOf(await store.load()), [1]);
    await store.save(snapshotOf(3, LARGE));
    t.deepEqual(numbersOf(await store.load()), [3, 1]);
  },
);

test.serial(
  'the router killed in the middle of a save: whatever moment it was, a whole snapshot is loaded',
  async t => {
    const server = await serverOf(t);
    const store = storeOf({ port: server.port });
    let safe = 0;
    for (let round = 0; round < 10; round++) {
      const child = spawn(process.execPath, [CHILD, 'redis', `${server.port}`, `${safe + 1}`, `${LARGE}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let told = '';
      child.stdout.setEncoding('utf8').on('data', text => {
        told += text;
      });
      await once(child.stdout, 'data');
      await sleep(Math.random() * 60);
      child.kill('SIGKILL');
      await once(child, 'close');
      const numbers = numbersOf(await store.load());
      t.true(numbers.length >= 1 && numbers.every(number => typeof number === 'number'), `${numbers}`);
      t.true(Number(numbers[0]) >= Number(told.trim().split('\n').at(-1)), `${numbers} after ${told}`);
      safe = Number(numbers[0]);
    }
    const client = server.client();
    const lasting = (await Promise.all((await client.keys('*')).map(key => client.pttl(key)))).filter(left => left < 0);
    t.deepEqual(lasting, [], 'what was left behind expires');
  },
);

test.serial(
  'Redis stopped: saves and loads give up in their time, the event loop goes on, later saves work',
  async t => {
    const server = await serverOf(t);
    const store = storeOf({ port: server.port, timeout: ms(1_000) });
    await store.save(snapshotOf(1));
    server.signal('SIGSTOP');
    for (const work of [() => store.save(snapshotOf(2, 300_000)), () => store.load()]) {
      const began = performance.now();
      const failing = t.throwsAsync(work(), { message: /does not answer in time \(timeout 1s\); is it overloaded/ });
      const ticks = await ticksDuring(failing);
      t.true(performance.now() - began < 15_000);
      t.true(ticks >= 20, `${ticks} ticks`);
    }
    server.signal('SIGCONT');
    t.true(await eventually(() => succeeds(store.save(snapshotOf(3))), 20_000));
    t.deepEqual(numbersOf(await store.load()), [3, 1]);
  },
);

test.serial(
  'Redis stopped in the middle of a save: it gives up in its time, and the previous snapshot stays',
  async t => {
    const server = await serverOf(t);
    const store = storeOf({ port: server.port, timeout: ms(1_500) });
    await store.save(snapshotOf(1));
    const client = server.client();
    const large = snapshotOf(2, 600_000);
    const saving = t.throwsAsync(store.save(large), { message: /does not answer in time/ });
    t.true(await eventually(async () => (await client.dbsize()) > 4, 20_000));
    server.signal('SIGSTOP');
    t.true((await ticksDuring(saving)) >= 20);
    server.signal('SIGCONT');
    t.deepEqual(numbersOf(await store.load()), [1]);
  },
);

test.serial('a full Redis: a sentence, the previous snapshot stays, and what was written goes at once', async t => {
  const server = await serverOf(t);
  const store = storeOf({ port: server.port });
  await store.save(snapshotOf(1, LARGE));
  const client = server.client();
  const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
  await client.config('SET', 'maxmemory', `${used + 4_000_000}`);
  await client.config('SET', 'maxmemory-policy', 'noeviction');
  await t.throwsAsync(store.save(snapshotOf(2, 200_000)), { message: /is full \(maxmemory\); raise it/ });
  t.deepEqual(numbersOf(await store.load()), [1]);
  t.true(await eventually(async () => (await client.dbsize()) === 6, 2_000));
  await store.save(snapshotOf(3, LARGE));
  t.deepEqual(numbersOf(await store.load()), [3, 1]);
});

test.serial('a Redis that evicts what was just written is found out before the pointer names it', async t => {
  const server = await serverOf(t);
  const store = storeOf({ port: server.port });
  await store.save(snapshotOf(1));
  const client = server.client();
  const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
  await client.config('SET', 'maxmemory', `${used + 3_000_000}`);
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await t.throwsAsync(store.save(snapshotOf(2, 300_000)), { message: /does it evict keys|is full/ });
});

test.serial('a Redis restarted empty has nothing to load, and takes saves again', async t => {
  const dir = freshDir();
  const server = await startRedis({ dir });
  t.teardown(() => server.kill());
  const store = storeOf({ port: server.port });
  await store.save(snapshotOf(1));
  await server.kill();
  const again = await startRedis({ dir, port: server.port });
  t.teardown(() => again.kill());
  t.deepEqual(await store.load(), []);
  await store.save(snapshotOf(2));
  t.deepEqual(numbersOf(await store.load()), [2]);
});

function secret(text: string): string {
  const file = join(root, `secret-${directories++}`);
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return file;
}

/** What the documentation tells operators to give the user, besides a password. */
const RIGHTS =
  '+set +getrange +unlink +hgetall +hmget +hset +hdel +rename +exists +pexpire +pttl +evalsha +eval +select';

test.serial('password, user and rights: the right ones are enough, wrong ones have a sentence', async t => {
  const server = await serverOf(t);
  const { port } = server;
  const client = server.client();
  await client.acl('SETUSER', 'tandem', 'on', '>right', '~tandem:*', ...RIGHTS.split(' '));
  await client.acl('SETUSER', 'reader', 'on', '>right', '~tandem:*', '+hgetall', '+getrange');
  await client.acl('SETUSER', 'stranger', 'on', '>right', '~other:*', '+@all');
  await client.config('SET', 'requirepass', 'top');
  const [right, wrong] = [secret('right'), secret('wrong')];
  const store = storeOf({ port, username: 'tandem', password_file: right });
  for (const n of [1, 2]) await store.save(snapshotOf(n, LARGE));
  t.deepEqual(numbersOf(await store.load()), [2, 1]);
  t.regex(await store.setAside((await store.load())[0] as Buffer, 'damaged'), /^tandem:v1:ftp-pair:damaged names it/);
  await storeOf({ port, password_file: secret('top') }).save(snapshotOf(3));

  const refused = /refuses the user or the password; look at username, password_file/;
  await t.throwsAsync(storeOf({ port, username: 'tandem', password_file: wrong }).save(snapshotOf(4)), {
    message: refused,
  });
  await t.throwsAsync(storeOf({ port, password_file: wrong }).load(), { message: refused });
  await t.throwsAsync(storeOf({ port }).load(), { message: refused });
  const noRight = /does not let the user do this; give it: ~PREFIX:\* \+set/;
  await t.throwsAsync(storeOf({ port, username: 'reader', password_file: right }).save(snapshotOf(4)), {
    message: noRight,
  });
  await t.throwsAsync(storeOf({ port, username: 'stranger', password_file: right }).load(), { message: noRight });
  await t.throwsAsync(storeOf({ port, password_file: join(root, 'none') }).load(), {
    message: /there is no such file/,
  });
  t.deepEqual(numbersOf(await storeOf({ port, username: 'reader', password_file: right }).load()), [3, 1]);
});

test.serial('a database that is not there is refused, and nothing is written to another one', async t => {
  const server = await serverOf(t);
  await t.throwsAsync(storeOf({ port: server.port, database: 99 }).save(snapshotOf(1)), {
    message: /does not have this database; correct database/,
  });
  t.is(await server.client().dbsize(), 0);
});

interface Authority {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A test CA, and a certificate of it for 127.0.0.1 and redis.test. */
function authority(): Authority {
  const at = (name: string) => join(root, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...ec, '-subj', '/CN=Test CA', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  openssl('req', ...ec.slice(0, 5), '-subj', '/CN=redis.test', '-keyout', at('tls.key'), '-out', at('tls.csr'));
  writeFileSync(at('ext'), 'subjectAltName=IP:127.0.0.1,DNS:redis.test\n');
  const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('ext')];
  openssl('x509', '-req', '-in', at('tls.csr'), ...signed, '-out', at('tls.pem'));
  return { ca: at('ca.pem'), cert: at('tls.pem'), key: at('tls.key') };
}

test.serial('TLS: with the right authority and certificates it works, without them a sentence says why', async t => {
  const { ca, cert, key } = authority();
  const tlsPort = await freePort();
  await serverOf(t, {
    args: ['--tls-port', `${tlsPort}`, '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca],
  });
  const mine = { ca_file: ca, cert_file: cert, key_file: key };
  const withTls = (tls: RedisConfig['tls'], port = tlsPort) => storeOf({ port, tls, timeout: ms(1_000) });
  const store = withTls(mine);
  for (const n of [1, 2]) await store.save(snapshotOf(n, LARGE));
  t.deepEqual(numbersOf(await store.load()), [2, 1]);
  t.deepEqual(numbersOf(await withTls({ ...mine, server_name: 'redis.test' }).load()), [2, 1]);
  const certificate = /has a certificate that is not accepted; look at ca_file and server_name/;
  await t.throwsAsync(withTls({}).load(), { message: certificate });
  await t.throwsAsync(withTls({ ...mine, server_name: 'other.test' }).load(), { message: certificate });
  await t.throwsAsync(withTls({ ca_file: ca }).load(), {
    message: /^Redis at 127\.0\.0\.1:\d+ wants a certificate of ours; add cert_file/,
  });
  await t.throwsAsync(withTls(false).load(), { message: /^Redis at 127\.0\.0\.1:\d+ (closed|does not answer)/ });
  await t.throwsAsync(withTls({ ca_file: join(root, 'none') }).load(), { message: /there is no such file/ });
});

test.serial('with Sentinel, a failover leads to the new master; a demoted one is never written to', async t => {
  const [master, replica] = await Promise.all([serverOf(t), serverOf(t)]);
  await replica.client().replicaof('127.0.0.1', master.port);
  const upToDate = async (server: RedisServer) =>
    (await server.client().info('replication')).includes('master_link_status:up');
  t.true(await eventually(() => upToDate(replica), 10_000));
  const sentinel = await serverOf(t, {
    sentinel: `sentinel monitor mymaster 127.0.0.1 ${master.port} 1\nsentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n`,
  });
  const dead = { host: '127.0.0.1', port: await freePort() };
  const sentinels = [dead, { host: '127.0.0.1', port: sentinel.port }];
  const store = storeOf({ sentinels, master: 'mymaster' });
  await store.save(snapshotOf(1, LARGE));
  t.true(await eventually(async () => (await replica.client().dbsize()) === 6, 20_000));
  const ask = sentinel.client();
  t.true(
    await eventually(
      async () => `${await ask.call('sentinel', 'replicas', 'mymaster')}`.includes(`${replica.port}`),
      20_000,
    ),
  );
  await master.kill();
  await t.throwsAsync(storeOf({ port: replica.port }).save(snapshotOf(2)), { message: /is a read-only replica/ });
  t.true(await eventually(() => succeeds(store.save(snapshotOf(3))), 30_000));
  t.deepEqual(numbersOf(await store.load()), [3, 1]);
  t.deepEqual(numbersOf(await storeOf({ port: replica.port }).load()), [3, 1]);
  await t.throwsAsync(storeOf({ sentinels, master: 'other' }).load(), {
    message: /^Redis "other" of Sentinel .* is not known to its Sentinels; correct master/,
  });
  await t.throwsAsync(storeOf({ sentinels: [dead], master: 'mymaster' }).load(), {
    message: /cannot be found: no Sentinel answers/,
  });
});

test.serial(
  'damaged, lost or forged chunks and pointers give a snapshot that is refused; set aside, the one before is loaded',
  async t => {
    const server = await serverOf(t);
    const store = storeOf({ port: server.port });
    const client = server.client();
    const pointer = 'tandem:v1:ftp-pair:current';
    const chunkOf = async (n: number) => `tandem:v1:ftp-pair:${await client.hget(pointer, 'id')}:${n}`;
    for (const n of [1, 2]) await store.save(snapshotOf(n, LARGE));

    await client.setrange(await chunkOf(2), 1_000, 'damage');
    t.deepEqual(numbersOf(await store.load()), ['damaged', 1]);
    await client.del(await chunkOf(2));
    t.deepEqual(numbersOf(await store.load()), ['damaged', 1]);
    await client.del(await chunkOf(4));
    t.deepEqual(numbersOf(await store.load()), ['truncated', 1]);
    const [damaged] = await store.load();
    t.regex(
      await store.setAside(damaged as Buffer, 'truncated'),
      /^tandem:v1:ftp-pair:damaged names it \([0-9a-f]{16}\)$/,
    );
    t.deepEqual(numbersOf(await store.load()), [1]);
    t.like(await client.hgetall('tandem:v1:ftp-pair:damaged'), { why: 'truncated', chunks: '5' });
    t.true((await client.pttl('tandem:v1:ftp-pair:damaged')) > 0);

    await store.save(snapshotOf(3, LARGE));
    await client.set(await chunkOf(4), Buffer.alloc(8_000_000));
    t.deepEqual(numbersOf(await store.load()), ['truncated', 1]);
    for (const [field, value] of [
      ['chunks', '99999999'],
      ['bytes', '-1'],
      ['id', '../../x'],
      ['bytes', 'many'],
    ] as const) {
      await client.hset(pointer, field, value);
      t.deepEqual(numbersOf(await store.load()), ['truncated', 1], `${field} ${value}`);
    }
    await store.save(snapshotOf(4));
    t.deepEqual(numbersOf(await store.load()).slice(0, 1), [4]);
    await client.del(pointer);
    await client.set(pointer, 'a text');
    await t.throwsAsync(store.load(), { message: /has something else under our keys; choose another key_prefix/ });
  },
);

test.serial('the last snapshot set aside leaves nothing', async t => {
  const server = await serverOf(t);
  const store = storeOf({ port: server.port });
  await store.save(snapshotOf(1));
  const [only] = await store.load();
  await store.setAside(only as Buffer, 'damaged');
  t.deepEqual(await store.load(), []);
});

test.serial('a name without an address, a second save at once: words', async t => {
  await t.throwsAsync(storeOf({ host: 'redis.invalid', timeout: ms(5_000) }).load(), {
    message: /^Redis at redis\.invalid:6379 (cannot be found|does not answer in time|cannot be used)/,
  });
  const store = storeOf({ port: await freePort() });
  const first = t.throwsAsync(store.save(snapshotOf(1)));
  await t.throwsAsync(store.save(snapshotOf(2)), { instanceOf: RangeError });
  await first;
  await store.close();
});
