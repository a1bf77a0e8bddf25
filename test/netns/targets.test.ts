// Reachability as vipd samples it, on real interfaces in network namespaces: targets that answer or not, one-way loss, traffic, and
// the port of the switch a foreign claim comes from. Needs root and nft.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { nft } from './io/packet-lease.ts';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { type Pair, sleep, type Vipd } from './io/vipd.ts';

const run = promisify(execFile);
const [EVERY_MS, WINDOW_MS] = [25, 200];
/** Until a change is told: the window, one sample, and a busy machine. */
const TOLD_MS = WINDOW_MS + EVERY_MS + 400;

buildForAll();

/** Targets: b's own addresses on lan0, by IPv4 and IPv6, and on lan1 one that is not ours to ask from. */
const TARGETS = ['192.0.2.3,lan0,192.0.2.2', '2001:db8:1::3,lan0,2001:db8:1::2', '198.51.100.3,lan1,-'] as const;

async function sampler(pair: Pair): Promise<Vipd> {
  return await pair.vipd('a', [...pair.args('a'), ...TARGETS.flatMap(target => ['--target', target])]);
}

/** The first line that matches, of those that come from now on. */
async function next(vipd: Vipd, pattern: RegExp, act: () => Promise<unknown> | unknown): Promise<string> {
  const from = vipd.lines.length;
  await act();
  return await vipd.line(pattern, TOLD_MS, from);
}

const sample = (vipd: Vipd) => () => vipd.send(`sample ${EVERY_MS} ${WINDOW_MS}`);

pairTest('targets are up when they answer, down after the window, up again at the first answer', async (t, pair) => {
  const vipd = await sampler(pair);
  sample(vipd)();
  for (const i of TARGETS.keys()) t.is(await vipd.line(new RegExp(`^target ${i} `), TOLD_MS), `target ${i} up`);
  const at = performance.now();
  t.is(
    await next(vipd, /^target/, () => pair.ip(pair.b, 'addr', 'del', '192.0.2.3/24', 'dev', 'lan0')),
    'target 0 down',
  );
  t.true(performance.now() - at >= WINDOW_MS - EVERY_MS);
  t.is(await next(vipd, /^target/, () => pair.ip(pair.b, 'addr', 'add', '192.0.2.3/24', 'dev', 'lan0')), 'target 0 up');
  t.is(
    await next(vipd, /^target/, () => pair.ip(pair.b, 'addr', 'del', '2001:db8:1::3/64', 'dev', 'lan0')),
    'target 1 down',
  );
  const from = vipd.lines.length;
  await sleep(3 * WINDOW_MS);
  t.deepEqual(
    vipd.lines.slice(from).map(({ text }) => text),
    [],
    'told on change only',
  );
  t.is(vipd.stderr, '');
});

pairTest('a target that is heard but does not hear us is down, although traffic is alive', async (t, pair) => {
  const vipd = await sampler(pair);
  sample(vipd)();
  await vipd.line(/^target 1 up/, TOLD_MS);
  await vipd.line(/^traffic lan0 alive/, TOLD_MS);
  // b pings all the time: its frames come in.
  const asking = pair.start(pair.b, 'ping', '-n', '-q', '-i', '0.05', '192.0.2.2');
  const oneWay =
    'table netdev oneway { chain in { type filter hook ingress device "lan0" priority 0; arp operation request drop; icmpv6 type nd-neighbor-solicit drop; }; }';
  const from = vipd.lines.length;
  await nft(pair.b, ['-f', '-'], oneWay);
  await vipd.line(/^target 0 down/, TOLD_MS, from);
  await vipd.line(/^target 1 down/, TOLD_MS, from);
  await sleep(2 * WINDOW_MS);
  t.deepEqual(
    vipd.lines.slice(from).filter(({ text }) => text.startsWith('traffic lan0')),
    [],
  );
  t.is(await next(vipd, /^target 0/, () => nft(pair.b, ['delete', 'table', 'netdev', 'oneway'])), 'target 0 up');
  asking.child.kill('SIGKILL');
});

