// A pair of which one router or both can hold only a part of the VIPs: IPv6 disabled on an interface, an interface that is not there, an
// address that the kernel refuses. Two real pulses in network namespaces. Needs root and `scripts/setup`.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '../../src/feed/message.ts';
import { GATEWAY, GATEWAY6, ROUTERS, type Router, VIP, VIP6, wallNow } from '../lab/pair/topology.ts';
import { type Act, activeIs, clientIsServed, DEAD_MS, logged, routersTest, settled } from './io/act.ts';
import type { RouterOptions } from './io/routers.ts';

/** vipd looks this often where the kernel tells nothing. */
const LOOK_MS = 1_000;
/** A loaded machine is late. */
const SPARE_MS = 600;
const SERVICES = `services:
  ftp: { vip: ${VIP}, servers_lan: servers, mark: 21, servers: { s1: { address: 198.51.100.11 } } }
  ftp6: { vip: "${VIP6}", servers_lan: servers, mark: 22, servers: { s1: { address: "2001:db8:2::11" } } }
`;
const ipv6 = ({ routers }: Act, router: Router, name: string, what: 'on' | 'off') =>
  routers.topology.exec(router, 'sysctl', ['-qw', `net.ipv6.conf.${name}.disable_ipv6=${what === 'off' ? 1 : 0}`]);

/** Virtual addresses in a router's kernel. */
async function kernelHas({ routers }: Act, router: Router): Promise<string[]> {
  const { stdout } = await routers.topology.exec(router, 'ip', ['-o', 'address', 'show']);
  return [VIP, GATEWAY, VIP6, GATEWAY6].filter(address => new RegExp(` ${address}/(32|128) `).test(stdout));
}

async function holds(act: Act, router: Router, addresses: readonly string[], within: number): Promise<void> {
  await act.routers.until(`${router} holds ${addresses}`, within, async () => {
    const has = await kernelHas(act, router);
    return has.length === addresses.length && addresses.every(address => has.includes(address));
  });
}

const obstacleOf = (snapshot: Snapshot | undefined, address: string) =>
  snapshot?.vips.find(vip => vip.address === address)?.obstacle;
function pairTest(title: string, options: Omit<RouterOptions, 'prefix'>, body: (act: Act) => Promise<void>): void {
  routersTest(title, { config: { ipv6: true }, ...options }, body);
}

pairTest('IPv6 disabled on both: IPv4 is served on; enabled again, IPv6 is added within the term', {}, async act => {
  const { t, routers } = act;
  await settled(act);
  const { epoch } = await activeIs(act, 'r1', 1_000);
  const at = wallNow();
  await ipv6(act, 'r2', 'c0', 'off');
  await routers.until('r2 has said so', 2_000, async () => (await routers.snapshot('r1'))?.peer?.units === 3);
  await sleep(1_000 + 2 * DEAD_MS);
  await ipv6(act, 'r1', 'c0', 'off');
  await holds(act, 'r1', [VIP, GATEWAY, GATEWAY6], 2_000);
  await sleep(3_000);
  await clientIsServed(act, VIP);
  const partly = await activeIs(act, 'r1', 1_000);
  t.is(partly.epoch, epoch);
  t.deepEqual(partly.units, { able: 3, all: 4 });
  t.is(obstacleOf(partly, VIP6), 'IPv6 is off on c0: disable_ipv6 is set, or its MTU is below 1280');
  t.false(partly.vips.find(({ address }) => address === VIP6)?.held);
  t.is(logged(act, 'r1', 'VIP_CANNOT_BE_HELD').length, 1);
  await ipv6(act, 'r1', 'c0', 'on');
  await routers.topology.exec('r1', 'ip', ['address', 'add', '2001:db8:1::2/64', 'dev', 'c0', 'nodad']);
  await holds(act, 'r1', [VIP, GATEWAY, VIP6, GATEWAY6], LOOK_MS + SPARE_MS);
  await clientIsServed(act, VIP6);
  const whole = await activeIs(act, 'r1', 1_000);
  t.is(whole.epoch, epoch, 'the same term');
  t.true(whole.vips.every(({ held }) => held));
  t.is(routers.goneAt('r1', at), undefined, 'the IPv4 VIP never moved');
});

pairTest('a standby whose IPv6 is disabled takes over what it can, at once', {}, async act => {
  const { t, routers } = act;
  await settled(act);
  await ipv6(act, 'r2', 'c0', 'off');
  await routers.until('it knows', 2_000, async () => (await routers.snapshot('r2'))?.units.able === 3);
  t.true((await routers.snapshot('r1'))?.peer?.ready, 'it can take over');
  const { at } = await routers.topology.cutPower('r1');
  await activeIs(act, 'r2', 5_000);
  const heldAfter = (routers.heldAt('r2', at) ?? Infinity) - at;
  t.log(`VIP on r2 ${heldAfter.toFixed(0)} ms after the cut`);
  t.true(heldAfter < DEAD_MS + SPARE_MS, `${heldAfter} ms`);
  t.deepEqual(await kernelHas(act, 'r2'), [VIP, GATEWAY, GATEWAY6]);
  t.deepEqual(logged(act, 'r2', 'CLAIM_FAILED'), []);
  await clientIsServed(act, VIP);
  await ipv6(act, 'r2', 'c0', 'on');
  await holds(act, 'r2', [VIP, GATEWAY, VIP6, GATEWAY6], LOOK_MS + SPARE_MS);
});

