// vipd's word on the routers' fixed addresses, on real interfaces in a network namespace. Needs root.
import type { ExecutionContext } from 'ava';
import { run } from '../lab/pair/netns.ts';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { type Pair, sleep, type Vipd } from './io/vipd.ts';

/** An address that goes within this time of its carrier went with it. */
const WITH_CARRIER_MS = 1_000;
const TOLD_MS = 1_500;

buildForAll();

/** Own on lan0 by IPv4 and IPv6, own on lan1, the peer's wherever it is, own on an interface that is not there yet. */
const FIXED = [
  '192.0.2.2,lan0',
  '2001:db8:1::2,lan0',
  '198.51.100.2,lan1',
  '192.0.2.3,-',
  '203.0.113.2,late0',
] as const;

function ownTest(
  title: string,
  body: (t: ExecutionContext, pair: Pair, vipd: Vipd) => Promise<void>,
  more: readonly string[] = [],
): void {
  pairTest(title, async (t, pair) => {
    const fixed = [...FIXED, ...more].flatMap(address => ['--fixed', address]);
    const vipd = await pair.vipd('a', [...pair.args('a'), ...fixed]);
    await vipd.line(/^fixed 4 /);
    await body(t, pair, vipd);
    t.is(vipd.stderr, '');
  });
}

const words = (vipd: Vipd): string[] => vipd.matching(/^fixed /);

async function next(vipd: Vipd, act: () => Promise<unknown>): Promise<string> {
  const from = vipd.lines.length;
  await act();
  return await vipd.line(/^fixed /, TOLD_MS, from);
}

ownTest('at the start every fixed address is told, whether it is there or not', async (t, _pair, vipd) => {
  t.deepEqual(words(vipd), ['fixed 0 here', 'fixed 1 here', 'fixed 2 here', 'fixed 3 gone', 'fixed 4 down']);
});

ownTest('one that somebody removes is gone, and here again when it is put back', async (t, pair, vipd) => {
  const ip = (...args: string[]) => pair.ip(pair.a, 'addr', ...args);
  t.is(await next(vipd, () => ip('del', '192.0.2.2/24', 'dev', 'lan0')), 'fixed 0 gone');
  // On another interface it serves for nothing.
  const from = vipd.lines.length;
  await ip('add', '192.0.2.2/24', 'dev', 'lan1');
  await sleep(100);
  t.deepEqual(vipd.matching(/^fixed /).length, 6, vipd.summary());
  await ip('del', '192.0.2.2/24', 'dev', 'lan1');
  t.is(await next(vipd, () => ip('add', '192.0.2.2/24', 'dev', 'lan0')), 'fixed 0 here');
  t.is(vipd.lines.slice(from).filter(({ text }) => text.startsWith('fixed')).length, 1);
  // Twice on one interface, with different prefixes: it is there until the last of them has gone.
  await ip('add', '192.0.2.2/32', 'dev', 'lan0');
  await ip('del', '192.0.2.2/24', 'dev', 'lan0');
  await sleep(100);
  t.is(words(vipd).at(-1), 'fixed 0 here');
  t.is(await next(vipd, () => ip('del', '192.0.2.2/32', 'dev', 'lan0')), 'fixed 0 gone');
});

ownTest('an IPv6 address counts once it is proven unique', async (t, pair, vipd) => {
  const ip = (...args: string[]) => pair.ip(pair.a, 'addr', ...args);
  t.is(await next(vipd, () => ip('del', '2001:db8:1::2/64', 'dev', 'lan0')), 'fixed 1 gone');
  const from = vipd.lines.length;
  await ip('add', '2001:db8:1::2/64', 'dev', 'lan0');
  await sleep(100);
  t.is(vipd.lines.slice(from).filter(({ text }) => text.startsWith('fixed')).length, 0, 'tentative');
  t.is(await vipd.line(/^fixed /, 4_000, from), 'fixed 1 here');
});

