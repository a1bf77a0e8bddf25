// The data plane beside others, with real daemons and the machine's own nftables: what they flush is back within a second, on the
// owner and on the standby. Needs root and `scripts/setup`.
import test, { type ExecutionContext } from 'ava';
import { ROUTERS, type Router } from '../lab/topology.ts';
import { eventsOf, startDirector, statusOf, tableOf } from './plane.netns.ts';
import { buildRouters, type PulseProcess, type Routers } from './routers.ts';
import { sleep } from './vipd.netns.ts';

const GATE = 'netdev tandem_gate';
let built = 0;

type Directors = Readonly<Record<Router, PulseProcess>>;

async function withDirectors(
  t: ExecutionContext,
  body: (routers: Routers, directors: Directors) => Promise<void>,
): Promise<void> {
  t.timeout(120_000);
  built += 1;
  const routers = await buildRouters({ prefix: `tp${process.pid}-p${built}-` });
  let directors: Directors | undefined;
  try {
    for (const router of ROUTERS) routers.start(router);
    await routers.settle('r1');
    directors = { r1: startDirector(routers, 'r1'), r2: startDirector(routers, 'r2') };
    for (const router of ROUTERS) {
      await routers.until(`rules on ${router}`, 20_000, async () => /guard_in/.test(await tableOf(routers, router)));
      const audited = async () => (await statusOf(routers, router)).kernel.lastAuditAt !== null;
      await routers.until(`${router} has audited`, 20_000, audited);
      await routers.until(`${router} watches`, 20_000, async () => watches(routers, router));
    }
    await body(routers, directors);
  } finally {
    if (!t.passed)
      for (const name of ROUTERS)
        t.log(
          name,
          directors?.[name].log
            .slice(-16)
            .map(
              ({ ts, code, target, reason, problem }) =>
                `${ts} ${code} ${target ?? ''} ${reason ?? ''} ${problem ?? ''}`,
            ),
        );
    await routers.destroy();
  }
}

/** The child of the director listens to nftables. */
async function watches(routers: Routers, router: Router): Promise<boolean> {
  const { stdout } = await routers.topology.exec(router, 'cat', ['/proc/self/net/netlink']);
  // Protocol 12 is netfilter's; nftables' events are its group 7.
  return /^[0-9a-f]+ +12 +\d+ +0*[0-9a-f]*[4-7c-f][0-9a-f] /m.test(stdout);
}

for (const router of ROUTERS) {
  const standing = router === 'r1' ? 'owner' : 'standby';
  test.serial(`\`nft flush ruleset\` on the ${standing}: rules and packet lease are back within a second`, async t => {
    await withDirectors(t, async (routers, directors) => {
      const before = { plane: await tableOf(routers, router), gate: await tableOf(routers, router, GATE) };
      t.regex(before.gate, /gate_c0/);
      for (let round = 1; round <= 3; round += 1) {
        const at = performance.now();
        await routers.topology.exec(router, 'nft', ['flush', 'ruleset']);
        await routers.until('both tables are back', 1_000, async () => {
          const [plane, gate] = [await tableOf(routers, router), await tableOf(routers, router, GATE)];
          return plane === before.plane && /gate_c0/.test(gate) && /gate_s0/.test(gate);
        });
        t.log(`${standing}, round ${round}: back after ${(performance.now() - at).toFixed(0)} ms`);
        await sleep(1_500);
      }
      // One that falls into a running audit may be taken for a change of that audit's own.
      for (let more = 0; more < 5 && eventsOf(directors[router], 'DRIFT_REPEATS').length === 0; more += 1) {
        await routers.topology.exec(router, 'nft', ['flush', 'ruleset']);
        await sleep(1_500);
      }
      const repairs = eventsOf(directors[router], 'DRIFT_REPAIRED');
      t.true(repairs.some(event => event.target === 'nft'));
      t.true(eventsOf(directors[router], 'DRIFT_REPEATS').length > 0, 'the third time is the alarm');
      t.true((await statusOf(routers, router)).problems.some(problem => /keeps changing/.test(problem)));
      t.is((await routers.snapshot('r1'))?.role, 'active');
    });
  });
}

test.serial('a rival that flushes all the time is undone later and later, and not for ever at its pace', async t => {
  await withDirectors(t, async (routers, directors) => {
    const until = performance.now() + 6_000;
    let flushes = 0;
    while (performance.now() < until) {
      await routers.topology.exec('r2', 'nft', ['flush', 'ruleset']);
      flushes += 1;
      await sleep(100);
    }
    // At 0, 0, 0, 1, 3 and 7 s, and where an audit looked just then.
    const repairs = eventsOf(directors.r2, 'DRIFT_REPEATS');
    const last = repairs.at(-1);
    t.log(`${flushes} flushes, ${last?.repairs} repairs in a row`);
    t.true(Number(last?.repairs) <= 7, `${last?.repairs} repairs`);
    t.true(Number(last?.pauseMs) >= 2_000);
  });
});

test.serial('others may change their own tables as they like: no audit comes of it', async t => {
  await withDirectors(t, async (routers, directors) => {
    await sleep(1_500);
    const before = directors.r1.log.length;
    for (let i = 0; i < 20; i += 1) {
      await routers.topology.exec('r1', 'nft', ['add', 'table', 'inet', `other${i}`]);
      await routers.topology.exec('r1', 'nft', ['delete', 'table', 'inet', `other${i}`]);
    }
    await sleep(1_000);
    const codes = directors.r1.log.slice(before).map(line => line.code);
    t.false(codes.includes('DRIFT_REPAIRED'), String(codes));
    t.false(codes.includes('KERNEL_CHANGED'), String(codes));
  });
});
