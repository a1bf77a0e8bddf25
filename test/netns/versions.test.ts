// This version beside 0.3.0, in both orders, and each started where the other was killed: the real daemons of both, the older one built
// from its commit, in network namespaces. Needs root, `scripts/setup` and a whole clone.
import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { processesIn } from '../lab/pair/netns.ts';
import { ROUTERS, type Router, wallNow } from '../lab/pair/topology.ts';
import { buildOld, COMMIT_OF_030, type OldBuild } from './io/old-build.ts';
import { directorConfig, eventsOf, startDirector, statusOf, tableOf } from './io/plane.ts';
import { type Build, buildRouters, CLI, groupPids, OURS, type Routers, signalAll } from './io/routers.ts';

interface Shared {
  readonly old: OldBuild;
}
const test = anyTest as TestFn<Shared>;

/** The default times. */
const [LEASE_MS, DEAD_MS, INTERVAL_MS] = [220, 300, 100];
/** The longest that a kernel keeps an address whose vipd does not renew it. */
const KERNEL_KEEPS_MS = 2_500;
/** A loaded machine is late. */
const SPARE_MS = 400;
let built = 0;

interface Act {
  readonly t: ExecutionContext<Shared>;
  readonly routers: Routers;
  readonly old: Build;
}

test.before(async t => {
  t.timeout(60_000);
  Object.assign(t.context as object, { old: await buildOld(COMMIT_OF_030) });
});

test.after.always(t => (t.context as Partial<Shared>).old?.remove());

function versionsTest(title: string, older: readonly Router[], body: (act: Act) => Promise<void>): void {
  test.serial(title, async t => {
    t.timeout(60_000);
    built += 1;
    const { old } = t.context;
    const builds = Object.fromEntries(older.map(router => [router, old]));
    const prefix = `tp${process.pid}-v${built}-`;
    const routers = await buildRouters({ prefix, builds, scheduling: ['chrt', '--rr', '50'] });
    try {
      routers.start('r1');
      routers.start('r2');
      await routers.settle('r1');
      for (const router of ROUTERS) {
        // 0.3.0 does not tell what it was started with.
        const digest = (await routers.snapshot(router))?.runningDigest;
        t.is(digest === null, older.includes(router), `${router} runs the version that it should`);
      }
      await body({ t, routers, old });
    } catch (error) {
      for (const [name, pulse] of Object.entries(routers.pulses)) t.log(name, pulse?.log.slice(-14));
      throw error;
    } finally {
      await routers.destroy();
    }
  });
}

/** Pids of a router's pulse, without its vipd. */
async function pulsePids(routers: Routers, router: Router): Promise<number[]> {
  const vipd = await routers.vipdPid(router);
  return (await groupPids(routers, router)).filter(pid => pid !== vipd);
}

async function activeIs({ routers }: Act, router: Router, within: number): Promise<void> {
  await routers.until(`${router} active`, within, async () => {
    const snapshot = await routers.snapshot(router);
    return snapshot?.role === 'active' && snapshot.serving;
  });
}

function reasonOf({ routers }: Act, router: Router): string {
  const last = routers.pulses[router]?.log.findLast(line => line.code === 'ROLE_CHANGED' && line.to === 'active');
  return String(last?.reason ?? 'none');
}

async function handOver(act: Act, from: Router, to: Router): Promise<void> {
  const { t, routers } = act;
  const at = wallNow();
  const reply = await routers.command(from, { command: 'handover', cold: false });
  t.true(reply.ok, reply.message);
  await routers.settle(to);
  t.deepEqual(routers.holders(), [to]);
  const gap = (routers.heldAt(to, at) ?? Infinity) - (routers.goneAt(from, at) ?? -Infinity);
  t.true(gap <= 0, `make before break: ${to} had the VIP ${gap} ms after ${from} let go`);
  t.true(routers.overlapMs() <= LEASE_MS, `overlap ${routers.overlapMs()} ms is bounded by the lease`);
}