pairTest('answers that are lost on their way in make a target down, too', async (t, pair) => {
  const vipd = await sampler(pair);
  sample(vipd)();
  await vipd.line(/^target 0 up/, TOLD_MS);
  const oneWay =
    'table netdev oneway { chain in { type filter hook ingress device "lan0" priority 0; arp operation reply drop; }; }';
  t.is(await next(vipd, /^target 0/, () => nft(pair.a, ['-f', '-'], oneWay)), 'target 0 down');
});

pairTest(
  'an interface without carrier, or without frames, is silent; the first frame makes it alive',
  async (t, pair) => {
    const vipd = await sampler(pair);
    sample(vipd)();
    await vipd.line(/^traffic lan0 alive/, TOLD_MS);
    await vipd.line(/^traffic lan1 alive/, TOLD_MS);
    t.is(await next(vipd, /^traffic/, () => pair.ip(pair.b, 'link', 'set', 'lan0', 'down')), 'traffic lan0 silent');
    // The kernel tells a second change of carrier within one second late; with its word the silence is told at the latest.
    await vipd.line(/^link 0 down/, 2_000);
    const atOf = (pattern: RegExp) => vipd.lines.find(({ text }) => pattern.test(text))?.at ?? NaN;
    t.true(atOf(/^traffic lan0 silent/) - atOf(/^link 0 down/) < 20);
    t.is(await next(vipd, /^traffic/, () => pair.ip(pair.b, 'link', 'set', 'lan0', 'up')), 'traffic lan0 alive');
    const deaf = 'table netdev deaf { chain out { type filter hook egress device "lan1" priority 0; drop; }; }';
    t.is(await next(vipd, /^traffic/, () => nft(pair.b, ['-f', '-'], deaf)), 'traffic lan1 silent');
  },
);

/** Gateways are looked for once a second. */
const FOUND_MS = 1_000 + TOLD_MS;
/** Without an answer, a neighbour is forgotten after 64 windows. */
const FORGOTTEN_MS = 64 * WINDOW_MS + FOUND_MS;

pairTest('without targets, gateways are neighbours that answer or not; the peer is none', async (t, pair) => {
  const vipd = await pair.vipd('a', [
    ...pair.args('a'),
    '--fixed',
    '192.0.2.3,-,lan0',
    '--fixed',
    '198.51.100.3,-,lan1',
  ]);
  // The kernel knows the peer, by this address and by another one.
  await pair.ip(pair.b, 'addr', 'add', '192.0.2.4/24', 'dev', 'lan0');
  for (const address of ['192.0.2.3', '192.0.2.4'])
    await run('ip', ['netns', 'exec', pair.a, 'ping', '-c', '1', '-W', '1', address]);
  sample(vipd)();
  for (const lan of ['lan0', 'lan1']) await vipd.line(new RegExp(`^neighbours ${lan} none`), TOLD_MS);
  await sleep(FOUND_MS);
  t.deepEqual(vipd.matching(/^neighbours \S+ (answer|silent)/), []);
  for (const [lan, gateway] of [
    ['lan0', '192.0.2.9/24'],
    ['lan1', '2001:db8:2::9/64'],
  ] as const) {
    await pair.ip(pair.b, 'addr', 'add', gateway, 'dev', lan, 'nodad');
    const route = ['route', 'add', 'default', 'via', gateway.split('/')[0] as string, 'dev', lan];
    const from = vipd.lines.length;
    await pair.ip(pair.a, ...route);
    t.is(await vipd.line(/^neighbours/, FOUND_MS, from), `neighbours ${lan} answer`);
  }
  const mute = 'table netdev mute { chain out { type filter hook egress device "lan1" priority 0; drop; }; }';
  t.is(await next(vipd, /^neighbours/, () => nft(pair.b, ['-f', '-'], mute)), 'neighbours lan1 silent');
  const heard = () => nft(pair.b, ['delete', 'table', 'netdev', 'mute']);
  t.is(await next(vipd, /^neighbours/, heard), 'neighbours lan1 answer');
  const from = vipd.lines.length;
  await pair.ip(pair.b, 'addr', 'del', '192.0.2.9/24', 'dev', 'lan0');
  t.is(await vipd.line(/^neighbours/, TOLD_MS, from), 'neighbours lan0 silent');
  const at = performance.now();
  t.is(await vipd.line(/^neighbours lan0 none/, FORGOTTEN_MS, from), 'neighbours lan0 none');
  t.true(performance.now() - at > 60 * WINDOW_MS);
  t.is(vipd.stderr, '');
});

