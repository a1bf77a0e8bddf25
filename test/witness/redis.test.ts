// The witness with a real Redis behind it: two routers compete; Redis is killed, stopped, restarted empty or with an old copy, slow,
// refusing, full of others' keys, a replica, failed over. Every ask is answered in time, and no fault grants anything.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Epoch } from '../../src/units/epoch.ts';
import { eventually, freePort, type RedisServer, startRedis } from '../redis/redis-server.ts';
import { Asker, epoch, KEY, TIMEOUT_MS } from './asker.ts';
import { startSlowProxy } from './slow-proxy.ts';

const root = mkdtempSync(join(tmpdir(), 'tandem-witness-'));
test.after.always(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;
const freshDir = () => join(root, `${directories++}`);

/** What pulse adds to `timeout` before it gives up, and the machine's own lateness. */
const IN_TIME_MS = TIMEOUT_MS + 1_000;

async function serverOf(t: ExecutionContext, options: Partial<Parameters<typeof startRedis>[0]> = {}) {
  const server = await startRedis({ dir: freshDir(), ...options });
  t.teardown(() => server.kill());
  return server;
}

function pairOf(t: ExecutionContext, server: { port: number }, leaseMs = 1_000) {
  const both = ([1, 2] as const).map(nodeId => new Asker(t, { nodeId, redis: { port: server.port }, leaseMs }));
  return Promise.all(both.map(asker => asker.ready())) as Promise<[Asker, Asker]>;
}

/** The verdict, and that it came in time. */
async function inTime(t: ExecutionContext, asker: Asker, verb: Parameters<Asker['ask']>[0], of?: Epoch) {
  const began = performance.now();
  const answer = await asker.ask(verb, of);
  const tookMs = performance.now() - began;
  t.true(tookMs < IN_TIME_MS, `${verb} took ${tookMs} ms`);
  return answer;
}

test.serial('two that compete for a free lease: exactly one is granted, in every round', async t => {
  const [a, b] = await pairOf(t, await serverOf(t), 60_000);
  await a.ask('renew', epoch(1, 1));
  let counter = 1;
  const winners = new Set<number>();
  for (let round = 0; round < 40; round++) {
    await Promise.all([a.ask('release', epoch(counter, 1)), b.ask('release', epoch(counter, 2))]);
    counter += 1;
    const claims =
      round % 2
        ? [a.ask('claim', epoch(counter, 1)), b.ask('claim', epoch(counter, 2))]
        : [b.ask('claim', epoch(counter, 2)), a.ask('claim', epoch(counter, 1))];
    const verdicts = (await Promise.all(claims)).map(({ verdict, record }) => {
      if (verdict === 'granted') winners.add(record?.nodeId ?? 0);
      return verdict;
    });
    t.deepEqual(verdicts.sort(), ['granted', 'refused'], `round ${round}`);
  }
  t.log('winners', [...winners]);
});

test.serial(
  'renewals keep the other out; without them it is granted at the end of the lease, and the epoch goes on',
  async t => {
    const server = await serverOf(t);
    const [a, b] = await pairOf(t, server);
    t.is(await a.verdict('claim', epoch(5, 1)), 'empty', 'nobody is known yet');
    t.is(await a.verdict('found', epoch(5, 1)), 'granted');
    for (let i = 0; i < 8; i++) {
      t.is(await a.verdict('renew', epoch(5, 1)), 'granted');
      t.is(await b.verdict('claim', epoch(6, 2)), 'refused');
      await sleep(200);
    }
    t.is(await a.verdict('renew', epoch(5, 1)), 'granted');
    const grantedAt = performance.now();
    t.true(await eventually(async () => (await b.verdict('claim', epoch(6, 2))) === 'granted', 10_000));
    t.true(performance.now() - grantedAt > 900, 'not before the lease was over');
    t.like(await a.ask('renew', epoch(5, 1)), { verdict: 'stale', record: { nodeId: 2, epoch: epoch(6, 2) } });
    t.is(await a.verdict('claim', epoch(6, 1)), 'refused');
    await b.ask('release', epoch(6, 2));
    t.is(await a.verdict('claim', epoch(6, 1)), 'stale', 'not even now: epochs only grow');
    t.is(await a.verdict('claim', epoch(7, 1)), 'granted');
  },
);

test.serial(
  'Redis killed: asks fail at once with a sentence; restarted empty it knows nothing, and the owner registers anew',
  async t => {
    const server = await serverOf(t);
    const [a, b] = await pairOf(t, server);
    await a.ask('renew', epoch(5, 1));
    await server.kill();
    const lost = await a.until(({ problem }) => /does not run/.test(problem));
    t.regex(lost.problem, /^Redis at 127\.0\.0\.1:\d+ does not run, or not on this port: the connection was refused/);
    const began = performance.now();
    for (let i = 0; i < 20; i++) t.is(await a.verdict('renew', epoch(5, 1)), 'failed');
    t.true(performance.now() - began < (20 * TIMEOUT_MS) / 2, 'without a connection nothing is waited for');
    await serverOf(t, { port: server.port });
    await b.until(({ verdict }) => verdict === 'empty');
    t.is(await b.verdict('claim', epoch(6, 2)), 'empty', 'a claim is not granted by amnesia');
    await a.until(({ verdict }) => verdict !== 'failed');
    t.is(await a.verdict('renew', epoch(5, 1)), 'granted');
    t.is(await b.verdict('found', epoch(6, 2)), 'refused', 'the owner was there first');
  },
);

test.serial('Redis restarted with an old copy of the record: amnesia all the same', async t => {
  const dir = freshDir();
  const server = await serverOf(t, { dir });
  const [a, b] = await pairOf(t, server);
  await a.ask('renew', epoch(5, 1));
  await server.client().save();
  t.true(await eventually(async () => (await b.verdict('claim', epoch(9, 2))) === 'granted', 10_000));
  await server.kill();
  const again = await serverOf(t, { dir, port: server.port });
  t.is(await again.client().hget(KEY, 'counter'), '5', 'it has forgotten the last term');
  const seen = await a.until(({ verdict }) => verdict === 'empty');
  t.deepEqual(seen.record?.epoch, epoch(5, 1), 'what it has is shown as what it is');
  t.is(await a.verdict('claim', epoch(6, 1)), 'empty', 'the old owner gets nothing by the old copy');
  await b.until(({ verdict }) => verdict === 'empty');
  t.is(await b.verdict('renew', epoch(9, 2)), 'granted');
  t.is(await a.verdict('found', epoch(6, 1)), 'refused');
  t.is(await a.verdict('renew', epoch(5, 1)), 'stale');
});

test.serial('Redis stopped: asks fail in time, one after the other; when it goes on, so does the witness', async t => {
  const server = await serverOf(t);
  const [a, b] = await pairOf(t, server);
  await a.ask('renew', epoch(5, 1));
  server.signal('SIGSTOP');
  const problems = [];
  for (let i = 0; i < 6; i++) {
    const { verdict, problem } = await inTime(t, a, 'renew', epoch(5, 1));
    t.is(verdict, 'failed');
    problems.push(problem);
  }
  t.regex(problems[0] ?? '', /does not answer in time \(timeout 600ms\); is it overloaded, stopped or cut off\?$/);
  server.signal('SIGCONT');
  await a.until(({ verdict }) => verdict !== 'failed');
  await b.until(({ verdict }) => verdict !== 'failed');
  t.is(await a.verdict('renew', epoch(5, 1)), 'granted');
  t.is(await b.verdict('claim', epoch(6, 2)), 'refused');
  const clients = (await server.client().info('clients')).match(/connected_clients:(\d+)/)?.[1];
  t.true(Number(clients) < 10, `${clients} connections: those that were given up are gone`);
});

test.serial('a slow Redis: late answers are failed, and never taken for a later ask', async t => {
  const server = await serverOf(t);
  const proxy = await startSlowProxy(server.port);
  t.teardown(() => proxy.close());
  const asker = await new Asker(t, { redis: { port: proxy.port } }).ready();
  t.is(await asker.verdict('renew', epoch(5, 1)), 'granted');
  proxy.delayMs = TIMEOUT_MS / 3;
  t.is(await asker.verdict('renew', epoch(5, 1)), 'granted', 'slow, but in time');
  proxy.delayMs = 3 * TIMEOUT_MS;
  for (let i = 0; i < 4; i++) t.is((await inTime(t, asker, 'look')).verdict, 'failed');
  proxy.delayMs = 0;
  await asker.until(({ verdict }) => verdict !== 'failed');
  const seqs = asker.answers.map(({ seq }) => seq);
  t.deepEqual(
    seqs,
    [...new Set(seqs)].sort((x, y) => x - y),
    'one answer to each ask, in order',
  );
  await server.client().call('client', 'pause', `${2 * TIMEOUT_MS}`, 'all');
  t.is((await inTime(t, asker, 'look')).verdict, 'failed');
  t.not((await asker.until(({ verdict }) => verdict !== 'failed')).verdict, 'failed');
});

test.serial(
  'nothing listens, a wrong password, a missing database, a missing file: each failed, with what to do',
  async t => {
    const password = join(root, 'password');
    writeFileSync(password, 'wrong\n', { mode: 0o600 });
    const server = await serverOf(t, { args: ['--requirepass', 'right'] });
    const open = await serverOf(t);
    const cases = [
      [{ port: await freePort() }, /does not run, or not on this port/],
      [
        { port: server.port, password_file: password },
        /refuses the user or the password; look at username, password_file/,
      ],
      [{ port: server.port }, /refuses the user or the password/],
      [{ port: open.port, database: 99 }, /does not have this database; correct database/],
      [{ port: open.port, password_file: '/nonexistent/password' }, /there is no such file; make it with mode 0600/],
    ] as const;
    const askers: Asker[] = [];
    for (const [redis, sentence] of cases) {
      const asker = new Asker(t, { redis });
      askers.push(asker);
      const answer = await asker.until(({ problem }) => sentence.test(problem));
      t.regex(answer.problem, sentence);
      t.is((await inTime(t, asker, 'claim', epoch(9, 1))).verdict, 'failed');
    }
    writeFileSync(password, 'right\n', { mode: 0o600 });
    // The one that was refused reads the file anew: no restart is needed.
    const mended = askers[1] as Asker;
    t.is((await mended.until(({ verdict }) => verdict !== 'failed')).verdict, 'empty');
  },
);

test.serial(
  'an ACL user with the rights that the docs name is enough; without one of them the sentence names all',
  async t => {
    const server = await serverOf(t);
    const rights = ['~tandem:*:witness', '+eval', '+info', '+time', '+hmget', '+hset'];
    await server.client().call('acl', 'setuser', 'tandem', 'on', '>secret', ...rights);
    await server.client().call('acl', 'setuser', 'poor', 'on', '>secret', ...rights.slice(0, -1));
    const password = join(root, 'acl');
    writeFileSync(password, 'secret', { mode: 0o600 });
    const as = (username: string) => new Asker(t, { redis: { port: server.port, username, password_file: password } });
    const asker = await as('tandem').ready();
    t.is(await asker.verdict('renew', epoch(5, 1)), 'granted');
    t.regex((await (await as('poor').ready()).ask('renew', epoch(6, 1))).problem, /give it: ~PREFIX:\*:witness \+eval/);
  },
);

test.serial('a Redis that evicts keys, and a replica, are no witness: failed, and why', async t => {
  const evicting = await serverOf(t, { args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'] });
  const asker = new Asker(t, { redis: { port: evicting.port } });
  const told = await asker.until(({ problem }) => /evict/.test(problem));
  t.regex(told.problem, /may evict the record of the witness \(maxmemory-policy allkeys-lru\); use noeviction/);
  await evicting.client().config('SET', 'maxmemory-policy', 'volatile-lru');
  t.is((await asker.until(({ verdict }) => verdict !== 'failed')).verdict, 'empty', 'mended without a restart of ours');
  const replica = await serverOf(t);
  await replica.client().replicaof('127.0.0.1', evicting.port);
  const other = new Asker(t, { redis: { port: replica.port } });
  t.regex((await other.until(({ problem }) => /replica/.test(problem))).problem, /is a replica, which may know less/);
});

test.serial('with Sentinel, a failover is amnesia: the owner registers anew, the other is not granted', async t => {
  const [master, replica] = await Promise.all([serverOf(t), serverOf(t)]);
  await replica.client().replicaof('127.0.0.1', master.port);
  const upToDate = async (server: RedisServer) =>
    (await server.client().info('replication')).includes('master_link_status:up');
  t.true(await eventually(() => upToDate(replica), 20_000));
  const sentinel = await serverOf(t, {
    sentinel: `sentinel monitor mymaster 127.0.0.1 ${master.port} 1\nsentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n`,
  });
  const dead = { host: '127.0.0.1', port: await freePort() };
  const redis = { sentinels: [dead, { host: '127.0.0.1', port: sentinel.port }], master: 'mymaster' };
  const both = ([1, 2] as const).map(nodeId => new Asker(t, { nodeId, redis, leaseMs: 60_000 }));
  const [a, b] = (await Promise.all(both.map(asker => asker.ready()))) as [Asker, Asker];
  t.is(await a.verdict('renew', epoch(5, 1)), 'granted');
  const ask = sentinel.client();
  t.true(
    await eventually(
      async () => `${await ask.call('sentinel', 'replicas', 'mymaster')}`.includes(`${replica.port}`),
      20_000,
    ),
  );
  t.true(await eventually(async () => (await replica.client().hget(KEY, 'counter')) === '5', 10_000));
  await master.kill();
  const seen = await b.until(({ verdict }) => verdict === 'empty', 30_000);
  t.deepEqual(
    [seen.verdict, seen.record?.epoch],
    ['empty', epoch(5, 1)],
    'the new master may have missed the last words',
  );
  t.is(await b.verdict('claim', epoch(6, 2)), 'empty');
  await a.until(({ verdict }) => verdict !== 'failed');
  t.is(await a.verdict('renew', epoch(5, 1)), 'granted');
  t.is(await b.verdict('found', epoch(6, 2)), 'refused');
});