/** Counts heartbeats and wills that come in, by the version byte behind UDP header and magic. */
const COUNT_VERSIONS = `table inet versions {
  chain input {
    type filter hook input priority -400
    udp dport 694 @th,96,8 1 counter comment "version 1"
    udp dport 694 @th,96,8 2 counter comment "version 2"
  }
}
`;

/** In which versions each router is spoken to within a while. */
async function spoken({ routers }: Act): Promise<Record<Router, string[]>> {
  const heard: Record<Router, string[]> = { r1: [], r2: [] };
  const nft = (router: Router, args: readonly string[], input = '') =>
    routers.topology.exec(router, 'nft', args, { input });
  for (const router of ROUTERS) await nft(router, ['-f', '-'], COUNT_VERSIONS);
  await sleep(5 * INTERVAL_MS);
  for (const router of ROUTERS) {
    const { stdout } = await nft(router, ['list', 'table', 'inet', 'versions']);
    heard[router] = [...stdout.matchAll(/counter packets [1-9]\d* bytes \d+ comment "([^"]+)"/g)].map(
      match => match[1] as string,
    );
    await nft(router, ['delete', 'table', 'inet', 'versions']);
  }
  return heard;
}

/** SIGTERM, then the same router in another version, with the run and state directories as they were left. */
async function replace({ t, routers }: Act, router: Router, build: Build): Promise<void> {
  signalAll(await pulsePids(routers, router), 'SIGTERM');
  t.is(await routers.pulses[router]?.exited, 0);
  routers.start(router, router, build);
}

/** What both say of datagrams that they could not read. */
async function nothingRefused({ t, routers }: Act): Promise<void> {
  for (const router of ROUTERS) {
    const counters = (await routers.snapshot(router))?.counters ?? {};
    t.deepEqual(
      Object.entries(counters).filter(([name]) => name.startsWith('refused_')),
      [],
    );
  }
}

for (const [title, older] of [
  ['0.3.0 on r1, this on r2', 'r1'],
  ['this on r1, 0.3.0 on r2', 'r2'],
] as const) {
  versionsTest(`${title}: handed over there and back, killed, power lost`, [older], async act => {
    const { t, routers } = act;
    await handOver(act, 'r1', 'r2');
    await handOver(act, 'r2', 'r1');
    await nothingRefused(act);
    t.deepEqual(await spoken(act), { r1: ['version 1'], r2: ['version 1'] });

    const at = wallNow();
    signalAll(await pulsePids(routers, 'r1'), 'SIGKILL');
    await activeIs(act, 'r2', 5_000);
    const gap = (routers.heldAt('r2', at) ?? Infinity) - (routers.goneAt('r1', at) ?? -Infinity);
    t.log(`SIGKILL of pulse: VIP on r2 ${gap.toFixed(0)} ms after it left r1 (${reasonOf(act, 'r2')})`);
    t.deepEqual(routers.holders(), ['r2']);
    t.true(routers.overlapMs() <= LEASE_MS);
    t.true(gap >= 0, 'never both');
    // The will of 0.3.0 comes from a port of its own, and this version's socket is connected to the heartbeat's.
    if (older === 'r1') t.regex(reasonOf(act, 'r2'), /silence/);
    else t.regex(reasonOf(act, 'r2'), /last will/);
    t.true(gap < (older === 'r1' ? DEAD_MS : INTERVAL_MS) + SPARE_MS, `${gap} ms`);

    routers.start('r1');
    await routers.settle('r2');
    t.true(routers.overlapMs() <= LEASE_MS);
    const cut = await routers.topology.cutPower('r2');
    await activeIs(act, 'r1', 5_000);
    const after = (routers.heldAt('r1', cut.at) ?? Infinity) - cut.at;
    t.log(`power loss: VIP on r1 ${after.toFixed(0)} ms after the cut`);
    t.true(after >= DEAD_MS - INTERVAL_MS - 20 && after < DEAD_MS + SPARE_MS, `${after} ms`);
    t.regex(reasonOf(act, 'r1'), /silence/);
  });
}

