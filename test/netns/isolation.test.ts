// What a pair makes of LANs that are cut, lose packets one way, or have strangers on them that answer: two real pulses in network
// namespaces, the fault injected for real. Needs root and `scripts/setup`. What the rules are: docs/internals/lans-and-isolation.md.
import { setTimeout as sleep } from 'node:timers/promises';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import {
  CLIENT_ADDRESSES,
  GATEWAY,
  ROUTERS,
  type Router,
  SERVER_ADDRESSES,
  VIP,
  VIP6,
  wallNow,
} from '../lab/pair/topology.ts';
import { type Answer, longest, overlapsOf, spansOf } from '../soak/evidence.ts';
import {
  addStranger,
  cutOff,
  gratuitousArp,
  heal,
  lose,
  reconnect,
  type Stranger,
  unsolicitedNa,
} from './io/faults.ts';
import { buildRouters, type RouterOptions, type Routers } from './io/routers.ts';
import { buildTools, startWatch, type Tools, type Watch } from './io/vip-watch.ts';

interface Context {
  stranger?: Stranger;
  tools: Tools;
  routers: Routers;
  watch: Watch;
  /** For the log, when all is well too. */
  notes: string[];
}
type Test = ExecutionContext<Context>;
const test = anyTest as TestFn<Context>;
let built = 0;

/** H, L and D of the default times. */
const INTERVAL_MS = 100;
const LEASE_MS = 220;
const DEAD_MS = 300;
const TARGETS = { clients: [CLIENT_ADDRESSES[0]], servers: [SERVER_ADDRESSES.fs1, SERVER_ADDRESSES.fs2] };
const TRIES_MAX = 3;

/**
 * A test that is tried again when it failed while the machine ran nobody, not even its real-time processes: a router that stands still for
 * its lease must let go, whatever else was to be shown.
 */
function calmly(title: string, body: (t: Test) => Promise<void>): void {
  test.serial(title, async t => {
    t.timeout(300_000);
    for (let tries = 1; ; tries += 1) {
      const context = { notes: [] } as unknown as Context;
      const attempt = await t.try(async inner => {
        inner.context = context;
        try {
          await body(inner);
        } finally {
          for (const [name, pulse] of Object.entries(context.routers?.pulses ?? {}))
            inner.log(name, pulse?.log.slice(-14));
          await tearDown(context);
        }
      });
      const stalledMs = context.watch?.longestStallMs() ?? 0;
      if (attempt.passed || tries === TRIES_MAX || stalledMs < INTERVAL_MS / 2) {
        for (const note of context.notes) t.log(note);
        return attempt.commit({ retainLogs: !attempt.passed });
      }
      attempt.discard({ retainLogs: false });
      t.log(`the machine stood still for ${stalledMs} ms: again`);
    }
  });
}

/** A third host on the clients' LAN; it goes with the test. */
async function strangerOn(context: Context): Promise<Stranger> {
  const stranger = await addStranger(context.routers.topology, 'clients', context.tools.wire);
  context.stranger = stranger;
  return stranger;
}

async function tearDown({ watch, routers, tools, stranger }: Context): Promise<void> {
  watch?.end();
  await stranger?.remove();
  await routers?.destroy();
  await tools?.remove();
}

/** A pair of which r1 is active, r2 stands by, and whose every target answers. */
async function settledPair(t: Test, config: RouterOptions['config'] = { targets: TARGETS }) {
  built += 1;
  t.context.tools = await buildTools();
  const routers = await buildRouters({
    prefix: `tp${process.pid}-i${built}-`,
    // As in pulse's unit.
    scheduling: ['chrt', '--rr', '50'],
    config,
  });
  t.context.routers = routers;
  for (const router of ROUTERS) routers.start(router);
  await routers.settle('r1');
  await routers.until('all targets answer', 5_000, async () => {
    const lans = (await Promise.all(ROUTERS.map(router => routers.snapshot(router)))).flatMap(s => s?.lans ?? []);
    return lans.length > 0 && lans.every(({ dead, targets }) => !dead && targets.every(({ up }) => up === true));
  });
  // Not before: pulses that start, in the real-time class, look like a machine that stands still.
  t.context.watch = await startWatch(routers.topology, t.context.tools);
  // A router that has just become active keeps the role for D.
  await sleep(2 * DEAD_MS);
  t.context.watch.take();
  return routers;
}

const told = (routers: Routers, router: Router, code: string) =>
  routers.pulses[router]?.log.find(line => line.code === code);

/** When a log line was written, wall ms. */
const timeOf = (line: Record<string, unknown> | undefined): number => Date.parse(String(line?.ts));

