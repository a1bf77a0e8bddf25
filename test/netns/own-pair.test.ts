// A pair whose routers lose addresses of their own, start before they have any, go by the wrong name or cannot bind their port: two real
// pulses in network namespaces. Needs root and `scripts/setup`.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Router, wallNow } from '../lab/pair/topology.ts';
import { type Act, activeIs, clientIsServed, DEAD_MS, logged, routersTest, settled } from './io/act.ts';
import { INTERFACES, type Leg, setPlug } from './io/faults.ts';
import type { RouterOptions } from './io/routers.ts';

const CLI = fileURLToPath(new URL('../../program/tandem.js', import.meta.url));
/** A start listens for longer than VIPs can live without their pulse: alone_keep, L, late lifetimes, D. */
const LISTEN_MS = 5_000 + 220 + 1_250 + DEAD_MS;
/** A loaded machine is late. */
const SPARE_MS = 400;
const LEGS = ['clients', 'servers', 'cross'] as const;

/** Without any target: nothing but the addresses themselves tells. */
function pairTest(
  title: string,
  config: NonNullable<RouterOptions['config']>,
  body: (act: Act) => Promise<void>,
): void {
  routersTest(title, { config }, body);
}

const NETWORKS: Readonly<Record<Leg, string>> = { clients: '192.0.2.', servers: '198.51.100.', cross: '203.0.113.' };
function ownOf(router: Router, leg: Leg): string {
  const number = router === 'r1' ? 1 : 2;
  return `${NETWORKS[leg]}${leg === 'cross' ? number : number + 1}`;
}

/** What `ip address delete` by hand, or a network manager, does. */
async function setOwn({ routers }: Act, router: Router, verb: 'add' | 'del', legs: readonly Leg[]): Promise<void> {
  const input = legs.map(leg => `address ${verb} ${ownOf(router, leg)}/24 dev ${INTERFACES[leg]}\n`).join('');
  await routers.topology.exec(router, 'ip', ['-batch', '-'], { input });
}

async function lostOnOnlyLink(act: Act, legs: readonly Leg[]): Promise<void> {
  const { t, routers } = act;
  await settled(act);
  const at = wallNow();
  await setOwn(act, 'r1', 'del', legs);
  await activeIs(act, 'r2', 3_000);
  const goneAfter = (routers.goneAt('r1', at) ?? Infinity) - at;
  const heldAfter = (routers.heldAt('r2', at) ?? Infinity) - at;
  t.log(`VIP gone from r1 after ${goneAfter.toFixed(0)} ms, on r2 after ${heldAfter.toFixed(0)} ms`);
  t.true(goneAfter < DEAD_MS, `${goneAfter} ms`);
  t.is(routers.overlapMs(), 0);
  await sleep(4_000);
  t.deepEqual(routers.holders(), ['r2'], 'r1 does not claim it again');
  t.is(routers.goneAt('r2', at), undefined);
  t.regex(String(logged(act, 'r1', 'CUT_OFF')[0]?.why), /own address/);
  await clientIsServed(act);
  await setOwn(act, 'r1', 'add', legs);
  await routers.settle('r2');
  t.deepEqual(routers.holders(), ['r2']);
}

pairTest(
  'one LAN: the active router loses its own address, lets go in less than D, and the peer takes over',
  { lans: ['clients'] },
  act => lostOnOnlyLink(act, ['clients']),
);

pairTest('the higher ranked, active router loses its own addresses on all LANs: one move, no flapping', {}, act =>
  lostOnOnlyLink(act, LEGS),
);

