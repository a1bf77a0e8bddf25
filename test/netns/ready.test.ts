// What pulse says of itself is so: ready to systemd at each vipd, held through a restart, a refusal of the kernel, and whether the
// addresses answer. Real pulses in network namespaces. Needs root and `scripts/setup`.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { type Snapshot, snapshotSchema } from '../../src/feed/message.ts';
import { VIP } from '../lab/pair/topology.ts';
import { withRouters } from './io/act.ts';
import { groupPids, OURS, type Routers, signalAll } from './io/routers.ts';
import { buildTools } from './io/vip-watch.ts';
import { Lines } from './io/vipd.ts';

const active = (routers: Routers, router: 'r1' | 'r2') =>
  routers.until(`${router} active`, 20_000, async () => (await routers.snapshot(router))?.serving === true);

test.serial('systemd is told READY=1 at each hello of a vipd', async t => {
  const tools = await buildTools();
  const directory = mkdtempSync(join(tmpdir(), 'tandem-ready-'));
  const socket = join(directory, 'notify');
  const listener = new Lines(tools.wire, ['notify', socket, '-']);
  try {
    await listener.line(/ ready$/);
    await withRouters(t, { env: { NOTIFY_SOCKET: socket } }, async routers => {
      routers.start('r1');
      await listener.line(/^READY=1$/, 10_000);
      signalAll([await routers.vipdPid('r1')], 'SIGKILL');
      await routers.until('READY=1 again', 10_000, () => listener.matching(/^READY=1$/).length >= 2);
      t.pass();
    });
  } finally {
    listener.child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
    await tools.remove();
  }
});

test.serial('a director that has not looked at the rules yet changes nothing in what pulse knows of them', async t => {
  await withRouters(t, {}, async routers => {
    routers.start('r1');
    await active(routers, 'r1');
    const fixed = { command: 'report', healthyServers: null, totalServers: 0, failedChecks: null } as const;
    for (const known of [false, true]) {
      for (const rulesIn of [known, null])
        t.like(await routers.command('r1', { ...fixed, rulesIn, flushMs: 0, warm: true }), { ok: true });
      await sleep(200);
      t.is((await routers.snapshot('r1'))?.rulesIn, known);
    }
  });
});

/** Snapshots of a feed that may not be there yet, from the first one on, until `enough`. */
async function snapshotsOf(path: string, enough: (seen: readonly Snapshot[]) => boolean): Promise<Snapshot[]> {
  const seen: Snapshot[] = [];
  while (!existsSync(path)) await sleep(2);
  const socket = connect(path);
  let pending = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    const lines = (pending + String(chunk)).split('\n');
    pending = lines.pop() ?? '';
    seen.push(...lines.map(line => snapshotSchema.parse(JSON.parse(line))));
    if (enough(seen)) break;
  }
  return seen;
}

test.serial('a pulse restarted alone says from its first word on that the addresses are held', async t => {
  await withRouters(t, {}, async routers => {
    routers.start('r1');
    await active(routers, 'r1');
    const at = Date.now();
    const child = routers.pulses.r1?.child;
    const pids = await groupPids(routers, 'r1');
    const vipd = await routers.vipdPid('r1');
    signalAll(
      pids.filter(pid => pid !== vipd),
      'SIGKILL',
    );
    await routers.pulses.r1?.exited;
    t.not(child?.exitCode ?? child?.signalCode, null);
    const path = join(routers.directory, 'r1/run/pulse.sock');
    rmSync(path);
    routers.start('r1');
    const seen = await snapshotsOf(path, all => all.at(-1)?.serving === true);
    t.is(seen[0]?.role, 'starting');
    const lost = seen.filter(({ role, vips }) => role === 'starting' && !vips.every(vip => vip.held));
    t.deepEqual(lost, []);
    t.is(routers.goneAt('r1', at), undefined, 'and they were');
  });
});

test.serial(
  'a standby whose vipd cannot be started is not ready, and the owner knows; ready once it runs again',
  async t => {
    const directory = mkdtempSync(join(tmpdir(), 'tandem-vipd-'));
    const vipd = join(directory, 'vipd');
    const broken = join(directory, 'broken');
    writeFileSync(vipd, `#!/bin/sh\n[ -e ${broken} ] && exit 1\nexec ${OURS.vipd} "$@"\n`, { mode: 0o755 });
    try {
      await withRouters(t, { builds: { r2: { ...OURS, vipd } } }, async routers => {
        routers.start('r1');
        routers.start('r2');
        await routers.settle('r1');
        const peer = async () => (await routers.snapshot('r1'))?.peer;
        await routers.until('r2 is ready', 10_000, async () => (await peer())?.ready === true);
        writeFileSync(broken, '');
        signalAll([await routers.vipdPid('r2')], 'SIGKILL');
        await routers.until('r2 is not ready', 10_000, async () => (await peer())?.ready === false);
        const bar = async () => (await routers.snapshot('r2'))?.bar ?? '';
        await routers.until('r2 says why', 5_000, async () => (await bar()).includes('vipd is not running'));
        t.deepEqual(routers.holders(), ['r1']);
        rmSync(broken);
        await routers.until('r2 is ready again', 10_000, async () => (await peer())?.ready === true);
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test.serial('a standby sees that the address does not answer although the owner says that it serves', async t => {
  await withRouters(t, {}, async routers => {
    routers.start('r1');
    routers.start('r2');
    await routers.settle('r1');
    const check = async () => (await routers.snapshot('r2'))?.vipCheck;
    await routers.until('it answers', 10_000, async () => (await check())?.answering.includes(VIP) === true);
    // A black hole: the owner has the address, its lease and its heartbeats, and lets nothing in for it.
    const rules = `table inet hole { chain c { type filter hook input priority -300; ip daddr ${VIP} drop; }; }\n`;
    await routers.topology.exec('r1', 'nft', ['-f', '-'], { input: rules });
    await routers.until('silence is told', 20_000, async () => (await check())?.silent.includes(VIP) === true);
    t.is((await routers.snapshot('r2'))?.peer?.serving, true);
    t.deepEqual(routers.holders(), ['r1'], 'it is told, not acted upon');
    await routers.topology.exec('r1', 'nft', ['delete', 'table', 'inet', 'hole']);
    await routers.until('it answers again', 10_000, async () => (await check())?.silent.length === 0);
  });
});

test.serial('what cannot be held reaches the feed with its reason, and the rest is served', async t => {
  await withRouters(t, {}, async routers => {
    await routers.topology.exec('r1', 'ip', ['link', 'delete', 's0']);
    routers.start('r1');
    await routers.until('active', 30_000, async () => (await routers.snapshot('r1'))?.serving === true);
    const vips = (await routers.snapshot('r1'))?.vips ?? [];
    t.deepEqual(
      vips.map(({ kind, held, obstacle }) => ({ kind, held, obstacle })),
      [
        { kind: 'vip', held: true, obstacle: null },
        { kind: 'gateway', held: false, obstacle: 'there is no interface s0' },
      ],
    );
  });
});
