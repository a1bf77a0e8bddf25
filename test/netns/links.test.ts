// Heartbeat links under what strangers do to them: datagrams that no peer sent, and ICMP that says the peer is not there. Two real
// pulses in network namespaces. Needs root and `scripts/setup`.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '../../src/feed/message.ts';
import { type Router, wallNow } from '../lab/pair/topology.ts';
import { routersTest, settled } from './io/act.ts';
import { addStranger, flood, forgedUnreachable } from './io/faults.ts';
import type { Routers } from './io/routers.ts';
import { buildTools } from './io/vip-watch.ts';

const [R1, R2] = ['192.0.2.2', '192.0.2.3'];
/** Thousands of frames at once keep a small machine busy for longer than the default lease, and nothing here is about failover. */
const CALM_TIMES = { interval: '100ms', lease: '2s', dead: '3s' };
const [PORT_UNREACHABLE, HOST_UNREACHABLE, FILTERED] = [3, 1, 13];

interface Count {
  readonly count: number;
  /** Wall time in ms. */
  readonly at: number;
}

/** A number in the next snapshot that the router publishes: the newest may be a second old. */
async function countedBy(routers: Routers, router: Router, count: (snapshot: Snapshot) => number): Promise<Count> {
  const before = (await routers.snapshot(router))?.seq;
  let next: Snapshot | undefined;
  await routers.until(`${router} publishes`, 5_000, async () => {
    next = await routers.snapshot(router);
    return next !== undefined && next.seq !== before;
  });
  return { count: next ? count(next) : Number.NaN, at: wallNow() };
}

/** Heartbeats that r1 has sent, and those of them that r2 has heard on the clients' LAN. */
function sentAndHeard(routers: Routers): Promise<readonly [Count, Count]> {
  return Promise.all([
    countedBy(routers, 'r1', ({ counters }) => counters.sent ?? Number.NaN),
    countedBy(routers, 'r2', ({ links }) => links.find(link => link.lan === 'clients')?.received ?? Number.NaN),
  ]);
}

/** Heartbeats in a second between two counts. */
const perSecond = (before: Count, after: Count) => ((after.count - before.count) / (after.at - before.at)) * 1_000;

routersTest(
  'forged ICMP that says the peer is not there costs no heartbeat and closes no link',
  { times: CALM_TIMES },
  async act => {
    await settled(act);
    const { t, routers } = act;
    const { topology } = routers;
    const tools = await buildTools();
    const stranger = await addStranger(topology, 'clients', tools.wire);
    const { stdout } = await topology.exec('r1', 'ip', ['-o', 'link', 'show', 'dev', 'c0']);
    const before = await sentAndHeard(routers);
    for (const code of [PORT_UNREACHABLE, HOST_UNREACHABLE, FILTERED]) {
      const frame = forgedUnreachable({
        from: R1,
        to: R2,
        toMac: /ether (\S+)/.exec(stdout)?.[1] ?? '',
        mac: stranger.mac,
        code,
      });
      await stranger.send(frame, 6_000);
    }
    await sleep(1_100);
    const { stdout: said } = await topology.exec('r1', 'nstat', ['-az', 'IcmpInDestUnreachs']);
    t.true(Number(/IcmpInDestUnreachs +(\d+)/.exec(said)?.[1]) >= 18_000, 'the forgeries came in');
    const after = await sentAndHeard(routers);
    const [sent, heard] = [perSecond(before[0], after[0]), perSecond(before[1], after[1])];
    const seconds = (after[1].at - before[1].at) / 1_000;
    t.log(`${sent.toFixed(1)} sent and ${heard.toFixed(1)} heard in a second, for ${seconds.toFixed(1)} s`);
    t.true(sent > 8);
    // The test reads a snapshot a little after it was published: a few heartbeats, whatever the time between.
    t.true(Math.abs(sent - heard) * seconds <= 6, `${sent} sent, ${heard} heard in a second`);
    t.false(routers.pulses.r1?.log.some(line => line.code === 'LINK_ERROR' || line.code === 'LINK_DOWN'));
    t.deepEqual(routers.holders(), ['r1']);
    await stranger.remove();
    await tools.remove();
  },
);

routersTest(
  "strangers' datagrams never reach pulse, and a peer that restarts is heard again at once",
  { times: CALM_TIMES },
  async act => {
    await settled(act);
    const { t, routers } = act;
    const { topology } = routers;
    const tools = await buildTools();
    await flood(topology, tools.wire, { from: 'client', source: '192.0.2.10', target: R1, datagrams: 3_000 });
    await tools.remove();
    await sleep(1_100);
    const { counters } = (await routers.snapshot('r1')) ?? {};
    const refused = Object.entries(counters ?? {}).filter(([name]) => name.startsWith('refused_'));
    t.deepEqual(refused, [], 'the kernel let none of them in');
    routers.pulses.r2?.child.kill('SIGKILL');
    await routers.pulses.r2?.exited;
    // Its port is closed now: every heartbeat of r1 is answered by "port unreachable".
    await sleep(2_000);
    routers.start('r2');
    await routers.until('r2 is heard on every link', 5_000, async () => {
      const now = await routers.snapshot('r1');
      return now?.links.every(link => link.up && link.peerHearsUs) ?? false;
    });
    t.false(routers.pulses.r1?.log.some(line => line.code === 'LINK_ERROR'));
  },
);