pairTest('three LANs: without its address on the client LAN the active router hands over', {}, async act => {
  const { t, routers } = act;
  await settled(act);
  const at = wallNow();
  await setOwn(act, 'r1', 'del', ['clients']);
  await activeIs(act, 'r2', 1_000 + DEAD_MS + SPARE_MS);
  const heldAfter = (routers.heldAt('r2', at) ?? 0) - at;
  t.true(heldAfter >= 1_000, `a network manager has its time: ${heldAfter} ms`);
  t.regex(String(logged(act, 'r1', 'HANDOVER_STARTED')[0]?.reason), /own address on LAN clients is gone/);
  t.is(logged(act, 'r1', 'OWN_ADDRESS_GONE')[0]?.own, ownOf('r1', 'clients'));
  const own = (await routers.snapshot('r1'))?.lans.find(({ lan }) => lan === 'clients')?.own;
  t.deepEqual(own, [{ address: ownOf('r1', 'clients'), state: 'gone' }]);
  await clientIsServed(act);
});

pairTest('an address that is back within a second moves nothing', {}, async act => {
  const { t, routers } = act;
  await settled(act);
  const at = wallNow();
  await setOwn(act, 'r1', 'del', ['clients']);
  await sleep(600);
  await setOwn(act, 'r1', 'add', ['clients']);
  await sleep(1_500);
  t.is(routers.heldAt('r2', at), undefined);
  await clientIsServed(act);
});

/** Each with one LAN, too. */
const SIZES = [['clients'], LEGS] as const;

function routesLost({ routers }: Act, legs: readonly Leg[]): Promise<unknown> {
  const input = legs.map(leg => `route del ${NETWORKS[leg]}0/24 dev ${INTERFACES[leg]}\n`).join('');
  return routers.topology.exec('r1', 'ip', ['-batch', '-'], { input });
}

const UPLINK = `
link add up0 type veth peer name up1
link set up0 up
link set up1 up
addr add 100.64.0.2/24 dev up0
route add default via 100.64.0.1
`;

/** The addresses stay; what is gone is the way from them. */
const WAYS_LOST: Readonly<Record<string, (act: Act, legs: readonly Leg[]) => Promise<unknown>>> = {
  'the LANs’ routes are gone': routesLost,
  'the LANs’ routes are gone and the default route leads elsewhere': async (act, legs) => {
    await act.routers.topology.exec('r1', 'ip', ['-batch', '-'], { input: UPLINK });
    await routesLost(act, legs);
  },
  'ARP is switched off': ({ routers }, legs) => {
    const input = legs.map(leg => `link set ${INTERFACES[leg]} arp off\n`).join('');
    return routers.topology.exec('r1', 'ip', ['-batch', '-'], { input });
  },
  'a rule prohibits all': ({ routers }) => routers.topology.exec('r1', 'ip', ['rule', 'add', 'pref', '10', 'prohibit']),
};

for (const lans of SIZES)
  for (const [what, lose] of Object.entries(WAYS_LOST))
    pairTest(`${lans.length} LANs: ${what} on the active router: one move, no flapping`, { lans }, async act => {
      const { t, routers } = act;
      await settled(act);
      const at = wallNow();
      await lose(act, lans);
      await activeIs(act, 'r2', 3_000);
      await sleep(3_000);
      t.deepEqual(routers.holders(), ['r2'], 'r1 does not claim it again');
      t.is(routers.goneAt('r2', at), undefined);
      t.is(routers.overlapMs(), 0);
      t.is(logged(act, 'r1', 'OWN_ADDRESS_UNROUTED').length, lans.length);
      await clientIsServed(act);
    });

const CLIENTS_LOST: Readonly<Record<string, readonly string[]>> = {
  'the client LAN’s route': ['route', 'del', '192.0.2.0/24', 'dev', 'c0'],
  'ARP on the client LAN': ['link', 'set', 'c0', 'arp', 'off'],
};

for (const [what, lose] of Object.entries(CLIENTS_LOST))
  pairTest(`three LANs: without ${what} the active router hands over`, {}, async act => {
    const { t, routers } = act;
    await settled(act);
    await routers.topology.exec('r1', 'ip', lose);
    await activeIs(act, 'r2', 1_000 + DEAD_MS + SPARE_MS);
    const own = (await routers.snapshot('r1'))?.lans.find(({ lan }) => lan === 'clients')?.own;
    t.deepEqual(own, [{ address: ownOf('r1', 'clients'), state: 'unrouted' }]);
    await clientIsServed(act);
  });