pairTest(
  'what the owner cannot hold any more is held by the peer, who gets all of it, and it stays there',
  {},
  async act => {
    const { t, routers } = act;
    await settled(act);
    const at = wallNow();
    await routers.topology.exec('r1', 'ip', ['link', 'set', 's0', 'mtu', '1000']);
    await activeIs(act, 'r2', 3_000);
    const heldAfter = (routers.heldAt('r2', at) ?? Infinity) - at;
    t.log(`VIP on r2 ${heldAfter.toFixed(0)} ms later`);
    t.true(heldAfter >= 2 * DEAD_MS && heldAfter < 1_000 + DEAD_MS + SPARE_MS, `${heldAfter} ms`);
    await holds(act, 'r2', [VIP, GATEWAY, VIP6, GATEWAY6], 1_000);
    await sleep(4_000);
    t.deepEqual(routers.holders(), ['r2']);
    t.is(routers.goneAt('r2', at), undefined);
    t.is((await routers.snapshot('r2'))?.peer?.units, 3);
    t.regex(obstacleOf(await routers.snapshot('r1'), GATEWAY6) ?? '', /MTU/);
  },
);

pairTest('the interface of the VIPs is deleted on the owner: the peer takes all', {}, async act => {
  const { t, routers } = act;
  await settled(act);
  const at = wallNow();
  await routers.topology.exec('r1', 'ip', ['link', 'delete', 'c0']);
  await activeIs(act, 'r2', 3_000);
  const heldAfter = (routers.heldAt('r2', at) ?? Infinity) - at;
  t.log(`VIP on r2 ${heldAfter.toFixed(0)} ms later`);
  t.true(heldAfter < 2 * DEAD_MS + SPARE_MS, `${heldAfter} ms`);
  await holds(act, 'r1', [], 2_000);
  await sleep(3_000);
  t.is(routers.goneAt('r2', at), undefined);
  t.is(obstacleOf(await routers.snapshot('r1'), VIP), 'there is no interface c0');
  await clientIsServed(act, VIP);
});

pairTest('an interface that comes late: its addresses are added within the term', {}, async act => {
  const { t, routers } = act;
  for (const router of ROUTERS) await routers.topology.exec(router, 'ip', ['link', 'delete', 's0']);
  for (const router of ROUTERS) routers.start(router);
  await activeIs(act, 'r1', 12_000);
  await holds(act, 'r1', [VIP, VIP6], 1_000);
  t.is((await routers.snapshot('r1'))?.units.able, 2);
  t.deepEqual(logged(act, 'r1', 'CLAIM_FAILED'), []);
  const { epoch } = await activeIs(act, 'r1', 1_000);
  await routers.topology.exec('r1', 'ip', ['link', 'add', 's0', 'type', 'veth', 'peer', 'name', 's9']);
  for (const end of ['s9', 's0']) await routers.topology.exec('r1', 'ip', ['link', 'set', end, 'up']);
  await holds(act, 'r1', [VIP, GATEWAY, VIP6, GATEWAY6], LOOK_MS + SPARE_MS);
  t.is((await activeIs(act, 'r1', 1_000)).epoch, epoch);
  await routers.until('the packet lease guards it there, too', 5_000, async () => {
    const { stdout } = await routers.topology.exec('r1', 'nft', ['list', 'table', 'netdev', 'tandem_gate']);
    return /device "?s0"?/.test(stdout);
  });
  t.deepEqual(logged(act, 'r1', 'PACKET_LEASE_OFF'), []);
});

pairTest(
  'a VIP whose gateway cannot be held is not held either, nor is its gateway elsewhere',
  { more: SERVICES },
  async act => {
    const { t, routers } = act;
    const report = {
      command: 'report',
      rulesIn: true,
      healthyServers: 2,
      failedChecks: 0,
      totalServers: 2,
      flushMs: 0,
      warm: true,
    } as const;
    const reports = setInterval(() => {
      for (const router of ROUTERS) routers.command(router, report).catch(() => undefined);
    }, 500);
    try {
      await settled(act);
      t.deepEqual((await routers.snapshot('r1'))?.units, { able: 2, all: 2 });
      await ipv6(act, 'r2', 's0', 'off');
      await sleep(1_000 + 2 * DEAD_MS);
      await ipv6(act, 'r1', 's0', 'off');
      await holds(act, 'r1', [VIP, GATEWAY], 2_000);
      const snapshot = await activeIs(act, 'r1', 1_000);
      t.regex(obstacleOf(snapshot, GATEWAY6) ?? '', /^IPv6 is off on s0/);
      t.regex(obstacleOf(snapshot, VIP6) ?? '', /^what it is served together with cannot be held: IPv6 is off on s0/);
      await clientIsServed(act, VIP);
      await ipv6(act, 'r1', 's0', 'on');
      await holds(act, 'r1', [VIP, GATEWAY, VIP6, GATEWAY6], LOOK_MS + SPARE_MS);
    } finally {
      clearInterval(reports);
    }
  },
);