pairTest('a host in the ARP table is a neighbour, and is asked at ease', async (t, pair) => {
  const vipd = await pair.vipd('a', [...pair.args('a'), '--fixed', '192.0.2.3,-,lan0']);
  // Another machine on b's side of the cable, with a MAC of its own.
  await pair.ip(pair.b, 'link', 'add', 'host0', 'link', 'lan0', 'address', '02:00:00:00:09:09', 'type', 'macvlan');
  await run('ip', ['netns', 'exec', pair.b, 'sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=1']);
  await pair.ip(pair.b, 'addr', 'add', '192.0.2.9/32', 'dev', 'host0');
  await pair.ip(pair.b, 'link', 'set', 'host0', 'up');
  await pair.ip(pair.a, 'neigh', 'replace', '192.0.2.9', 'lladdr', '02:00:00:00:09:09', 'dev', 'lan0', 'nud', 'stale');
  sample(vipd)();
  await vipd.line(/^neighbours lan0 none/, TOLD_MS);
  await sleep(FOUND_MS);
  t.deepEqual(vipd.matching(/^neighbours lan0 answer/), [], 'it could be the peer, whose MAC nobody knows yet');
  await run('ip', ['netns', 'exec', pair.a, 'ping', '-c', '1', '-W', '1', '192.0.2.3']);
  t.is(await vipd.line(/^neighbours lan0 answer/, FOUND_MS), 'neighbours lan0 answer');
  const capture = await pair.capture('lan0', 'arp');
  await sleep(1_000);
  const asked = capture.matching(/Request who-has 192.0.2.9/).length;
  t.true(asked > 0 && asked <= 1_000 / EVERY_MS + 2, `${asked} questions in a second`);
});

pairTest('a vipd that was stopped does not take its own absence for the silence of others', async (t, pair) => {
  const vipd = await sampler(pair);
  sample(vipd)();
  for (const i of TARGETS.keys()) await vipd.line(new RegExp(`^target ${i} up`), TOLD_MS);
  for (const lan of ['lan0', 'lan1']) await vipd.line(new RegExp(`^traffic ${lan} alive`), TOLD_MS);
  const from = vipd.lines.length;
  for (let i = 0; i < 4; i++) {
    vipd.child.kill('SIGSTOP');
    await sleep(2 * WINDOW_MS);
    vipd.child.kill('SIGCONT');
    await sleep(60);
  }
  t.deepEqual(
    vipd.lines.slice(from).filter(({ text }) => /^(target|traffic)/.test(text)),
    [],
  );
});

pairTest('what was heard at the end of a stop counts as heard then, not later', async (t, pair) => {
  const vipd = await sampler(pair);
  sample(vipd)();
  await vipd.line(/^target 0 up/, TOLD_MS);
  const from = vipd.lines.length;
  vipd.child.kill('SIGSTOP');
  // b answers our kernel, and then no more; vipd finds the answer when it runs again.
  await run('ip', ['netns', 'exec', pair.a, 'ip', 'neigh', 'flush', 'dev', 'lan0']);
  await run('ip', ['netns', 'exec', pair.a, 'ping', '-c', '1', '-W', '1', '192.0.2.3']);
  await pair.ip(pair.b, 'addr', 'del', '192.0.2.3/24', 'dev', 'lan0');
  await sleep(10 * TOLD_MS);
  vipd.child.kill('SIGCONT');
  t.is(await vipd.line(/^target 0 /, 2 * TOLD_MS, from), 'target 0 down');
});