for (const [title, before, after] of [
  ['a pair of 0.3.0 becomes one of this version', 'old', 'ours'],
  ['a pair of this version goes back to 0.3.0', 'ours', 'old'],
] as const) {
  versionsTest(`${title}, router after router`, before === 'old' ? ['r1', 'r2'] : [], async act => {
    const { t, routers, old } = act;
    const build = after === 'old' ? old : OURS;
    const at = wallNow();
    const spokenBy = (version: number) => ({ r1: [`version ${version}`], r2: [`version ${version}`] });
    t.deepEqual(await spoken(act), spokenBy(before === 'old' ? 1 : 2));
    await replace(act, 'r2', build);
    await routers.settle('r1');
    t.deepEqual(await spoken(act), spokenBy(1), 'what both read');
    t.is(routers.goneAt('r1', at), undefined, 'the standby goes first: nothing moves');
    // Active: it hands over by itself as it stops.
    await replace(act, 'r1', build);
    await routers.settle('r2');
    t.deepEqual(routers.holders(), ['r2']);
    const gap = (routers.heldAt('r2', at) ?? Infinity) - (routers.goneAt('r1', at) ?? -Infinity);
    t.true(gap <= 0, `r2 had the VIP ${gap} ms after r1 let go`);
    t.true(routers.overlapMs() <= LEASE_MS, `overlap ${routers.overlapMs()} ms`);
    t.deepEqual(await spoken(act), spokenBy(after === 'old' ? 1 : 2));
    await nothingRefused(act);
  });

  versionsTest(
    `${title}, killed while it is alone: the VIP stays in the kernel and is adopted, there and back`,
    before === 'old' ? ['r1'] : ['r2'],
    async act => {
      const { t, routers, old } = act;
      const [now, next] = before === 'old' ? [old, OURS] : [OURS, old];
      await routers.topology.cutPower('r2');
      const at = wallNow();
      await killedAlone(act, next, await pulsePids(routers, 'r1'));
      await killedAlone(act, now, await groupPids(routers, 'r1'));
      await sleep(1_500);
      t.is(routers.goneAt('r1', at), undefined, 'the VIP never left');
      t.is((await routers.snapshot('r1'))?.role, 'active');
    },
  );
}

/** Stands for systemctl: `restart` ends the pulse of 0.3.0 and starts this version's, as systemd does. */
async function systemctlFor(
  act: Act,
  router: Router,
): Promise<{ readonly bin: string; readonly ended: Promise<void> }> {
  const bin = join(act.routers.directory, router, 'bin');
  const file = join(bin, 'systemctl');
  await mkdir(bin, { recursive: true });
  const wait = `touch ${file}.asked; while [ ! -e ${file}.done ]; do sleep 0.05; done`;
  await writeFile(file, `#!/bin/sh\n[ "$1" = restart ] || exit 0\n${wait}\n`, { mode: 0o755 });
  const restarted = async () => {
    await act.routers.until(`${router} is restarted`, 30_000, () => existsSync(`${file}.asked`));
    await replace(act, router, OURS);
    await writeFile(`${file}.done`, '');
  };
  return { bin, ended: restarted() };
}

/** What `tandem upgrade` says on a router; its error says with which status it ended. */
async function upgraded({ routers }: Act, router: Router, bin: string, ...args: string[]): Promise<string> {
  // By another name: who restarts pulse looks for its processes by the name of its run directory.
  const runDir = join(routers.directory, `sockets-of-${router}`);
  await symlink(join(routers.directory, router, 'run'), runDir).catch(() => undefined);
  const where = ['--config', join(routers.directory, 'tandem.yaml'), '--run-dir', runDir];
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const { stdout } = await routers.topology.exec(router, process.execPath, [CLI, 'upgrade', ...args, ...where], {
    env,
  });
  return stdout;
}