ownTest(
  'one that goes with its carrier is down, and gone when the carrier is back without it',
  async (t, pair, vipd) => {
    const ip = (...args: string[]) => pair.ip(pair.a, ...args);
    await pair.ip(pair.b, 'link', 'set', 'lan1', 'down');
    await vipd.line(/^link 2 down/);
    t.is(await next(vipd, () => ip('addr', 'del', '198.51.100.2/24', 'dev', 'lan1')), 'fixed 2 down');
    await sleep(WITH_CARRIER_MS + 200);
    t.is(words(vipd).at(-1), 'fixed 2 down', 'for as long as the carrier is away');
    await pair.ip(pair.b, 'link', 'set', 'lan1', 'up');
    const at = performance.now();
    t.is(await vipd.line(/^fixed 2 gone/, WITH_CARRIER_MS + TOLD_MS), 'fixed 2 gone');
    t.true(performance.now() - at > WITH_CARRIER_MS / 2, 'not before the network manager had its time');
    t.is(await next(vipd, () => ip('addr', 'add', '198.51.100.2/24', 'dev', 'lan1')), 'fixed 2 here');
  },
);

ownTest('an interface that comes late is found by its name, the peer’s address anywhere', async (t, pair, vipd) => {
  const ip = (...args: string[]) => pair.ip(pair.a, ...args);
  const from = vipd.lines.length;
  await ip('link', 'add', 'late0', 'type', 'veth', 'peer', 'name', 'far0');
  await ip('addr', 'add', '203.0.113.2/24', 'dev', 'late0');
  await ip('link', 'set', 'late0', 'up');
  await ip('link', 'set', 'far0', 'up');
  t.is(await vipd.line(/^fixed 4 here/, TOLD_MS, from), 'fixed 4 here');
  t.is(await next(vipd, () => ip('addr', 'add', '192.0.2.3/32', 'dev', 'lo')), 'fixed 3 here');
  t.is(await next(vipd, () => ip('addr', 'del', '192.0.2.3/32', 'dev', 'lo')), 'fixed 3 gone');
  t.is(await next(vipd, () => ip('link', 'del', 'late0')), 'fixed 4 down', 'it went with its interface');
});

const PEERS = ['192.0.2.4,-,lan0', '2001:db8:1::4,-,lan0', '198.51.100.4,-,lan1'];

async function unrouted(t: ExecutionContext, pair: Pair, vipd: Vipd): Promise<void> {
  const ip = (...args: string[]) => pair.ip(pair.a, ...args);
  vipd.send('sample 50 125');
  t.is(await next(vipd, () => ip('route', 'del', '192.0.2.0/24', 'dev', 'lan0')), 'fixed 0 unrouted');
  t.is(await next(vipd, () => ip('route', 'add', '192.0.2.0/24', 'dev', 'lan0')), 'fixed 0 here');
  t.is(await next(vipd, () => ip('-6', 'rule', 'add', 'pref', '10', 'prohibit')), 'fixed 1 unrouted');
  t.is(await next(vipd, () => ip('-6', 'rule', 'del', 'pref', '10')), 'fixed 1 here');
  t.is(await next(vipd, () => ip('rule', 'add', 'to', '198.51.100.0/24', 'blackhole')), 'fixed 2 unrouted');
  t.is(await next(vipd, () => ip('addr', 'del', '198.51.100.2/24', 'dev', 'lan1')), 'fixed 2 gone');
  await ip('rule', 'del', 'to', '198.51.100.0/24', 'blackhole');
  t.is(await next(vipd, () => ip('addr', 'add', '198.51.100.2/24', 'dev', 'lan1')), 'fixed 2 here');
  // A kernel may forget the routes of an interface without carrier.
  await run('ip', ['netns', 'exec', pair.a, 'sysctl', '-qw', 'net.ipv4.conf.all.ignore_routes_with_linkdown=1']);
  const from = vipd.lines.length;
  await pair.ip(pair.b, 'link', 'set', 'lan1', 'down');
  await sleep(300);
  await pair.ip(pair.b, 'link', 'set', 'lan1', 'up');
  await sleep(WITH_CARRIER_MS + 300);
  t.deepEqual(
    vipd.lines.slice(from).filter(({ text }) => text.startsWith('fixed')),
    [],
  );
}