async function activeIs(routers: Routers, router: Router, within = 5_000): Promise<void> {
  await routers.until(`${router} active`, within, async () => {
    const snapshot = await routers.snapshot(router);
    return snapshot?.role === 'active' && snapshot.serving;
  });
  await sleep(300);
}

/** For how long both routers answered a client, and how long the machine itself stood still. */
function lookBack({ watch }: Context): { overlapMs: number; stalledMs: number; answers: readonly Answer[] } {
  const { answers, stalls } = watch.take();
  const of = (kind: 'one' | 'two', router: Router) =>
    spansOf(
      answers.filter(answer => answer.kind === kind && answer.mac === watch.macs[router]).map(({ at }) => at),
      35,
    );
  const both = overlapsOf(of('one', 'r1'), of('two', 'r2'));
  return {
    overlapMs: both.length === 0 ? 0 : Math.max(0.001, longest(both)),
    stalledMs: stalls.reduce((most, { ms }) => Math.max(most, ms), 0),
    answers,
  };
}

for (const [direction, words] of [
  ['in', 'the active router hears no heartbeats, the standby does'],
  ['out', 'the standby hears no heartbeats, the active router does'],
] as const) {
  calmly(`heartbeats lost one way only, ${words}: nothing moves`, async t => {
    const routers = await settledPair(t);
    const at = wallNow();
    const legs = ['clients', 'servers', 'cross'] as const;
    await lose(routers.topology, 'r1', { legs, directions: [direction], what: 'heartbeats' });
    await sleep(3_000);
    t.deepEqual(routers.holders(), ['r1']);
    t.is(routers.goneAt('r1', at), undefined, 'the VIP never left r1');
    t.is(routers.heldAt('r2', at), undefined, 'and never came to r2');
    const alarm = direction === 'in' ? told(routers, 'r1', 'PEER_SILENT') : told(routers, 'r2', 'LINKS_BROKEN');
    t.truthy(alarm, 'the router that hears nothing says so');
    await heal(routers.topology, 'r1');
    await routers.settle('r1');
    t.is(routers.goneAt('r1', at), undefined, 'nor when the links are back');
    t.is(lookBack(t.context).overlapMs, 0);
  });

  calmly(`the client LAN loses everything ${direction} of the active router: it hands over`, async t => {
    const routers = await settledPair(t);
    const at = wallNow();
    await lose(routers.topology, 'r1', { legs: ['clients'], directions: [direction], what: 'all' });
    await activeIs(routers, 'r2');
    t.deepEqual(routers.holders(), ['r2']);
    const dead = told(routers, 'r1', 'LAN_DEAD');
    t.is(dead?.lan, 'clients');
    const after = (routers.heldAt('r2', at) ?? Infinity) - timeOf(dead);
    const { overlapMs, stalledMs } = lookBack(t.context);
    t.context.notes.push(`noticed after ${(timeOf(dead) - at).toFixed(0)} ms, VIP on r2 ${after.toFixed(0)} ms later`);
    t.true(after < DEAD_MS + stalledMs, `${after} ms after it was noticed`);
    t.true(overlapMs <= LEASE_MS);
    await heal(routers.topology, 'r1');
    await routers.settle('r2');
    t.deepEqual(routers.holders(), ['r2'], 'and does not take it back by itself');
  });
}

calmly('a LAN of the clients that is cut at the switch, carrier and cross link whole: handover', async t => {
  const routers = await settledPair(t);
  const at = wallNow();
  await cutOff(routers.topology, 'r1', ['clients']);
  await activeIs(routers, 'r2');
  t.deepEqual(routers.holders(), ['r2']);
  const dead = told(routers, 'r1', 'LAN_DEAD');
  t.is(dead?.lan, 'clients');
  t.falsy(told(routers, 'r1', 'CARRIER_LOST'), 'the cable is whole');
  t.truthy(told(routers, 'r1', 'HANDOVER_DONE'), 'the other link carries the handover');
  const after = (routers.heldAt('r2', at) ?? Infinity) - timeOf(dead);
  const { stalledMs } = lookBack(t.context);
  t.context.notes.push(`noticed after ${(timeOf(dead) - at).toFixed(0)} ms, VIP on r2 ${after.toFixed(0)} ms later`);
  t.true(after < DEAD_MS + stalledMs, `${after} ms after it was noticed`);
});

