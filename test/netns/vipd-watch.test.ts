// vipd, built with AddressSanitizer, and who else touches its addresses: repair, probes, conflicts, hostile frames.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { PORT, sleep, VIPD_PLAIN, VIPS } from './io/vipd.ts';
import { assertClean } from './vipd-checks.ts';

/** The LAN of an address, by its index. */
const lanOf = (index: number) => (index < 2 ? 'lan0' : 'lan1');

const run = promisify(execFile);

buildForAll();

pairTest('an address that somebody removes is back at once, is announced, and is told', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 5_000);
  await sleep(600); // the first announcements are over
  const capture = await pair.capture('lan0', 'arp and host 192.0.2.100');
  const witness = await pair.witness();
  await pair.ip(pair.a, 'addr', 'del', `${VIPS[0]}/32`, 'dev', 'lan0');
  t.is(await vipd.line(/^repaired/), 'repaired 0');
  await pair.ip(pair.a, 'addr', 'del', `${VIPS[3]}/128`, 'dev', 'lan1');
  t.is(await vipd.line(/^repaired 3/), 'repaired 3');
  t.is((await pair.vips()).length, 4);
  await sleep(60);
  const times = (what: string) => Number(witness.matching(new RegExp(` ${what} 192.0.2.100$`))[0]?.split(' ')[0]);
  t.true(times('set') - times('gone') < 20_000, `back after ${times('set') - times('gone')} µs`);
  t.true(capture.matching(/Request who-has 192.0.2.100/).length >= 2);
  assertClean(t, vipd);
});

pairTest('repairs are rate-limited, and the fight ends with the address in place', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 20_000);
  let removed = 0;
  const end = performance.now() + 2_500;
  while (performance.now() < end) {
    const gone = await pair.ip(pair.a, 'addr', 'del', `${VIPS[0]}/32`, 'dev', 'lan0').then(
      () => 1,
      () => 0,
    );
    removed += gone;
  }
  await sleep(1_200);
  const repaired = vipd.matching(/^repaired 0$/).length;
  t.true(removed > 30, `${removed} removals make a fight`);
  t.true(repaired >= 20 && repaired <= 20 + 20 * 4, `${repaired} repairs of ${removed} removals`);
  t.is((await pair.vips()).length, 4);
  assertClean(t, vipd);
});

pairTest('removals that the kernel could not report (lost events) are repaired too', async (t, pair) => {
  const vipd = await pair.vipd();
  await pair.ip(pair.a, 'link', 'add', 'churn', 'type', 'veth', 'peer', 'name', 'churn-peer');
  await vipd.claim('7.1', 20_000, 'alone', 20_000);
  vipd.child.kill('SIGSTOP');
  const churn = Array.from({ length: 3_000 }, (_, i) => `link set churn mtu ${1_400 + (i % 2)}`);
  await pair.batch(pair.a, churn);
  await pair.ip(pair.a, 'addr', 'del', `${VIPS[1]}/128`, 'dev', 'lan0');
  t.is((await pair.vips()).length, 3);
  vipd.child.kill('SIGCONT');
  t.is(await vipd.line(/^repaired/, 300), 'repaired 1');
  t.is((await pair.vips()).length, 4);
  assertClean(t, vipd);
});

