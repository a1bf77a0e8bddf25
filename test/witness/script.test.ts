// The script in a real Redis does what the rules in witness.ts say, in every case of them; what is foreign is refused by name.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Redis } from 'ioredis';
import { readReply, scriptArguments, WITNESS_SCRIPT, witnessKey } from '../../src/witness/script.ts';
import { type Asked, judge, recordOf, type StoredRecord, WITNESS_VERBS } from '../../src/witness/witness.ts';
import { type RedisServer, startRedis } from '../redis/redis-server.ts';
import { epoch } from './asker.ts';

const directory = mkdtempSync(join(tmpdir(), 'tandem-script-'));
const KEY = witnessKey('tandem', 'p');
let server: RedisServer;
let client: Redis;
let run = '';

test.before(async () => {
  server = await startRedis({ dir: directory });
  client = server.client();
  run = /run_id:(\w+)/.exec(await client.info('server'))?.[1] ?? '';
});
test.after.always(async () => {
  await server.kill();
  rmSync(directory, { recursive: true, force: true });
});

const HOUR_MS = 3_600_000;
const serverMs = async () => {
  const [seconds = '0', micros = '0'] = (await client.time()) as unknown as string[];
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
};

async function put(stored: StoredRecord | undefined): Promise<void> {
  await client.del(KEY);
  if (!stored) return;
  const { nodeId, epoch: of, untilMs, sinceMs, leaseMs, runId } = stored;
  await client.hset(KEY, {
    ...{ node: nodeId, counter: of.counter, term: of.node, until: untilMs },
    ...{ since: sinceMs, lease: leaseMs, run: runId },
  });
}

async function get(): Promise<StoredRecord | undefined> {
  const found = await client.hgetall(KEY);
  if (found.node === undefined) return undefined;
  return {
    nodeId: Number(found.node),
    epoch: epoch(Number(found.counter), Number(found.term)),
    untilMs: Number(found.until),
    sinceMs: Number(found.since),
    leaseMs: Number(found.lease),
    runId: found.run ?? '',
  };
}

const evaluate = (asked: Asked) => client.eval(WITNESS_SCRIPT, 1, KEY, ...scriptArguments(asked, asked));

/** Every kind of record, seen from `nowMs`: missing; whose, until when, since when, of which run. */
function records(nowMs: number): (StoredRecord | undefined)[] {
  const found: (StoredRecord | undefined)[] = [undefined];
  for (const nodeId of [1, 2]) {
    for (const untilMs of [0, nowMs - HOUR_MS, nowMs + 2 * HOUR_MS]) {
      for (const sinceMs of [nowMs - HOUR_MS, nowMs + HOUR_MS]) {
        for (const runId of [run, 'another']) {
          found.push({ nodeId, epoch: epoch(500_000_000_005, nodeId), untilMs, sinceMs, leaseMs: 5_000, runId });
        }
      }
    }
  }
  return found;
}

const timeless = (stored: StoredRecord | undefined) => stored && { ...stored, untilMs: 0, sinceMs: 0 };
/** Instants of the same moment: the server's clock went on a little between its words. */
const near = (a: number, b: number) => a === b || Math.abs(a - b) < 10_000;

test.serial('the script judges and writes as the rules do: each verb, epoch, owner, lease, clock and run', async t => {
  let cases = 0;
  for (const verb of WITNESS_VERBS) {
    for (const of of [
      epoch(500_000_000_004, 2),
      epoch(500_000_000_005, 1),
      epoch(500_000_000_005, 2),
      epoch(500_000_000_006, 1),
    ]) {
      for (const stored of records(await serverMs())) {
        const asked: Asked = { verb, nodeId: of.node, epoch: of, leaseMs: 60_000 };
        const what = JSON.stringify({ asked, stored });
        await put(stored);
        const clock = { nowMs: await serverMs(), runId: run };
        const wanted = judge(stored, asked, clock);
        const answer = readReply(7, await evaluate(asked), 'Redis');
        const [after, before] = [await get(), wanted.stored];
        const record = before && recordOf(before, clock);
        t.is(answer.verdict, wanted.verdict, what);
        t.like(answer, { seq: 7, problem: '' });
        t.is(answer.record?.nodeId, record?.nodeId, what);
        t.deepEqual(answer.record?.epoch, record?.epoch, what);
        t.true(near(answer.record?.remainingMs ?? 0, record?.remainingMs ?? 0), what);
        t.deepEqual(timeless(after), timeless(before), what);
        t.true(
          near(after?.untilMs ?? 0, before?.untilMs ?? 0) && near(after?.sinceMs ?? 0, before?.sinceMs ?? 0),
          what,
        );
        cases += 1;
      }
    }
  }
  t.is(cases, 5 * 4 * 25);
});