calmly(
  'every LAN of the active router is cut: it lets go in less than the dead time, before the peer takes over',
  async t => {
    const routers = await settledPair(t);
    const at = wallNow();
    await cutOff(routers.topology, 'r1', ['clients', 'servers', 'cross']);
    await activeIs(routers, 'r2');
    const [gone, taken] = [routers.goneAt('r1', at) ?? Infinity, routers.heldAt('r2', at) ?? Infinity];
    const { stalledMs } = lookBack(t.context);
    t.context.notes.push(
      `r1 without the VIP after ${(gone - at).toFixed(0)} ms, r2 with it after ${(taken - at).toFixed(0)} ms`,
    );
    t.true(gone - at < DEAD_MS + stalledMs, `${gone - at} ms after the cut`);
    t.true(gone < taken, 'never both');
    t.truthy(told(routers, 'r1', 'ISOLATED'));
    await sleep(2_000);
    t.deepEqual(routers.holders(), ['r2'], 'nor does it take them back while it hears nobody');
    await reconnect(routers.topology, 'r1', ['clients', 'servers', 'cross']);
    await routers.settle('r2');
    t.deepEqual(routers.holders(), ['r2']);
    t.falsy(told(routers, 'r2', 'CONFLICT_WON'), 'there never were two');
  },
);

calmly('on_isolation: keep serves on, and the higher epoch wins when the LANs are back', async t => {
  const routers = await settledPair(t, { targets: TARGETS, heartbeat: { on_isolation: 'keep' } });
  const at = wallNow();
  await cutOff(routers.topology, 'r1', ['clients', 'servers', 'cross']);
  await activeIs(routers, 'r2');
  await sleep(2_000);
  t.is(routers.goneAt('r1', at), undefined, 'r1 keeps the VIP');
  t.deepEqual(routers.holders(), ['r1', 'r2'], 'that is what the policy means');
  t.truthy(told(routers, 'r1', 'ISOLATED'));
  await reconnect(routers.topology, 'r1', ['clients', 'servers', 'cross']);
  await routers.settle('r2');
  t.deepEqual(routers.holders(), ['r2']);
});

calmly('a target that dies alone moves nothing, be it the only one of its LAN', async t => {
  const routers = await settledPair(t, { targets: { clients: [CLIENT_ADDRESSES[1]], servers: TARGETS.servers } });
  const at = wallNow();
  await routers.topology.exec('fs1', 'ip', ['link', 'set', 's0', 'down']);
  await routers.until('both notice', 5_000, () =>
    ROUTERS.every(router => told(routers, router, 'TARGET_SILENT')?.target === SERVER_ADDRESSES.fs1),
  );
  await routers.topology.exec('client', 'ip', ['address', 'delete', `${CLIENT_ADDRESSES[1]}/24`, 'dev', 'c0']);
  await sleep(3_000);
  t.deepEqual(routers.holders(), ['r1']);
  t.is(routers.goneAt('r1', at), undefined);
  t.is(routers.heldAt('r2', at), undefined);
  t.falsy(told(routers, 'r1', 'HANDOVER_STARTED'));
});

calmly('a machine that answers for the VIP of a dead router does not keep the peer from taking it', async t => {
  const routers = await settledPair(t);
  const stranger = await strangerOn(t.context);
  await stranger.take(VIP);
  const { at } = await routers.topology.cutPower('r1');
  await activeIs(routers, 'r2');
  const after = (routers.heldAt('r2', at) ?? Infinity) - at;
  const { stalledMs } = lookBack(t.context);
  t.context.notes.push(`VIP on r2 ${after.toFixed(0)} ms after the cut`);
  t.true(after < 2 * DEAD_MS + stalledMs, `${after} ms after the cut`);
  const claimed = told(routers, 'r2', 'VIP_CLAIMED_BY_OTHER');
  t.is(claimed?.mac, stranger.mac, 'the machine is named');
  t.is(claimed?.address, VIP);
});

calmly(
  'a router with proxy ARP that answers for the VIP of a dead router does not keep the peer from taking it',
  async t => {
    const routers = await settledPair(t);
    const stranger = await strangerOn(t.context);
    await stranger.proxy(VIP);
    const { at } = await routers.topology.cutPower('r1');
    await activeIs(routers, 'r2');
    const after = (routers.heldAt('r2', at) ?? Infinity) - at;
    const { stalledMs, answers } = lookBack(t.context);
    t.true(
      answers.some(({ kind, mac }) => kind === 'arp' && mac === stranger.mac),
      'it did answer',
    );
    t.context.notes.push(`VIP on r2 ${after.toFixed(0)} ms after the cut`);
    t.true(after < 2 * DEAD_MS + stalledMs, `${after} ms after the cut`);
  },
);

