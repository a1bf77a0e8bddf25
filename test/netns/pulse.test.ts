// Two real pulses with their vipds in network namespaces, each fault for real. What both routers' kernels held, and when, is
// recorded from outside (`ip monitor`). Needs root and `scripts/setup`.
import anyTest, { type TestFn } from 'ava';
import { wallNow } from '../lab/pair/topology.ts';
import { flood } from './io/faults.ts';
import { buildRouters, groupPids, type Routers, signalAll } from './io/routers.ts';
import { buildTools } from './io/vip-watch.ts';

const test = anyTest as TestFn<{ routers: Routers }>;
let built = 0;

test.beforeEach(async t => {
  built += 1;
  const routers = await buildRouters({ prefix: `tp${process.pid}-${built}-` });
  t.context = { routers };
  routers.start('r1');
  routers.start('r2');
  await routers.settle('r1');
});

test.afterEach.always(async t => {
  if (!t.passed)
    for (const [name, pulse] of Object.entries(t.context.routers?.pulses ?? {})) t.log(name, pulse?.log.slice(-12));
  await t.context.routers?.destroy();
});

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

async function takenOver(routers: Routers, within = 5_000): Promise<void> {
  await routers.until('r2 active', within, async () => {
    const snapshot = await routers.snapshot('r2');
    return snapshot?.role === 'active' && snapshot.serving;
  });
  await pause(300);
}

function reasonOf(routers: Routers, router: 'r1' | 'r2', to: string): string {
  return String(
    routers.pulses[router]?.log.findLast(line => line.code === 'ROLE_CHANGED' && line.to === to)?.reason ?? 'none',
  );
}

test.serial('power loss: the VIP moves once the dead time has passed', async t => {
  const { routers } = t.context;
  const { at } = await routers.topology.cutPower('r1');
  await takenOver(routers);
  const after = (routers.heldAt('r2', at) ?? Infinity) - at;
  t.log(`VIP on r2 ${after.toFixed(0)} ms after the cut`);
  // The lower bound is the contract: D minus the age of the last heartbeat. The upper one only says that it happened.
  t.true(after >= 300 - 100 - 20, `too early: ${after}`);
  t.regex(reasonOf(routers, 'r2', 'active'), /silence/);
});

test.serial('SIGKILL of pulse alone: vipd removes the VIP, its last will brings the peer in, never both', async t => {
  const { routers } = t.context;
  const at = wallNow();
  const pids = await groupPids(routers, 'r1');
  const vipd = await routers.vipdPid('r1');
  signalAll(
    pids.filter(pid => pid !== vipd),
    'SIGKILL',
  );
  await takenOver(routers);
  t.deepEqual(routers.holders(), ['r2']);
  t.is(routers.overlapMs(), 0);
  t.regex(reasonOf(routers, 'r2', 'active'), /last will/);
  t.log(`gap ${((routers.heldAt('r2', at) ?? NaN) - (routers.goneAt('r1', at) ?? NaN)).toFixed(1)} ms`);
});

test.serial(
  'SIGSTOP of pulse: the lease ends it before the peer takes over; when it wakes it stays standby',
  async t => {
    const { routers } = t.context;
    const vipd = await routers.vipdPid('r1');
    const pulse = (await groupPids(routers, 'r1')).filter(pid => pid !== vipd);
    signalAll(pulse, 'SIGSTOP');
    await takenOver(routers);
    signalAll(pulse, 'SIGCONT');
    await routers.until('r1 standby again', 5_000, async () => (await routers.snapshot('r1'))?.role === 'standby');
    await pause(1_000);
    t.deepEqual(routers.holders(), ['r2']);
    t.is(routers.overlapMs(), 0);
  },
);

test.serial('SIGKILL of vipd alone: a new one adopts the VIP, which never leaves', async t => {
  const { routers } = t.context;
  const at = wallNow();
  const before = await routers.vipdPid('r1');
  signalAll([before], 'SIGKILL');
  await routers.until('a new vipd', 5_000, async () => {
    const now = await routers.vipdPid('r1').catch(() => before);
    return now !== before && (await routers.snapshot('r1'))?.serving === true;
  });
  await pause(1_500);
  t.deepEqual(routers.holders(), ['r1']);
  t.is(routers.goneAt('r1', at), undefined, 'the VIP never left r1');
  t.is(routers.heldAt('r2', at), undefined, 'and never came to r2');
});