ownTest(
  'without a way to the peer’s on its LAN an address is unrouted; a cable that is out says nothing',
  unrouted,
  PEERS,
);

ownTest(
  'a way by the gateway of another interface is none; one by the LAN’s own gateway or another cable of the LAN is one',
  async (t, pair, vipd) => {
    const ip = (...args: string[]) => pair.ip(pair.a, ...args);
    const stays = async (what: string, act: () => Promise<unknown>) => {
      const told = words(vipd).length;
      await act();
      await sleep(300);
      t.deepEqual(words(vipd).slice(told), [], what);
    };
    vipd.send('sample 50 125');
    await stays('a default route elsewhere', async () => {
      await ip('route', 'add', 'default', 'via', '198.51.100.9', 'dev', 'lan1');
      await ip('-6', 'route', 'add', 'default', 'via', '2001:db8:2::9', 'dev', 'lan1');
    });
    t.is(await next(vipd, () => ip('route', 'del', '192.0.2.0/24', 'dev', 'lan0')), 'fixed 0 unrouted');
    t.is(await next(vipd, () => ip('-6', 'route', 'del', '2001:db8:1::/64', 'dev', 'lan0')), 'fixed 1 unrouted');
    const byGateway = ['192.0.2.0/24', 'via', '192.0.2.9', 'dev', 'lan0', 'onlink'];
    t.is(await next(vipd, () => ip('route', 'add', ...byGateway)), 'fixed 0 here');
    await stays('a second cable', () => ip('route', 'replace', '192.0.2.0/24', 'dev', 'lan1'));
    t.is(await next(vipd, () => ip('-6', 'route', 'add', '2001:db8:1::/64', 'dev', 'lan1')), 'fixed 1 here');
  },
  PEERS,
);

ownTest(
  'while ARP is switched off no address of the interface has a way',
  async (t, pair, vipd) => {
    const ip = (...args: string[]) => pair.ip(pair.a, ...args);
    vipd.send('sample 50 125');
    const from = vipd.lines.length;
    t.is(await next(vipd, () => ip('link', 'set', 'lan0', 'arp', 'off')), 'fixed 0 unrouted');
    await vipd.line(/^fixed 1 unrouted/, TOLD_MS, from);
    t.is(await next(vipd, () => ip('link', 'set', 'lan0', 'arp', 'on')), 'fixed 0 here');
    await vipd.line(/^fixed 1 here/, TOLD_MS, from);
  },
  PEERS,
);

ownTest(
  'an address that is there but cannot be bound, as of an interface in a VRF, is unrouted',
  async (t, pair, vipd) => {
    const ip = (...args: string[]) => pair.ip(pair.a, ...args);
    // Not every kernel has VRFs. For sockets outside one it is as if this route were missing.
    const local = ['local', '192.0.2.2', 'dev', 'lan0', 'table', 'local'];
    vipd.send('sample 50 125');
    t.is(await next(vipd, () => ip('route', 'del', ...local)), 'fixed 0 unrouted');
    t.is(await next(vipd, () => ip('route', 'add', ...local)), 'fixed 0 here');
  },
  PEERS,
);

ownTest('events that are lost are made up for: the list is taken anew', async (t, pair, vipd) => {
  vipd.child.kill('SIGSTOP');
  const many = (verb: string) =>
    Array.from({ length: 4_000 }, (_, i) => `addr ${verb} 10.${(i >> 8) & 255}.${i & 255}.1/32 dev lan1`);
  await pair.batch(pair.a, [...many('add'), 'addr del 192.0.2.2/24 dev lan0', ...many('del')]);
  const from = vipd.lines.length;
  vipd.child.kill('SIGCONT');
  t.is(await vipd.line(/^fixed /, 5_000, from), 'fixed 0 gone');
});