for (const lans of SIZES)
  pairTest(
    `${lans.length} LANs: a router that boots before its addresses are there waits, says so, and joins`,
    { lans },
    async act => {
      const { t, routers } = act;
      await settled(act);
      await routers.topology.cutPower('r1');
      await activeIs(act, 'r2', 3_000);
      await routers.reboot('r1');
      await setOwn(act, 'r1', 'del', LEGS);
      const at = wallNow();
      routers.start('r1');
      await sleep(LISTEN_MS + 1_500);
      t.is(routers.heldAt('r1', at), undefined, 'it claims nothing');
      const waiting = await routers.snapshot('r1');
      t.regex(waiting?.bar ?? '', /no heartbeat link has been bound/);
      t.deepEqual(
        waiting?.links.map(({ problem }) => problem),
        lans.map(leg => `${ownOf('r1', leg)} is not on this host`),
      );
      const addedAt = wallNow();
      await setOwn(act, 'r1', 'add', LEGS);
      await routers.settle('r2');
      t.true(wallNow() - addedAt < 1_000 + SPARE_MS, 'it does not wait for its next try');
      await sleep(1_000);
      t.is(routers.heldAt('r1', at), undefined);
    },
  );

for (const lans of SIZES)
  pairTest(
    `${lans.length} LANs: a copied machine with the other router’s name claims nothing and says why`,
    { lans },
    async act => {
      const { t, routers } = act;
      routers.start('r1');
      await activeIs(act, 'r1', 10_000);
      const at = wallNow();
      routers.start('r2', 'r1');
      await sleep(LISTEN_MS + 1_500);
      t.is(routers.heldAt('r2', at), undefined);
      t.is(routers.goneAt('r1', at), undefined);
      t.is(logged(act, 'r2', 'WRONG_NAME').length, 1);
      const snapshot = await routers.snapshot('r2');
      t.true(snapshot?.wrongName);
      t.regex(snapshot?.bar ?? '', /wrong name/);
      await clientIsServed(act);
    },
  );

pairTest('one of the peer’s addresses beside its own is a warning, and moves nothing', {}, async act => {
  const { t, routers } = act;
  await settled(act);
  const at = wallNow();
  await routers.topology.exec('r1', 'ip', ['address', 'add', `${ownOf('r2', 'cross')}/32`, 'dev', 'lo']);
  await sleep(2_000);
  const snapshot = await routers.snapshot('r1');
  t.deepEqual(snapshot?.peerAddressesHere, [ownOf('r2', 'cross')]);
  t.false(snapshot?.wrongName);
  t.is(logged(act, 'r1', 'PEER_ADDRESS_HERE').length, 1);
  t.is(routers.heldAt('r2', at), undefined);
  t.is(routers.goneAt('r1', at), undefined);
});

pairTest(
  'one LAN: the active router gets the peer’s address beside its own: one move, no flapping',
  { lans: ['clients'] },
  async act => {
    const { t, routers } = act;
    await settled(act);
    const at = wallNow();
    const peers = `${ownOf('r2', 'clients')}/32`;
    await routers.topology.exec('r1', 'ip', ['address', 'add', peers, 'dev', 'lo']);
    await activeIs(act, 'r2', 3_000);
    t.true((routers.goneAt('r1', at) ?? Infinity) - at < DEAD_MS);
    await sleep(4_000);
    t.deepEqual(routers.holders(), ['r2']);
    t.is(routers.goneAt('r2', at), undefined);
    await routers.topology.exec('r1', 'ip', ['address', 'del', peers, 'dev', 'lo']);
    await routers.settle('r2');
  },
);

