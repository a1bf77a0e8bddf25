// Two real pulses, a real Redis as their witness, and a network that falls apart: the routers cannot hear each other by any way, and
// still only one of them serves. Needs root and `scripts/setup`.
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { EMULATION_TIMES } from '../lab/pair/config.ts';
import { ROUTERS, type Router, STORE_ADDRESS, wallNow } from '../lab/pair/topology.ts';
import { buildRouters, type Routers } from './io/routers.ts';

const WITNESS = `witness:
  redis: { host: ${STORE_ADDRESS} }
  lease: 1500ms
  timeout: 150ms
`;

/** Slow times and the unit's class: a machine that stands still for a moment must not be taken for the witness' doing. */
const PATIENT = { times: EMULATION_TIMES, scheduling: ['chrt', '--rr', '50'] };

const test = anyTest as TestFn<{ routers: Routers; redis: ChildProcess }>;
let built = 0;

test.beforeEach(async t => {
  built += 1;
  const routers = await buildRouters({
    prefix: `tp${process.pid}-w${built}-`,
    store: true,
    more: WITNESS,
    ...PATIENT,
  });
  const redis = startRedis(routers);
  t.context = { routers, redis };
  await routers.until('Redis answers', 10_000, () => answers(routers));
  routers.start('r1');
  routers.start('r2');
  await routers.settle('r1');
  await routers.until('both have the witness', 10_000, async () => {
    const both = await Promise.all(ROUTERS.map(router => routers.snapshot(router)));
    return both.every(snapshot => snapshot?.witness?.good === true);
  });
});

test.afterEach.always(async t => {
  if (!t.passed)
    for (const [name, pulse] of Object.entries(t.context.routers?.pulses ?? {})) t.log(name, pulse?.log.slice(-12));
  await t.context.routers?.destroy();
});

function startRedis(routers: Routers): ChildProcess {
  const dir = join(routers.directory, 'redis');
  mkdirSync(dir, { recursive: true });
  const args = ['--bind', STORE_ADDRESS, '--port', '6379', '--save', '', '--appendonly', 'yes', '--dir', dir];
  return routers.topology.start('store', 'redis-server', [...args, '--protected-mode', 'no'], { stdio: 'ignore' });
}

async function answers({ topology }: Routers): Promise<boolean> {
  const asked = topology.exec('store', 'redis-cli', ['-h', STORE_ADDRESS, 'ping'], { timeoutMs: 1_000 });
  return await asked.then(
    ({ stdout }) => stdout.includes('PONG'),
    () => false,
  );
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));
const port = (router: Router, name: string): string => `${router}-${name}`;

/** Isolated ports of a switch do not reach each other, only everybody else. */
async function part({ topology }: Routers): Promise<void> {
  const commands = ROUTERS.flatMap(router =>
    ['c0', 's0', 'x0'].map(name => `link set ${port(router, name)} type bridge_slave isolated on\n`),
  );
  await topology.exec('lan', 'ip', ['-batch', '-'], { input: commands.join('') });
}

function told(routers: Routers, router: Router, code: string): boolean {
  return routers.pulses[router]?.log.some(line => line.code === code) === true;
}

test.serial('a full partition: the owner renews with the witness and stays, the standby is refused', async t => {
  const { routers } = t.context;
  const at = wallNow();
  await part(routers);
  await pause(5_000);
  t.deepEqual(routers.holders(), ['r1']);
  t.is(routers.heldAt('r2', at), undefined);
  t.true(told(routers, 'r2', 'WITNESS_REFUSES'));
  // The owner then dies for real: its lease with the witness ends, and the standby is granted the addresses.
  const cut = await routers.topology.cutPower('r1');
  await routers.until('r2 serves', 5_000, async () => (await routers.snapshot('r2'))?.serving === true);
  t.regex((await routers.snapshot('r2'))?.reason ?? '', /the witness grants it/);
  t.log(`VIP on r2 ${((routers.heldAt('r2', cut.at) ?? NaN) - cut.at).toFixed(0)} ms after the power cut`);
});

test.serial(
  'the owner is cut off from peer and witness: it lets go before the standby is granted the addresses',
  async t => {
    const { routers } = t.context;
    const at = wallNow();
    await part(routers);
    await routers.topology.exec('lan', 'ip', ['link', 'set', port('r1', 'x0'), 'down']);
    await routers.until('r2 serves', 5_000, async () => (await routers.snapshot('r2'))?.serving === true);
    await pause(500);
    t.deepEqual(routers.holders(), ['r2']);
    t.is(routers.overlapMs(), 0);
    t.true(told(routers, 'r1', 'CUT_OFF'));
    const [gone, taken] = [routers.goneAt('r1', at) ?? NaN, routers.heldAt('r2', at) ?? NaN];
    t.log(`r1 let go ${(gone - at).toFixed(0)} ms after the cut, r2 took over ${(taken - gone).toFixed(0)} ms later`);
  },
);

test.serial('a witness that is stopped, killed and started again moves nothing', async t => {
  const { routers, redis } = t.context;
  const at = wallNow();
  redis.kill('SIGSTOP');
  await routers.until('the loss is told', 10_000, () => told(routers, 'r1', 'WITNESS_LOST'));
  await pause(2_000);
  redis.kill('SIGKILL');
  await pause(1_000);
  startRedis(routers);
  await routers.until('it is back', 15_000, async () => (await routers.snapshot('r1'))?.witness?.good === true);
  await pause(1_000);
  t.deepEqual(routers.holders(), ['r1']);
  t.is(routers.goneAt('r1', at), undefined);
  t.is(routers.heldAt('r2', at), undefined);
});