pairTest(
  'a probe is answered by the router that holds the address, with its MAC, and by nobody after removal',
  async (t, pair) => {
    const prober = await pair.vipd('a');
    const holder = await pair.vipd('b');
    const [mac0, mac1] = [await pair.mac(pair.b, 'lan0'), await pair.mac(pair.b, 'lan1')];
    const capture = await pair.capture('lan0', 'icmp[0] == 8 or ip6[40] == 128');
    await holder.claim('7.2', 10_000);
    await sleep(100); // the kernel serves an IPv6 address some milliseconds after it confirmed it
    for (const [index, mac] of [mac0, mac0, mac1, mac1].entries()) {
      prober.send(`probe p${index} ${index} ${mac} 200`);
      t.is(await prober.line(new RegExp(`^reply p${index} ${index} echo `)), `reply p${index} ${index} echo ${mac}`);
      t.is(await prober.line(new RegExp(`^reply p${index} ${index} arp `)), `reply p${index} ${index} arp ${mac}`);
      prober.send(`probe r${index} ${index} - 200`);
      t.is(await prober.line(new RegExp(`^reply r${index} ${index} echo `)), `reply r${index} ${index} echo ${mac}`);
    }
    await sleep(250);
    t.is(prober.matching(/^silent/).length, 0, 'a probe that was answered is not silent');
    await holder.release('7.2', 'quiet');
    await sleep(50);
    const echoes = capture.lines.map(({ text }) => text).join('\n');
    t.is(echoes.match(/ ttl 1,/g)?.length, 2, `a router that only forwards must not pass the echo on: ${echoes}`);
    t.is(echoes.match(/\(hlim 1,.*\[icmp6 sum ok\]/g)?.length, 2, echoes);
    await run('ip', [
      'netns',
      'exec',
      pair.b,
      'sysctl',
      '-qw',
      'net.ipv4.ip_forward=1',
      'net.ipv6.conf.all.forwarding=1',
    ]);
    const from = prober.lines.length;
    for (const index of [0, 1, 2, 3]) {
      prober.send(`probe g${index} ${index} ${index < 2 ? mac0 : mac1} 200`);
      prober.send(`probe h${index} ${index} - 200`);
    }
    await sleep(400);
    t.deepEqual(
      prober.lines
        .slice(from)
        .map(({ text }) => text)
        .sort(),
      ['g0', 'g1', 'g2', 'g3', 'h0', 'h1', 'h2', 'h3'].map(id => `silent ${id} ${id[1]}`),
      'nobody answers, and vipd tells the silence of each probe once',
    );
    t.is(prober.matching(/^conflict/).length, 0, 'a standby has nothing to be in conflict about');
    assertClean(t, prober);
    assertClean(t, holder);
  },
);

pairTest('as many addresses as a pair can have are claimed, announced, probed and let go of', async (t, pair) => {
  // Outside every network of the LAN, as routed VIPs are.
  const many = Array.from({ length: 64 }, (_, n) => `203.0.113.${100 + n}`);
  const args = (own: string, state: string) => [
    ...['--state', `${pair.statePath}${state}`, '--link', `192.0.2.${own},192.0.2.${5 - Number(own)},${PORT}`],
    ...many.flatMap(vip => ['--address', `${vip},lan0,192.0.2.${own}`]),
  ];
  const owner = await pair.vipd('a', args('2', ''), VIPD_PLAIN);
  const other = await pair.vipd('b', args('3', '.b'), VIPD_PLAIN);
  // A neighbour that learns from announcements alone: tcpdump loses frames of such a burst.
  await run('ip', ['netns', 'exec', pair.b, 'sysctl', '-qw', 'net.ipv4.conf.lan0.arp_accept=1']);
  const begun = performance.now();
  t.is(await owner.claim('7.1', 10_000), 'held 1 7.1');
  t.log(`64 addresses held after ${(performance.now() - begun).toFixed(1)} ms`);
  t.is((await pair.ip(pair.a, '-o', '-4', 'addr', 'show', 'dev', 'lan0')).match(/203\.0\.113\./g)?.length, 64);
  await sleep(600);
  const mac = await pair.mac(pair.a, 'lan0');
  const learnt = await pair.ip(pair.b, 'neigh', 'show', 'dev', 'lan0');
  t.deepEqual(
    many.filter(vip => !learnt.includes(`${vip} lladdr ${mac}`)),
    [],
    'every one was announced',
  );
  // At pulse's pace; a round must not push out the one before it, whose answers may be late.
  for (let round = 1; round <= 4; round += 1) {
    for (const index of many.keys()) other.send(`probe ${round} ${index} ${mac} 200`);
    await sleep(25);
  }
  for (let round = 1; round <= 4; round += 1)
    for (const index of many.keys()) await other.line(new RegExp(`^reply ${round} ${index} echo ${mac}`));
  t.is(other.matching(/^silent /).length, 0);
  t.is(await owner.release('7.1', 'quiet'), 'released 2 7.1');
  t.false((await pair.ip(pair.a, '-o', '-4', 'addr', 'show', 'dev', 'lan0')).includes('203.0.113.'));
});

pairTest('without an own address the probe still asks who has it', async (t, pair) => {
  const args = ['--state', pair.statePath, '--address', `${VIPS[0]},lan0,-`, '--address', `${VIPS[1]},lan0,-`];
  const prober = await pair.vipd('a', args);
  const holder = await pair.vipd('b');
  const mac = await pair.mac(pair.b, 'lan0');
  await holder.claim('7.2', 10_000);
  await sleep(1_100); // an advertisement of the claim itself would count as an answer
  for (const index of [0, 1]) {
    prober.send(`probe x ${index} ${mac} 200`);
    t.is(await prober.line(new RegExp(`^reply x ${index} arp `)), `reply x ${index} arp ${mac}`);
  }
  t.is(prober.matching(/ echo /).length, 0);
  assertClean(t, prober);
});

pairTest('two holders both see the conflict, with the MAC of the other', async (t, pair) => {
  const one = await pair.vipd('a');
  const other = await pair.vipd('b');
  await one.claim('7.1', 10_000);
  await other.claim('7.2', 10_000);
  const macs = { a: await pair.mac(pair.a, 'lan0'), b: await pair.mac(pair.b, 'lan0') };
  for (const index of [0, 1]) {
    t.is(await one.line(new RegExp(`^conflict ${index} `)), `conflict ${index} ${macs.b} ${lanOf(index)} ${macs.b}`);
    t.is(await other.line(new RegExp(`^conflict ${index} `)), `conflict ${index} ${macs.a} ${lanOf(index)} ${macs.a}`);
  }
  for (let i = 0; i < 50; i++) other.send('announce');
  await sleep(300);
  const seen = one.matching(/^conflict 0 /).length;
  t.true(seen >= 1 && seen <= 3, `${seen} reports of one rival`);
  assertClean(t, one);
  assertClean(t, other);
});

pairTest('claims from hostile frames are bounded, malformed frames are ignored', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 20_000);
  await sleep(50);
  const arp = (mac: string) =>
    Buffer.from(`ffffffffffff${mac}08060001080006040002${mac}c0000264${'ff'.repeat(6)}c0000264`, 'hex');
  await pair.inject('lan0', arp('020000000001'));
  t.is(await vipd.line(/^conflict/), 'conflict 0 02:00:00:00:00:01 lan0 02:00:00:00:00:01');
  const from = vipd.lines.length;
  for (let cut = 14; cut < 41; cut++) await pair.inject('lan0', arp('020000000002').subarray(0, cut));
  await sleep(100);
  t.deepEqual(
    vipd.lines.slice(from).map(({ text }) => text),
    [],
  );
  t.is(await vipd.renew('7.1', 20_000), 'held 2 7.1');
  assertClean(t, vipd);
});

pairTest('the helper gives no word for an address that is not held, though others are', async (t, pair) => {
  const owner = await pair.vipd('a');
  const prober = await pair.vipd('b');
  owner.mask = '1';
  await owner.claim('7.1', 10_000);
  const mac = await pair.mac(pair.a, 'lan0');
  prober.send(`probe w 0 ${mac} 300`);
  prober.send(`probe w 1 ${mac} 300`);
  await prober.line(/^reply w 0 word/);
  await prober.line(/^silent w 1/);
  t.is(prober.matching(/^reply w 1 word/).length, 0);
});