test.serial('SIGSTOP of vipd alone: it is replaced, exactly one router serves', async t => {
  const { routers } = t.context;
  const at = wallNow();
  const before = await routers.vipdPid('r1');
  signalAll([before], 'SIGSTOP');
  await routers.until('one router serves again with a vipd that answers', 5_000, async () => {
    const [r1, r2] = [await routers.snapshot('r1'), await routers.snapshot('r2')];
    const stuck = routers.pulses.r1?.log.some(line => line.code === 'VIPD_STUCK') === true;
    return stuck && (r1?.serving === true) !== (r2?.serving === true);
  });
  await pause(1_500);
  t.deepEqual(routers.holders(), ['r1']);
  t.is(routers.goneAt('r1', at), undefined);
  t.is(routers.overlapMs(), 0);
});

test.serial(
  'kill of the whole process group: the peer takes over once the packet lease has ended; the kernel drops the VIP after it',
  async t => {
    const { routers } = t.context;
    const at = wallNow();
    signalAll(await groupPids(routers, 'r1'), 'SIGKILL');
    await takenOver(routers);
    const after = (routers.heldAt('r2', at) ?? Infinity) - at;
    t.true(after < 3_500, `VIP on r2 ${after.toFixed(0)} ms after the kill`);
    // Both kernels have it for a moment, but r1's lets nothing in: packet-lease-pair.test.ts looks at the packets.
    await routers.until('only r2 has it', 2_500, () => routers.holders().join() === 'r2');
    t.log(
      `r1 without VIP after ${((routers.goneAt('r1', at) ?? NaN) - at).toFixed(0)} ms, r2 with it after ${after.toFixed(0)} ms`,
    );
  },
);

test.serial('SIGTERM: a planned handover, make-before-break, then a clean exit', async t => {
  const { routers } = t.context;
  const at = wallNow();
  const vipd = await routers.vipdPid('r1');
  signalAll(
    (await groupPids(routers, 'r1')).filter(pid => pid !== vipd),
    'SIGTERM',
  );
  t.is(await routers.pulses.r1?.exited, 0);
  await takenOver(routers);
  t.deepEqual(routers.holders(), ['r2']);
  const gap = (routers.heldAt('r2', at) ?? Infinity) - (routers.goneAt('r1', at) ?? 0);
  t.true(gap <= 0, `the peer had the VIP ${gap} ms after it left`);
  t.true(routers.overlapMs() <= 220, `overlap ${routers.overlapMs()} ms is bounded by the lease`);
});

test.serial('SIGUSR1 and SIGUSR2: pulse serves on, and no debugger listens', async t => {
  const { routers } = t.context;
  const vipd = await routers.vipdPid('r1');
  const pulse = (await groupPids(routers, 'r1')).filter(pid => pid !== vipd);
  signalAll(pulse, 'SIGUSR1');
  signalAll(pulse, 'SIGUSR2');
  await pause(1_000);
  t.deepEqual(
    (await groupPids(routers, 'r1')).filter(pid => pid !== vipd),
    pulse,
  );
  t.deepEqual(routers.holders(), ['r1']);
  t.is((await routers.topology.exec('r1', 'ss', ['-Hltn'])).stdout, '');
});

test.serial('a planned handover by command goes there and back', async t => {
  const { routers } = t.context;
  t.true((await routers.command('r1', { command: 'handover', cold: false })).ok);
  await routers.settle('r2');
  t.deepEqual(routers.holders(), ['r2']);
  t.false((await routers.command('r1', { command: 'handover', cold: false })).ok, 'a standby has nothing to hand over');
  t.true((await routers.command('r2', { command: 'handover', cold: false })).ok);
  await routers.settle('r1');
  t.deepEqual(routers.holders(), ['r1']);
  const alarms = [...(routers.pulses.r1?.log ?? []), ...(routers.pulses.r2?.log ?? [])].map(line => line.code);
  t.false(alarms.includes('VIP_CLAIMED_BY_OTHER'), 'a planned overlap is no conflict');
  t.true(routers.overlapMs() <= 220);
});