versionsTest('`tandem upgrade` on the standby, then on the other one: one handover', ['r1', 'r2'], async act => {
  const { t, routers } = act;
  const at = wallNow();
  const refused = await t.throwsAsync(upgraded(act, 'r1', '/nowhere'));
  t.regex(refused?.message ?? '', /ended with 1: .*r1 is active: nothing was restarted; first on r2/s);

  const standby = await systemctlFor(act, 'r2');
  const [said] = await Promise.all([upgraded(act, 'r2', standby.bin), standby.ended]);
  t.regex(said, /^r2 runs 0\.\d+\.\d+ and is standby again after .* s; then on r1: tandem upgrade --handover\n$/);
  t.is(routers.goneAt('r1', at), undefined, 'the VIP has not moved');

  const other = await systemctlFor(act, 'r1');
  const [json] = await Promise.all([upgraded(act, 'r1', other.bin, '--handover', '--json'), other.ended]);
  const told = JSON.parse(json) as { handedOver: boolean; restarted: boolean; to: string };
  t.like(told, { handedOver: true, restarted: true });
  for (const router of ROUTERS) t.is((await routers.snapshot(router))?.program, told.to);
  t.deepEqual(routers.holders(), ['r2']);
  const gap = (routers.heldAt('r2', at) ?? Infinity) - (routers.goneAt('r1', at) ?? -Infinity);
  t.true(gap <= 0, `make before break: ${gap} ms`);
  t.is(routers.goneAt('r2', at), undefined, 'one handover');
});

/** `pids` of the lone router are killed once the kernel keeps the VIP without them, and `build` is started in their place. */
async function killedAlone(act: Act, build: Build, pids: readonly number[]): Promise<void> {
  const { routers } = act;
  await routers.until('r1 alone', 5_000, async () => (await routers.snapshot('r1'))?.leaseArmed === false);
  signalAll(pids, 'SIGKILL');
  await routers.pulses.r1?.exited;
  routers.start('r1', 'r1', build);
  await activeIs(act, 'r1', 12_000);
}

for (const peer of ['0.3.0', 'this version'])
  versionsTest(
    `a vipd of 0.3.0 that is left stopped with the VIP, its peer ${peer}: this version starts beside it, one owner`,
    peer === '0.3.0' ? ['r1', 'r2'] : ['r1'],
    async act => {
      const { t, routers } = act;
      const vipd = await routers.vipdPid('r1');
      const pulse = await pulsePids(routers, 'r1');
      const at = wallNow();
      signalAll([vipd], 'SIGSTOP');
      signalAll(pulse, 'SIGKILL');
      await routers.pulses.r1?.exited;
      routers.start('r1', 'r1', OURS);
      await routers.settle('r2');
      await routers.until('only r2 has the VIP', KERNEL_KEEPS_MS, () => routers.holders().join() === 'r2');
      // It finds its pipe closed, its lease over, and another vipd in charge.
      signalAll([vipd], 'SIGCONT');
      await sleep(1_000);
      t.false((await processesIn(routers.topology.namespace('r1'))).includes(vipd), 'it has ended');
      t.deepEqual(routers.holders(), ['r2']);
      t.is(routers.goneAt('r2', at), undefined);
      t.is(routers.pulses.r2?.log.filter(line => line.code === 'VIP_CLAIMED_BY_OTHER').length, 0);
    },
  );

versionsTest('a director of one version beside a pulse of the other follows it and reloads', ['r1'], async act => {
  const { t, routers, old } = act;
  const at = wallNow();
  const directors = { r1: startDirector(routers, 'r1'), r2: startDirector(routers, 'r2', { cli: old.cli }) };
  for (const router of ROUTERS) {
    await routers.until(`rules on ${router}`, 20_000, async () => /guard_in/.test(await tableOf(routers, router)));
    t.is((await statusOf(routers, router)).pulse?.role, router === 'r1' ? 'active' : 'standby');
    const file = directorConfig(routers, router);
    await writeFile(file, (await readFile(file, 'utf8')).replace('rise: 1', 'rise: 2'));
    directors[router].child.kill('SIGHUP');
    const digests = () => new Set(eventsOf(directors[router], 'CONFIG_LOADED').map(({ digest }) => digest));
    await routers.until(`${router} uses the edited config`, 5_000, () => digests().size === 2);
  }
  await sleep(1_000);
  for (const router of ROUTERS) t.is(directors[router].child.exitCode, null);
  t.is(routers.goneAt('r1', at), undefined, 'nothing moved');
  t.deepEqual(routers.holders(), ['r1']);
});