test.serial('the record never expires, and look and refused claims write nothing', async t => {
  await put(undefined);
  await evaluate({ verb: 'renew', nodeId: 1, epoch: epoch(5, 1), leaseMs: 60_000 });
  t.is(await client.pttl(KEY), -1);
  const changes = async () => /rdb_changes_since_last_save:(\d+)/.exec(await client.info('persistence'))?.[1];
  const before = await changes();
  await evaluate({ verb: 'look', nodeId: 2, epoch: epoch(0, 0), leaseMs: 60_000 });
  t.deepEqual(
    ((await evaluate({ verb: 'claim', nodeId: 2, epoch: epoch(9, 2), leaseMs: 60_000 })) as string[])[0],
    'refused',
  );
  t.is(await changes(), before);
});

const foreign: readonly (readonly [what: string, values: Record<string, string>])[] = [
  ['a node that is no router of the pair', { node: '3' }],
  ['a negative time', { until: '-5' }],
  ['a number that is none', { counter: '0x10' }],
  ['more digits than a double holds', { counter: '9'.repeat(400) }],
  ['infinity', { lease: 'inf' }],
  ['a run with blanks and a newline', { run: 'a b\nc' }],
  ['an empty field', { since: '' }],
];

for (const [what, values] of foreign) {
  test.serial(`foreign values under the key are refused by name, whatever is asked: ${what}`, async t => {
    await put({ nodeId: 1, epoch: epoch(5, 1), untilMs: 1, sinceMs: 1, leaseMs: 1, runId: run });
    await client.hset(KEY, values);
    const before = await client.hgetall(KEY);
    for (const verb of WITNESS_VERBS) {
      const answer = readReply(
        1,
        await evaluate({ verb, nodeId: 2, epoch: epoch(9, 2), leaseMs: 1_000 }),
        'Redis at x:1',
      );
      t.is(answer.verdict, 'failed');
      t.regex(
        answer.problem,
        /^Redis at x:1 has something else under the witness' key \(at "\w+"\); delete the key, or/,
      );
    }
    t.deepEqual(await client.hgetall(KEY), before, 'and stay');
  });
}

test.serial('half a record, and a key of another type', async t => {
  await client.del(KEY);
  await client.hset(KEY, { node: '1', counter: '5' });
  t.is(
    readReply(1, await evaluate({ verb: 'claim', nodeId: 2, epoch: epoch(9, 2), leaseMs: 1 }), 'R').verdict,
    'failed',
  );
  await client.del(KEY);
  await client.set(KEY, 'text');
  await t.throwsAsync(evaluate({ verb: 'look', nodeId: 2, epoch: epoch(9, 2), leaseMs: 1 }), { message: /WRONGTYPE/ });
});

const HOSTILE: readonly unknown[] = [
  undefined,
  null,
  'granted',
  1,
  [],
  ['failed'],
  ['granted'],
  ['seen'],
  ['toString'],
  ['__proto__', '1', '5', '1', '10'],
  ['granted', '1', '5', '1'],
  ['granted', '3', '5', '1', '10'],
  ['granted', '1', '-5', '1', '10'],
  ['granted', '1', '5', '1', '1e3'],
  ['granted', '1', '5', '1', '10', 'more'],
  ['granted', 1, 5, 1, 10],
  [['granted'], '1', '5', '1', '10'],
  ['x'.repeat(100_000)],
  Array.from({ length: 100_000 }, () => 'granted'),
];

test('a reply that no witness gives is failed, with a short sentence', t => {
  for (const reply of HOSTILE) {
    const answer = readReply(3, reply, 'Redis at x:1');
    t.like(answer, { seq: 3, verdict: 'failed', record: undefined }, JSON.stringify(reply)?.slice(0, 80));
    t.regex(answer.problem, /^Redis at x:1 answers what no witness says \(.{0,80}\); is it a Redis\?$/);
  }
});