for (const lans of SIZES)
  pairTest(
    `${lans.length} LANs: a heartbeat port that another program has: named with it, nothing claimed`,
    { lans },
    async act => {
      const { t, routers } = act;
      const script = `const s = require('node:dgram').createSocket('udp4'); s.bind(694, '0.0.0.0', () => console.log('bound'));`;
      const holder = routers.topology.start('r2', process.execPath, ['-e', script]);
      await new Promise(resolve => holder.stdout?.once('data', resolve));
      routers.start('r1');
      await activeIs(act, 'r1', 10_000);
      const at = wallNow();
      routers.start('r2');
      await routers.until('the holder is known', 5_000, async () => {
        const links = (await routers.snapshot('r2'))?.links ?? [];
        return links.length > 0 && links.every(({ problem }) => problem?.includes(`(pid ${holder.pid})`));
      });
      const problem = (await routers.snapshot('r2'))?.links[0]?.problem;
      t.is(problem, `UDP port 694 of ${ownOf('r2', 'clients')} is in use by node (pid ${holder.pid})`);
      const { stdout } = await promisify(execFile)(process.execPath, [
        ...[CLI, 'status', '--run-dir', join(routers.directory, 'r2', 'run')],
      ]).catch((error: { stdout: string }) => error);
      t.true(stdout.includes(problem ?? '-'), stdout);
      await sleep(LISTEN_MS + 1_000);
      t.is(routers.heldAt('r2', at), undefined);
      holder.kill('SIGKILL');
      await routers.settle('r1');
      t.is(routers.heldAt('r2', at), undefined);
    },
  );

/** A cable without carrier, and the network manager's answer to that. */
async function unplugWithAddress(act: Act, router: Router, leg: Leg): Promise<void> {
  await setPlug(act.routers.topology, router, leg, 'down');
  await setOwn(act, router, 'del', [leg]);
}

pairTest(
  'links: [cross], power loss of the owner takes carrier and address of the cross link along: takeover at D',
  { links: ['cross'] },
  async act => {
    const { t, routers } = act;
    await settled(act);
    const [{ at }] = await Promise.all([routers.topology.cutPower('r1'), unplugWithAddress(act, 'r2', 'cross')]);
    await activeIs(act, 'r2', 5_000);
    const heldAfter = (routers.heldAt('r2', at) ?? Infinity) - at;
    t.log(`VIP on r2 ${heldAfter.toFixed(0)} ms after the cut`);
    t.true(heldAfter < DEAD_MS + SPARE_MS, `${heldAfter} ms`);
    t.is(logged(act, 'r2', 'OWN_ADDRESS_GONE')[0]?.carrier, false);
    await clientIsServed(act);
  },
);

pairTest(
  'links: [cross], the cable is pulled and both addresses go with it: nothing moves',
  { links: ['cross'] },
  async act => {
    const { t, routers } = act;
    await settled(act);
    const at = wallNow();
    await Promise.all((['r1', 'r2'] as const).map(router => unplugWithAddress(act, router, 'cross')));
    await sleep(3_000);
    t.is(routers.goneAt('r1', at), undefined);
    t.is(routers.heldAt('r2', at), undefined);
    await clientIsServed(act);
  },
);

pairTest(
  'a heartbeat link of the standby has lost its own address, and the owner its power: one takeover at D',
  {},
  async act => {
    const { t, routers } = act;
    await settled(act);
    await setOwn(act, 'r2', 'del', ['cross']);
    await sleep(1_000);
    const { at } = await routers.topology.cutPower('r1');
    await activeIs(act, 'r2', 5_000);
    const heldAfter = (routers.heldAt('r2', at) ?? Infinity) - at;
    t.log(`VIP on r2 ${heldAfter.toFixed(0)} ms after the cut`);
    t.true(heldAfter < DEAD_MS + SPARE_MS, `${heldAfter} ms`);
    await sleep(3 * DEAD_MS);
    t.is(routers.goneAt('r2', at), undefined, 'a dead peer echoes nothing: that is no reason to let go');
    await clientIsServed(act);
  },
);