calmly('a router that starts alone takes the VIP that a third machine answers for, and names it', async t => {
  t.context.tools = await buildTools();
  built += 1;
  const prefix = `tp${process.pid}-i${built}-`;
  const routers = await buildRouters({ prefix, scheduling: ['chrt', '--rr', '50'], config: { targets: TARGETS } });
  t.context.routers = routers;
  const stranger = await strangerOn(t.context);
  await stranger.take(VIP);
  await routers.topology.cutPower('r2');
  routers.start('r1');
  await routers.until('r1 active', 15_000, async () => (await routers.snapshot('r1'))?.role === 'active');
  t.is(told(routers, 'r1', 'VIP_CLAIMED_BY_OTHER')?.mac, stranger.mac);
});

/** MAC that the client has for an address. */
async function neighbour(routers: Routers, address: string): Promise<string | undefined> {
  const { stdout } = await routers.topology.exec('client', 'ip', ['neigh', 'show', 'to', address, 'dev', 'c0']);
  return /lladdr ([0-9a-f:]{17})/.exec(stdout)?.[1];
}

calmly(
  'a third machine claims the VIP: named with its MAC and port, and a new announcement wins the clients back',
  async t => {
    const routers = await settledPair(t);
    const stranger = await strangerOn(t.context);
    const own = t.context.watch.macs.r1;
    t.is(await neighbour(routers, VIP), own);
    for (const form of ['request', 'reply'] as const) {
      await stranger.send(gratuitousArp(VIP, stranger.mac, form));
      await routers.until('the client knows the right MAC', 1_000, async () => (await neighbour(routers, VIP)) === own);
    }
    await sleep(300);
    const claimed = told(routers, 'r1', 'VIP_CLAIMED_BY_OTHER');
    t.is(claimed?.mac, stranger.mac);
    t.is(claimed?.address, VIP);
    t.is(claimed?.port, 'c0');
    t.is((await routers.snapshot('r1'))?.role, 'active');
    const { answers } = lookBack(t.context);
    const foreign = answers.filter(({ kind, mac }) => kind === 'path' && mac !== own);
    t.deepEqual(foreign, [], 'no client was answered by another');
  },
);

calmly(
  'on_conflict: stand-down: three claims, and neither router holds the VIP until the machine is silent',
  async t => {
    const routers = await settledPair(t, { targets: TARGETS, heartbeat: { on_conflict: 'stand-down' } });
    const stranger = await strangerOn(t.context);
    const claim = async () => {
      await stranger.send(gratuitousArp(VIP, stranger.mac, 'request'));
      // vipd tells of the same machine once a second.
      await sleep(1_100);
    };
    for (let claims = 0; claims < 3; claims += 1) await claim();
    await routers.until('nobody holds the VIP', 2_000, () => routers.holders().length === 0);
    t.is(told(routers, 'r1', 'STANDS_DOWN')?.mac, stranger.mac);
    const since = wallNow();
    await sleep(4_000);
    t.deepEqual(routers.holders(), [], 'nobody claims it while it is contested');
    // Silent for 30 s: it is free again.
    await routers.until('one router serves again', 45_000, () => routers.holders().length === 1);
    t.true(wallNow() - since > 25_000);
  },
);

calmly('with IPv6: an address that answers by IPv6 alone is served, and is not taken', async t => {
  const routers = await settledPair(t, { ipv6: true, targets: TARGETS });
  const { topology } = routers;
  const at = wallNow();
  const legs = ['clients', 'servers', 'cross'] as const;
  await lose(topology, 'r1', { legs, directions: ['out'], what: 'heartbeats' });
  // r1 answers no echo by IPv4 any more.
  const silence = `table ip quiet { chain c { type filter hook input priority -300; ip daddr { ${VIP}, ${GATEWAY} } drop; }; }\n`;
  await topology.exec('r1', 'nft', ['-f', '-'], { input: silence });
  await sleep(2_500);
  t.is(routers.heldAt('r2', at), undefined, 'the IPv6 VIPs answer: r1 is alive');
  t.truthy(told(routers, 'r2', 'LINKS_BROKEN'));
  await topology.exec('r1', 'nft', ['delete', 'table', 'ip', 'quiet']);
  await heal(topology, 'r1');
  await routers.settle('r1');
  await topology.cutPower('r1');
  await activeIs(routers, 'r2');
  const { stdout } = await topology.exec('r2', 'ip', ['-6', '-o', 'address', 'show', 'dev', 'c0']);
  t.regex(stdout, /2001:db8:1::100\/128/, 'dead, it is taken, IPv6 too');
});