test.serial('a pair whose peer is absent keeps its VIP through a restart of pulse and through a stall', async t => {
  const { routers } = t.context;
  await routers.topology.cutPower('r2');
  await routers.until('r1 alone', 5_000, async () => (await routers.snapshot('r1'))?.leaseArmed === false);
  const at = wallNow();
  signalAll(await groupPids(routers, 'r1'), 'SIGKILL');
  await routers.pulses.r1?.exited;
  routers.start('r1');
  await routers.until('r1 serves again', 10_000, async () => (await routers.snapshot('r1'))?.serving === true);
  t.is(routers.goneAt('r1', at), undefined, 'the VIP stayed through the restart');
  const vipd = await routers.vipdPid('r1');
  const pulse = (await groupPids(routers, 'r1')).filter(pid => pid !== vipd);
  signalAll(pulse, 'SIGSTOP');
  await pause(2_000);
  signalAll(pulse, 'SIGCONT');
  await pause(1_000);
  t.is(routers.goneAt('r1', at), undefined, 'and through the stall');
  t.is((await routers.snapshot('r1'))?.role, 'active');
});

test.serial('hostile datagrams on the heartbeat port are counted, named in the log and change nothing', async t => {
  const { routers } = t.context;
  // As if they came from the peer's own pulse: what comes from anywhere else the kernel does not let in.
  const tools = await buildTools();
  const about = { from: 'r2', source: '203.0.113.2', target: '203.0.113.1', datagrams: 500 } as const;
  await flood(routers.topology, tools.wire, about);
  await tools.remove();
  await pause(1_500);
  const snapshot = await routers.snapshot('r1');
  const refused = Object.entries(snapshot?.counters ?? {}).filter(([name]) => name.startsWith('refused_'));
  t.true(refused.reduce((sum, [, count]) => sum + count, 0) >= 480, JSON.stringify(refused));
  t.true((snapshot?.counters.refused_oversized ?? 0) > 0);
  t.true((snapshot?.counters.refused_truncated ?? 0) > 0);
  t.is(snapshot?.role, 'active');
  t.deepEqual(routers.holders(), ['r1']);
  const lines = routers.pulses.r1?.log.filter(line => line.code === 'DATAGRAM_REFUSED') ?? [];
  t.true(lines.length > 0 && lines.length < 100, `${lines.length} log lines for a flood of 500`);
});

test.serial('a VIP that somebody removes comes back, and the log says so', async t => {
  const { routers } = t.context;
  await routers.topology.exec('r1', 'ip', ['address', 'delete', '192.0.2.100/32', 'dev', 'c0']);
  await routers.until('the VIP is back', 2_000, () => routers.holders().includes('r1'));
  await pause(300);
  t.true(routers.pulses.r1?.log.some(line => line.code === 'VIP_REPAIRED' && line.address === '192.0.2.100'));
  t.is((await routers.snapshot('r1'))?.role, 'active');
});

test.serial('the heartbeat links are cut, the client LAN is not: nothing moves', async t => {
  const { routers } = t.context;
  // Only the heartbeats are dropped: the LAN itself works, so the probes are answered.
  const rules = 'table inet cut { chain c { type filter hook input priority -300; udp dport 694 drop; }; }\n';
  for (const router of ['r1', 'r2'] as const) await routers.topology.exec(router, 'nft', ['-f', '-'], { input: rules });
  await pause(3_000);
  t.deepEqual(routers.holders(), ['r1']);
  t.is((await routers.snapshot('r2'))?.role, 'standby');
  t.true(routers.pulses.r2?.log.some(line => line.code === 'LINKS_BROKEN'));
  for (const router of ['r1', 'r2'] as const)
    await routers.topology.exec(router, 'nft', ['delete', 'table', 'inet', 'cut']);
  await routers.settle('r1');
  t.is(routers.overlapMs(), 0);
});

test.serial('a second pulse on the same router ends with a message and touches nothing', async t => {
  const { routers } = t.context;
  const at = wallNow();
  const first = routers.pulses.r1;
  const second = routers.start('r1');
  t.is(await second.exited, 1);
  t.regex(String(second.log.find(line => line.code === 'STDERR')?.text), /another process answers on .*pulse\.sock/);
  await pause(1_000);
  t.is(first?.child.exitCode, null);
  t.is((await routers.snapshot('r1'))?.role, 'active');
  t.is(routers.goneAt('r1', at), undefined);
});

test.serial('a reader of the feed that stalls does not delay the heartbeat', async t => {
  const { routers } = t.context;
  const { connect } = await import('node:net');
  const reader = connect(`${routers.directory}/r1/run/pulse.sock`);
  reader.pause();
  await pause(3_000);
  t.is((await routers.snapshot('r2'))?.role, 'standby');
  t.is((await routers.snapshot('r1'))?.counters.lateLoops, 0);
  reader.destroy();
});