pairTest('a new `sample` tells everything anew, `sample 0 0` ends it, nonsense is refused', async (t, pair) => {
  const vipd = await sampler(pair);
  sample(vipd)();
  await vipd.line(/^target 0 up/, TOLD_MS);
  await vipd.line(/^traffic lan0 alive/, TOLD_MS);
  const from = vipd.lines.length;
  sample(vipd)();
  for (const i of TARGETS.keys()) await vipd.line(new RegExp(`^target ${i} up`), TOLD_MS, from);
  await vipd.line(/^traffic lan0 alive/, TOLD_MS, from);
  vipd.send('sample 0 0');
  await sleep(50);
  const capture = await pair.capture('lan0', 'arp');
  await sleep(300);
  t.deepEqual(capture.matching(/Request who-has 192.0.2.3/), []);
  for (const nonsense of ['sample', 'sample 1', 'sample 0 5', 'sample 5 0', 'sample -1 5', 'sample 99999999 5'])
    t.regex(await next(vipd, /^error/, () => vipd.send(nonsense)), /bad command/);
});

pairTest('a target that changes its MAC is found again by the broadcasts in between', async (t, pair) => {
  const vipd = await sampler(pair);
  vipd.send('sample 20 400');
  await vipd.line(/^target 0 up/, TOLD_MS);
  await sleep(100);
  const from = vipd.lines.length;
  await pair.ip(pair.b, 'link', 'set', 'lan0', 'address', '02:00:00:00:00:77');
  await sleep(1_000);
  t.deepEqual(
    vipd.lines.slice(from).filter(({ text }) => text.startsWith('target 0')),
    [],
  );
});

/** What pulse on router a makes of a conflict. It gives up after some milliseconds, which a loaded machine may take: tried again. */
async function portAsPulseSees(pair: Pair, line: string): Promise<string> {
  const script = `
    import { withBridgePort } from '${new URL('../../src/pulse/io/bridge-port.js', import.meta.url)}';
    import { parseVipdLine } from '${new URL('../../src/vip/protocol.js', import.meta.url)}';
    const look = () => withBridgePort(parseVipdLine('${line}')).port;
    const looks = Array.from({ length: 20 }, look);
    console.log(looks.find(port => port.includes('/')) ?? looks[0]);`;
  const node = [process.execPath, '--input-type=module', '-e', script];
  const { stdout } = await run('ip', ['netns', 'exec', pair.a, ...node]);
  return stdout.trim();
}

pairTest('a claim on a bridge is told with the port it came in by', async (t, pair) => {
  await pair.batch(pair.a, [
    'link add br0 type bridge',
    'link set lan1 master br0',
    'link set lan0 master br0',
    'link set br0 up',
    'address add 192.0.2.9/24 dev br0',
  ]);
  const vipd = await pair.vipd('a', ['--state', pair.statePath, '--address', '192.0.2.100,br0,192.0.2.9']);
  await vipd.claim('7.1', 20_000);
  const rival = '020000000042';
  const claim = `ffffffffffff${rival}080600010800060400 01${rival}c0000264${'00'.repeat(6)}c0000264`.replaceAll(
    ' ',
    '',
  );
  const frame = Buffer.from(claim.padEnd(120, '0'), 'hex');
  const told = 'conflict 0 02:00:00:00:00:42 br0 02:00:00:00:00:42';
  await sleep(100);
  await pair.inject('lan0', frame);
  t.is(await vipd.line(/^conflict/), told);
  t.is(await portAsPulseSees(pair, told), 'br0/lan0');
  await sleep(1_100);
  t.is(await next(vipd, /^conflict/, () => pair.inject('lan1', frame)), told);
  t.is(await portAsPulseSees(pair, told), 'br0/lan1');
});