calmly('with IPv6: a third machine that claims the IPv6 VIP is named', async t => {
  const routers = await settledPair(t, { ipv6: true, targets: TARGETS });
  const stranger = await strangerOn(t.context);
  const address = Buffer.from('20010db8000100000000000000000100', 'hex');
  await stranger.send(unsolicitedNa(address, stranger.mac));
  await routers.until('the claim is told', 2_000, () => told(routers, 'r1', 'VIP_CLAIMED_BY_OTHER') !== undefined);
  const claimed = told(routers, 'r1', 'VIP_CLAIMED_BY_OTHER');
  t.is(claimed?.address, VIP6);
  t.is(claimed?.mac, stranger.mac);
  t.is((await routers.snapshot('r1'))?.role, 'active');
});

/** Neither an echo nor what one vipd asks the other. */
const PROBES_DROPPED = `table netdev tandem_test_probes { chain probes {
  type filter hook ingress devices = { c0, s0 } priority -600;
  ip protocol icmp drop; ether type 0x88b6 drop;
}; }\n`;
/** vipd's refresh of an announcement. */
const ANNOUNCED_EVERY_MS = 30_000;

for (const { title, probes, withinMs } of [
  { title: 'probes answered', probes: true, withinMs: 3 * DEAD_MS },
  { title: 'probes dropped too', probes: false, withinMs: ANNOUNCED_EVERY_MS + 3 * DEAD_MS },
]) {
  calmly(`heartbeats dropped from the start, ${title}: one owner, and the other takes over when it dies`, async t => {
    built += 1;
    t.context.tools = await buildTools();
    const routers = await buildRouters({
      prefix: `tp${process.pid}-i${built}-`,
      scheduling: ['chrt', '--rr', '50'],
      config: { targets: TARGETS },
    });
    t.context.routers = routers;
    const legs = ['clients', 'servers', 'cross'] as const;
    for (const router of ROUTERS) {
      await lose(routers.topology, router, { legs, directions: ['in'], what: 'heartbeats' });
      if (!probes) await routers.topology.exec(router, 'nft', ['-f', '-'], { input: PROBES_DROPPED });
    }
    for (const router of ROUTERS) routers.start(router);
    await routers.until('an owner', 15_000, () => routers.holders().length > 0);
    // Whoever claims at the same moment has let go by now.
    await sleep(3_000);
    t.context.watch = await startWatch(routers.topology, t.context.tools);
    const [owner = 'r1', ...others] = routers.holders();
    t.deepEqual(others, [], 'one owner');
    const bothMs = routers.overlapMs();
    t.true(bothMs < DEAD_MS, `both for ${bothMs} ms`);
    await sleep(4_000);
    t.deepEqual(routers.holders(), [owner], 'and nothing moves');
    t.is((await routers.snapshot(owner))?.peer, null, 'never heard');
    for (const router of ROUTERS) t.is((await routers.snapshot(router))?.foreign, null, 'no third machine');
    const other = owner === 'r1' ? 'r2' : 'r1';
    const { at } = await routers.topology.cutPower(owner);
    await activeIs(routers, other, ANNOUNCED_EVERY_MS + 10 * DEAD_MS);
    const after = (routers.heldAt(other, at) ?? Infinity) - at;
    t.context.notes.push(`${owner} owned, both for ${bothMs.toFixed(1)} ms; taken after ${after.toFixed(0)} ms`);
    t.true(after < withinMs + lookBack(t.context).stalledMs, `${after} ms after the cut`);
  });
}

calmly('two owners that never heard each other: when their LANs meet, the first name stays', async t => {
  built += 1;
  t.context.tools = await buildTools();
  // Without targets nobody is isolated.
  const routers = await buildRouters({ prefix: `tp${process.pid}-i${built}-`, scheduling: ['chrt', '--rr', '50'] });
  t.context.routers = routers;
  const { topology } = routers;
  for (const router of ROUTERS)
    await lose(topology, router, { legs: ['clients', 'servers', 'cross'], directions: ['in'], what: 'heartbeats' });
  await cutOff(topology, 'r1', ['clients', 'servers']);
  for (const router of ROUTERS) routers.start(router);
  await routers.until('both own', 15_000, () => routers.holders().length === 2);
  await sleep(1_000);
  await reconnect(topology, 'r1', ['clients', 'servers']);
  const at = wallNow();
  // The next announcement tells.
  await routers.until('one owns', ANNOUNCED_EVERY_MS + 10 * DEAD_MS, () => routers.holders().length === 1);
  t.context.watch = await startWatch(topology, t.context.tools);
  await sleep(3_000);
  t.deepEqual(routers.holders(), ['r1']);
  t.is(routers.goneAt('r1', at), undefined, 'it has never let go');
});
