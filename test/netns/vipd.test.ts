// vipd itself, built with AddressSanitizer, on real interfaces in network namespaces: the lease, the last will, kernel
// lifetimes, repair, probes and everything hostile that its pipe or the wire may bring.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { PROBE_WINDOW_MS_MAX, probeLine, sampleLine } from '../../src/vip/protocol.ts';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { type Lines, nowUs, PORT, sleep, VIPD_PLAIN, VIPS, type Vipd } from './io/vipd.ts';

const run = promisify(execFile);
const WILL = 'c0ffee5a';
/** The LAN of an address, by its index. */
const lanOf = (index: number) => (index < 2 ? 'lan0' : 'lan1');

buildForAll();

function wills(witness: Lines): string[] {
  return witness.matching(new RegExp(` udp .*${WILL}$`));
}

/** Every address is gone before the first datagram of the will. */
function assertRemovedBeforeWill(t: ExecutionContext, witness: Lines): void {
  const order = witness.lines.map(({ text }) => text);
  const first = order.findIndex(text => text.includes(WILL));
  t.true(first >= 0, 'a will was sent');
  for (const vip of VIPS) {
    const gone = order.findLastIndex(text => text.endsWith(` gone ${vip}`));
    t.true(gone >= 0 && gone < first, `${vip} went before the will: ${JSON.stringify(order)}`);
  }
}

function assertClean(t: ExecutionContext, vipd: Vipd): void {
  t.is(vipd.stderr, '');
}

pairTest('a claim adds IPv4 and IPv6 addresses on two interfaces with short kernel lifetimes', async (t, pair) => {
  const vipd = await pair.vipd();
  t.regex(vipd.lines[0]?.text ?? '', /^hello \d+\.\d+\.\d+ 0\.0 none 0$/);
  await vipd.line(/^link 3 up /);
  t.is(vipd.matching(/^link /)[0], `link 0 up ${await pair.mac(pair.a, 'lan0')}`);
  t.is(await vipd.claim('7.1', 400), 'held 1 7.1');
  const vips = await pair.vips();
  t.deepEqual(vips.map(({ address }) => address).sort(), [...VIPS].sort());
  for (const { address, valid, preferred, prefix } of vips) {
    t.is(valid, 1, address);
    t.is(preferred, address.includes(':') ? 0 : 1, address);
    t.is(prefix, address.includes(':') ? 128 : 32, address);
  }
  t.is(await vipd.renew('7.1', 600, 'alone', 3_000), 'held 2 7.1');
  await sleep(50);
  for (const { address, valid } of await pair.vips()) t.true(valid === 4 || valid === 3, `${address} ${valid}`);
  assertClean(t, vipd);
});

pairTest('a claim is announced in both ARP forms and by neighbour advertisements, several times', async (t, pair) => {
  const vipd = await pair.vipd();
  const mac = await pair.mac(pair.a, 'lan0');
  const stale = '02:00:00:00:00:99';
  for (const vip of [VIPS[0], VIPS[1]]) {
    await pair.ip(pair.b, 'neigh', 'replace', vip, 'lladdr', stale, 'dev', 'lan0', 'nud', 'reachable');
  }
  const capture = await pair.capture('lan0', '(arp and host 192.0.2.100) or (icmp6 and ip6[40] == 136)');
  await vipd.claim('7.1', 2_000);
  await sleep(700);
  t.is(await pair.neighbour(pair.b, VIPS[0]), mac, "the peer's ARP entry points to the new owner");
  t.is(await pair.neighbour(pair.b, VIPS[1]), mac, "the peer's neighbour entry points to the new owner");
  const text = capture.lines.map(line => line.text).join('\n');
  const requests = capture.matching(
    new RegExp(`${mac} > ff:ff:ff:ff:ff:ff.*Request who-has 192.0.2.100 .*tell 192.0.2.100`),
  );
  const replies = capture.matching(new RegExp(`${mac} > ff:ff:ff:ff:ff:ff.*Reply 192.0.2.100 is-at ${mac}`));
  t.is(requests.length, 4, `at 0, 20, 100 and 500 ms: ${text}`);
  t.is(replies.length, 4, text);
  t.is(
    text.match(
      /2001:db8:1::100 > ff02::1: \[icmp6 sum ok\].*advertisement.*tgt is 2001:db8:1::100, Flags \[override\]/g,
    )?.length,
    4,
    text,
  );
  t.regex(text, /> 33:33:00:00:00:01.*hlim 255/);
  vipd.send('announce');
  await sleep(200);
  t.is(capture.matching(/Request who-has 192.0.2.100/).length, 7, 'the schedule begins anew');
  assertClean(t, vipd);
});

pairTest(
  'when the lease ends, the addresses go first and the will is sent three times on every link',
  async (t, pair) => {
    const vipd = await pair.vipd();
    const witness = await pair.witness();
    const otherLink = await pair.witness('lan1');
    vipd.send(`will ${WILL}`);
    const at = nowUs();
    await vipd.claim('7.1', 300);
    t.is(await vipd.line(/^expired /), 'expired 7.1');
    await sleep(60);
    assertRemovedBeforeWill(t, witness);
    assertRemovedBeforeWill(t, otherLink);
    t.is(wills(witness).length, 3);
    t.is(wills(otherLink).length, 3);
    for (const text of wills(witness)) t.regex(text, / udp from=694 ttl=1 192\.0\.2\.3 /);
    const gone = witness.matching(/ gone /).map(text => (Number(text.split(' ')[0]) - at) / 1_000);
    for (const ms of gone) t.true(ms >= 300 && ms < 330, `removed ${ms} ms after the lease began`);
    t.is(await vipd.renew('7.1', 300), 'refused 2 not-held');
    t.is(await vipd.claim('7.1', 300), 'refused 3 stale-epoch', 'the will closed this epoch for good');
    t.is(await vipd.claim('8.1', 300), 'held 4 8.1');
    assertClean(t, vipd);
  },
);

pairTest('renewals keep the addresses well beyond lease and kernel lifetime, without a gap', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 400);
  const witness = await pair.witness();
  vipd.keepRenewing('7.1', 400);
  await sleep(3_000);
  t.is(witness.matching(/ gone /).length, 0);
  t.is((await pair.vips()).length, 4);
  const held = vipd.matching(/^held /);
  t.true(held.length > 20, `${held.length} renewals were acknowledged`);
  t.is(vipd.matching(/^(refused|repaired|error|expired)/).length, 0);
  assertClean(t, vipd);
});

pairTest('a closed pipe while armed removes the addresses and sends the will', async (t, pair) => {
  const vipd = await pair.vipd();
  const witness = await pair.witness();
  vipd.send(`will ${WILL}`);
  await vipd.claim('7.1', 10_000);
  vipd.closePipe();
  t.is(await vipd.exited, 0);
  t.deepEqual(await pair.vips(), []);
  await witness.line(/ udp /);
  assertRemovedBeforeWill(t, witness);
  t.is(wills(witness).length, 3);
  t.regex(await readFile(pair.statePath, 'utf8'), /^mode none\nclosed yes$/m);
  assertClean(t, vipd);
});

pairTest(
  "a peer whose sockets are connected to the heartbeat's port hears the will, by IPv4 and IPv6",
  async (t, pair) => {
    // As pulse has them (src/pulse/io/heartbeat-sockets.ts): nothing from another port gets in.
    const script = `
    for (const [type, local, remote] of [['udp4', '192.0.2.3', '192.0.2.2'], ['udp6', '2001:db8:1::3', '2001:db8:1::2']]) {
      const socket = require('node:dgram').createSocket(type);
      socket.on('message', (bytes, from) => console.log(type, from.port, bytes.toString('hex')));
      socket.bind(${PORT}, local, () => socket.connect(${PORT}, remote, () => console.log(type, 'ready')));
    }`;
    const peer = pair.start(pair.b, process.execPath, '-e', script);
    for (const type of ['udp4', 'udp6']) await peer.line(new RegExp(`^${type} ready`));
    // The port is taken at home, too: a stopped pulse has it still.
    const taken = `for (const [type, local] of [['udp4', '192.0.2.2'], ['udp6', '2001:db8:1::2']])
    require('node:dgram').createSocket(type).bind(${PORT}, local, () => console.log(type, 'bound'));`;
    const own = pair.start(pair.a, process.execPath, '-e', taken);
    for (const type of ['udp4', 'udp6']) await own.line(new RegExp(`^${type} bound`));
    const vipd = await pair.vipd('a', [...pair.args('a'), '--link', `2001:db8:1::2,2001:db8:1::3,${PORT}`]);
    vipd.send(`will ${WILL}`);
    await vipd.claim('7.1', 10_000);
    t.is(await vipd.release('7.1', 'will'), 'released 2 7.1');
    for (const type of ['udp4', 'udp6']) await peer.line(new RegExp(`^${type} ${PORT} ${WILL}$`));
    assertClean(t, vipd);
  },
);

pairTest('a closed pipe while alone leaves the addresses to the kernel for the keep time', async (t, pair) => {
  const vipd = await pair.vipd();
  const witness = await pair.witness();
  vipd.send(`will ${WILL}`);
  await vipd.claim('7.1', 10_000, 'alone', 2_000);
  const closedAt = performance.now();
  vipd.closePipe();
  t.is(await vipd.exited, 0);
  for (const { valid } of await pair.vips()) t.true(valid === 2 || valid === 1, `valid for ${valid} s`);
  t.is((await pair.vips()).length, 4);
  await pair.goneAfter(4_000);
  const ms = performance.now() - closedAt;
  t.true(ms > 1_500, `gone ${ms} ms after the pipe closed`);
  t.is(wills(witness).length, 0);
  assertClean(t, vipd);
});

pairTest('alone, the addresses outlast the lease by the keep time and a late renewal saves them', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 200, 'alone', 1_000);
  await sleep(700);
  t.is((await pair.vips()).length, 4, 'the lease is over, the addresses stay');
  t.is(await vipd.renew('7.1', 200, 'alone', 1_000), 'held 2 7.1');
  await sleep(800);
  t.is((await pair.vips()).length, 4);
  const before = performance.now();
  await vipd.line(/^expired 7.1$/);
  t.true(performance.now() - before < 700);
  t.deepEqual(await pair.vips(), []);
  assertClean(t, vipd);
});

pairTest(
  'an old renewal that comes late does not shorten the lease, a future one does not stretch it',
  async (t, pair) => {
    const vipd = await pair.vipd();
    await vipd.claim('7.1', 600);
    t.is(await vipd.renew('7.1', 200, 'armed', 2_000, 100), 'held 2 7.1');
    await sleep(350);
    t.is((await pair.vips()).length, 4, 'the first lease still runs');
    t.is(await vipd.renew('7.1', 300, 'armed', 2_000, -60_000), 'held 3 7.1');
    await vipd.line(/^expired/, 600);
    assertClean(t, vipd);
  },
);

pairTest('killed, vipd leaves the addresses to the kernel, which drops them within 2.3 s', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 400);
  vipd.keepRenewing('7.1', 400);
  await sleep(700);
  vipd.child.kill('SIGKILL');
  const ms = await pair.goneAfter(2_500);
  t.true(ms <= 2_300, `${ms} ms`);
});

pairTest(
  'stopped past its lease, vipd expires at once when continued, before renewals that waited in the pipe',
  async (t, pair) => {
    const vipd = await pair.vipd();
    const witness = await pair.witness();
    vipd.send(`will ${WILL}`);
    // Alone with a long kernel lifetime, then armed just before the stop: the addresses are still there at SIGCONT.
    await vipd.claim('7.1', 300, 'alone', 5_000);
    await vipd.renew('7.1', 300);
    vipd.child.kill('SIGSTOP');
    const from = vipd.lines.length;
    for (let i = 0; i < 5; i++) {
      await sleep(100);
      vipd.send(`renew ${100 + i} 7.1 ${nowUs()} 300 armed 2000 f`);
    }
    vipd.child.kill('SIGCONT');
    await vipd.line(/^refused 104 /);
    const told = vipd.lines
      .slice(from)
      .map(({ text }) => text)
      .filter(text => !text.startsWith('link'));
    t.is(told[0], 'expired 7.1');
    t.deepEqual(
      told.slice(1),
      [100, 101, 102, 103, 104].map(seq => `refused ${seq} not-held`),
    );
    t.deepEqual(await pair.vips(), []);
    assertRemovedBeforeWill(t, witness);
    assertClean(t, vipd);
  },
);

pairTest('SIGTERM and SIGINT do not take the addresses away while the pipe is open', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 5_000);
  vipd.child.kill('SIGTERM');
  vipd.child.kill('SIGINT');
  await sleep(100);
  t.is(await vipd.renew('7.1', 5_000), 'held 2 7.1');
  t.is((await pair.vips()).length, 4);
  assertClean(t, vipd);
});

pairTest('stale epochs and requests that come too late are refused', async (t, pair) => {
  const vipd = await pair.vipd();
  t.is(await vipd.renew('7.1', 300), 'refused 1 not-held');
  t.is(await vipd.claim('7.2', 300, 'armed', 0, 301), 'refused 2 late');
  t.deepEqual(await pair.vips(), []);
  t.is(await vipd.claim('7.2', 2_000), 'held 3 7.2');
  t.is(await vipd.claim('6.9', 2_000), 'refused 4 stale-epoch');
  t.is(await vipd.claim('7.1', 2_000), 'refused 5 stale-epoch', 'same counter, smaller node');
  t.is(await vipd.renew('6.2', 2_000), 'refused 6 stale-epoch');
  t.is(await vipd.renew('7.3', 2_000), 'refused 7 stale-epoch', 'another node of the same counter is another term');
  t.is(await vipd.renew('7.2', 300, 'armed', 0, 301), 'refused 8 late');
  t.is(await vipd.renew('9.2', 2_000), 'held 9 9.2', 'a higher counter raises the epoch in place');
  t.is(await vipd.renew('7.2', 2_000), 'refused 10 stale-epoch');
  t.is(await vipd.release('7.2', 'will'), 'refused 11 stale-epoch');
  t.is((await pair.vips()).length, 4);
  t.is(await vipd.release('9.2', 'quiet'), 'released 12 9.2');
  t.is(await vipd.claim('8.2', 2_000), 'refused 13 stale-epoch', 'also when nothing is held');
  t.is(
    await vipd.claim('140737488355328.4294967295', 2_000),
    'held 14 140737488355328.4294967295',
    'the largest there is',
  );
  assertClean(t, vipd);
});

pairTest('release removes every address, with or without the will as asked', async (t, pair) => {
  const vipd = await pair.vipd();
  const witness = await pair.witness();
  vipd.send(`will ${WILL}`);
  await vipd.claim('7.1', 5_000);
  t.is(await vipd.release('7.1', 'quiet'), 'released 2 7.1');
  t.deepEqual(await pair.vips(), []);
  await sleep(50);
  t.is(wills(witness).length, 0);
  t.is(await vipd.claim('7.1', 5_000), 'held 3 7.1', 'no will was sent, so the term may go on');
  t.is(await vipd.release('7.1', 'will'), 'released 4 7.1');
  t.deepEqual(await pair.vips(), []);
  await sleep(50);
  assertRemovedBeforeWill(t, witness);
  t.is(wills(witness).length, 3);
  vipd.send('will -');
  await vipd.claim('8.1', 5_000);
  t.is(await vipd.release('8.1', 'will'), 'released 6 8.1');
  await sleep(50);
  t.is(wills(witness).length, 3, 'a forgotten will is not sent');
  assertClean(t, vipd);
});

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

pairTest('garbage, oversized, truncated and binary commands are told, counted and survived', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 30_000);
  const wrong = [
    '',
    ' ',
    'claim',
    'claim 1',
    'claim  1 7.1 1 1 armed 1 f',
    'claim x 7.1 1 1 armed 1 f',
    'claim 1 7 1 1 armed 1 f',
    'claim 1 7.1 -1 1 armed 1 f',
    'claim 1 7.1 1 0 armed 1 f',
    'claim 1 7.1 1 1 none 1 f',
    'claim 1 7.1 1 1 armed 1',
    'claim 1 7.1 1 1 armed 1 0',
    'claim 1 7.1 1 1 armed 1 1f',
    'claim 1 7.1 1 1 armed 1 F',
    'claim 1 7.1 1 1 armed 1 00000000000000001',
    'claim 1 7.1 1 1 armed 1 f 1',
    'claim 1 7.1 1 99999999999 armed 1 f',
    'claim 99999999999999999999 7.1 1 1 armed 1 f',
    'renew 1 7.4294967296 1 1 armed 1 f',
    'will',
    'will abc',
    'will zz',
    `will ${'00'.repeat(509)}`,
    'release 1 7.1',
    'release 1 7.1 loud',
    'probe a 4 - 200',
    'probe a 0 02:00 200',
    'probe a 0 - 0',
    'probe a 0 - 1001',
    'probe a 0 -',
    'probe a -1 - 200',
    `probe ${'a'.repeat(33)} 0 - 200`,
    'announce 1',
    'announcement',
    'bogus',
  ];
  // As long as the config may have it (H of 5 s): none of these is an error.
  vipd.send(probeLine(1, 0, undefined, PROBE_WINDOW_MS_MAX));
  vipd.send(sampleLine(2_500, 6_250));
  for (const [i, line] of wrong.entries()) {
    const from = vipd.lines.length;
    vipd.send(line);
    t.regex(await vipd.line(/^error bad command/, 3_000, from), new RegExp(`^error bad command ${i + 1}: `), line);
    await sleep(50); // errors are rate-limited, and each of these is looked at
  }
  vipd.raw(Buffer.alloc(200_000, 'x'));
  vipd.raw(Buffer.from('\n'));
  await vipd.line(/longer than 1024 bytes/);
  for (let i = 0; i < 200; i++) vipd.raw(randomBytes(1 + ((i * 37) % 3_000)));
  vipd.raw(Buffer.from('\n\0claim\0\n\r\n'));
  await sleep(200);
  t.is(await vipd.renew('7.1', 30_000), `held ${vipd.seq} 7.1`);
  const errors = vipd.matching(/^error/).length;
  t.true(errors < 120, `${errors} error lines: a flood of mistakes is told with a limit`);
  vipd.raw(Buffer.from('release 77 7.1 qui')); // cut off by the end of the pipe: not acted upon as it stands
  vipd.closePipe();
  t.is(await vipd.exited, 0);
  t.is(vipd.matching(/^released/).length, 0);
  t.deepEqual(await pair.vips(), []);
  assertClean(t, vipd);
});

pairTest('commands come in any pieces, several in one write or one in several', async (t, pair) => {
  const vipd = await pair.vipd();
  const text = `will ${WILL}\nclaim 1 7.1 ${nowUs()} 5000 armed 0 f\nrenew 2 7.1 ${nowUs()} 5000 armed 0 f\n`;
  for (const byte of Buffer.from(text)) vipd.raw(Buffer.from([byte]));
  t.is(await vipd.line(/^held 2 /), 'held 2 7.1');
  vipd.raw(
    Buffer.from(`renew 3 7.1 ${nowUs()} 5000 armed 0 f\nrenew 4 7.1 ${nowUs()} 5000 armed 0 f\nrelease 5 7.1 quiet\n`),
  );
  t.is(await vipd.line(/^released/), 'released 5 7.1');
  t.deepEqual(
    vipd.matching(/^held/).map(line => line.replace(/^(held 1 7\.1) \d+$/, '$1')),
    ['held 1 7.1', 'held 2 7.1', 'held 3 7.1', 'held 4 7.1'],
  );
  assertClean(t, vipd);
});

pairTest('a pulse that stops reading does not stop the lease, and learns how much it missed', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 3_000);
  vipd.child.stdout.pause();
  for (let i = 0; i < 30_000; i++) vipd.send(`renew ${i} 6.1 ${nowUs()} 3000 armed 0 f`); // refused: answers only
  vipd.keepRenewing('7.1', 3_000);
  await sleep(4_000);
  t.is((await pair.vips()).length, 4, 'renewals count although their answers are not read');
  vipd.stopRenewing();
  await sleep(3_300);
  t.deepEqual(await pair.vips(), [], 'and so does the end of the lease');
  vipd.child.stdout.resume();
  await sleep(100);
  vipd.send('bogus');
  t.regex(await vipd.line(/lines dropped/), /^error \d+ lines dropped: pulse did not read them$/);
  assertClean(t, vipd);
});

pairTest('a respawned vipd knows the epoch and adopts the addresses without a gap', async (t, pair) => {
  const first = await pair.vipd();
  first.send(`will ${WILL}`);
  await first.claim('7.1', 2_000);
  const witness = await pair.witness();
  first.child.kill('SIGKILL');
  const second = await pair.vipd();
  t.regex(second.lines[0]?.text ?? '', /^hello \S+ 7\.1 armed 4$/);
  t.is(await second.claim('6.1', 400), 'refused 1 stale-epoch');
  t.is(await second.claim('7.1', 400), 'held 2 7.1');
  second.keepRenewing('7.1', 400);
  await sleep(2_500);
  t.is(witness.matching(/ gone /).length, 0);
  t.is(second.matching(/^(repaired|conflict|error)/).length, 0);
  second.closePipe();
  t.is(await second.exited, 0);
  await witness.line(/ udp /);
  assertRemovedBeforeWill(t, witness); // the will came from the state file
  assertClean(t, second);
});

pairTest(
  'a respawned vipd whose pipe closes before any claim ends the armed term of its predecessor',
  async (t, pair) => {
    const first = await pair.vipd();
    first.send(`will ${WILL}`);
    await first.claim('7.1', 5_000);
    const witness = await pair.witness();
    first.child.kill('SIGKILL');
    const second = await pair.vipd();
    second.closePipe();
    t.is(await second.exited, 0);
    t.deepEqual(await pair.vips(), []);
    await witness.line(/ udp /);
    assertRemovedBeforeWill(t, witness);
    assertClean(t, second);
  },
);

pairTest('the state file is private, and plain renewals do not touch it', async (t, pair) => {
  const vipd = await pair.vipd();
  vipd.send(`will ${WILL}`);
  await vipd.claim('7.1', 5_000);
  const before = await stat(pair.statePath);
  t.is(before.mode & 0o777, 0o600);
  for (let i = 0; i < 20; i++) await vipd.renew('7.1', 5_000);
  t.is((await stat(pair.statePath)).ino, before.ino);
  const text = await readFile(pair.statePath, 'utf8');
  t.regex(
    text,
    /^vipd-state 1\nepoch 7\.1\nmode armed\nclosed no\nwill c0ffee5a\naddress 192\.0\.2\.100,lan0,192\.0\.2\.2\n/,
  );
  await vipd.renew('7.1', 5_000, 'alone');
  t.regex(await readFile(pair.statePath, 'utf8'), /^mode alone$/m);
  assertClean(t, vipd);
});

for (const [what, damage] of [
  ['cut short', (text: string) => text.slice(0, text.length / 2)],
  ['empty', () => ''],
  ['of random bytes', () => randomBytes(3_000).toString('latin1')],
  ['too long', (text: string) => text.replace('end\n', 'address 192.0.2.9,lan0,-\n'.repeat(2_000))],
  ['with an impossible epoch', (text: string) => text.replace('epoch 7.1', 'epoch 7.1.2')],
] as const) {
  pairTest(`a state file that is ${what} is told and taken as empty`, async (t, pair) => {
    const first = await pair.vipd();
    await first.claim('7.1', 5_000);
    await first.release('7.1', 'quiet');
    first.closePipe();
    await first.exited;
    await writeFile(pair.statePath, damage(await readFile(pair.statePath, 'utf8')), 'latin1');
    const second = await pair.vipd();
    t.regex(second.lines[0]?.text ?? '', /^hello \S+ 0\.0 none 0$/);
    await second.line(/^error the state file .* is damaged/);
    second.closePipe();
    await second.exited;
    const third = await pair.vipd();
    t.is(await third.claim('8.1', 1_000), 'held 1 8.1');
    t.deepEqual(third.matching(/damaged/), [], 'told once');
    assertClean(t, third);
  });
}

pairTest('clean-up after everything was killed: armed removes and sends the will', async (t, pair) => {
  const vipd = await pair.vipd();
  const witness = await pair.witness();
  vipd.send(`will ${WILL}`);
  await vipd.claim('7.1', 20_000);
  vipd.child.kill('SIGKILL');
  const { code, stderr } = await pair.once(['--cleanup', '--state', pair.statePath]);
  t.is(code, 0, stderr);
  t.is(stderr, '');
  t.deepEqual(await pair.vips(), []);
  await sleep(30);
  assertRemovedBeforeWill(t, witness);
  t.is(wills(witness).length, 3);
  t.is((await pair.once(['--cleanup', '--state', pair.statePath])).code, 0, 'twice does no harm');
  await sleep(30);
  t.is(wills(witness).length, 3);
  const next = await pair.vipd();
  t.is(await next.claim('7.1', 1_000), 'refused 1 stale-epoch');
  assertClean(t, next);
});

pairTest(
  'clean-up after everything was killed: alone keeps the addresses, a damaged state sends no will',
  async (t, pair) => {
    const vipd = await pair.vipd();
    const witness = await pair.witness();
    vipd.send(`will ${WILL}`);
    await vipd.claim('7.1', 20_000, 'alone', 10_000);
    vipd.child.kill('SIGKILL');
    t.is((await pair.once(['--cleanup', ...pair.args()])).code, 0);
    t.is((await pair.vips()).length, 4);
    await writeFile(pair.statePath, 'nonsense');
    const { code, stderr } = await pair.once(['--cleanup', ...pair.args()]);
    t.is(code, 0);
    t.regex(stderr, /damaged/);
    t.deepEqual(await pair.vips(), []);
    t.is(wills(witness).length, 0);
  },
);

pairTest('a claim that the kernel refuses leaves nothing behind and says why', async (t, pair) => {
  const vipd = await pair.vipd('a', [...pair.args(), '--address', '203.0.113.9,nosuch0,-']);
  t.is(await vipd.claim('7.1', 5_000), 'refused 1 kernel');
  await vipd.line(/^place 4 no-interface/);
  await vipd.line(/^denied 4 the kernel refuses it on nosuch0: No such device \(errno 19\)/);
  t.deepEqual(await pair.vips(), []);
  await vipd.line(/^link 4 down 00:00:00:00:00:00/);
  await pair.ip(pair.a, 'link', 'add', 'nosuch0', 'type', 'veth', 'peer', 'name', 'nosuch1');
  await pair.ip(pair.a, 'link', 'set', 'nosuch1', 'up');
  await pair.ip(pair.a, 'link', 'set', 'nosuch0', 'up');
  await vipd.line(/^link 4 up /);
  t.is(await vipd.claim('7.1', 5_000), 'held 2 7.1');
  assertClean(t, vipd);
});

pairTest('carrier changes are told, and the addresses are announced when it is back', async (t, pair) => {
  const vipd = await pair.vipd();
  const mac = await pair.mac(pair.a, 'lan0');
  await vipd.claim('7.1', 30_000);
  await sleep(600);
  await pair.ip(pair.b, 'link', 'set', 'lan0', 'down');
  t.is(await vipd.line(/^link 0 down/), `link 0 down ${mac}`);
  t.is(await vipd.line(/^link 1 down/), `link 1 down ${mac}`);
  const capture = await pair.capture('lan0', 'arp and host 192.0.2.100', pair.a);
  const from = vipd.lines.length;
  await pair.ip(pair.b, 'link', 'set', 'lan0', 'up');
  t.is(await vipd.line(/^link 0 up/, 3_000, from), `link 0 up ${mac}`);
  await sleep(200);
  t.true(capture.matching(/Request who-has 192.0.2.100/).length >= 1, capture.summary());
  t.is(vipd.matching(/^link 2 down/).length, 0);
  assertClean(t, vipd);
});

pairTest('an interface that disappears does not take the other addresses along', async (t, pair) => {
  for (const mode of ['armed', 'alone'] as const) {
    const vipd = await pair.vipd();
    const epoch = mode === 'armed' ? '7.1' : '8.1';
    await vipd.claim(epoch, 2_000, mode, 2_000);
    vipd.keepRenewing(epoch, 2_000, mode);
    await pair.ip(pair.a, 'link', 'del', 'lan1');
    await vipd.line(/^place 2 no-interface/);
    await vipd.line(/^denied 2 .*No such device/);
    vipd.mask = '3';
    await sleep(1_500);
    t.deepEqual((await pair.vips()).map(({ address }) => address).sort(), [VIPS[0], VIPS[1]].sort());
    t.is(vipd.matching(/^(expired|refused)/).length, 0);
    t.is(vipd.matching(/^denied 2/).length, 1, 'what is not wanted any more is not tried again');
    await pair.remakeLan1();
    await vipd.line(/^place 2 here/);
    vipd.mask = 'f';
    await vipd.line(/^added 2$/);
    await vipd.line(/^added 3$/);
    t.is((await pair.vips()).length, 4);
    vipd.closePipe();
    await vipd.exited;
    await pair.goneAfter(6_000);
    assertClean(t, vipd);
  }
});

pairTest('IPv6 that is switched off is told, and so is that it is on again', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.line(/^place 3/);
  t.deepEqual(vipd.matching(/^place/), ['place 0 here', 'place 1 here', 'place 2 here', 'place 3 here']);
  const off = (value: 0 | 1, name = 'lan0') =>
    run('ip', ['netns', 'exec', pair.a, 'sysctl', '-qw', `net.ipv6.conf.${name}.disable_ipv6=${value}`]);
  await vipd.claim('7.1', 30_000);
  await off(1);
  await vipd.line(/^place 1 no-ipv6/, 200);
  await vipd.line(/^denied 1 the kernel refuses it on lan0: Permission denied \(errno 13\)/, 200);
  vipd.mask = 'd';
  t.is(await vipd.renew('7.1', 30_000), `held ${vipd.seq} 7.1`);
  t.deepEqual((await pair.vips()).map(({ address }) => address).sort(), [VIPS[0], VIPS[2], VIPS[3]].sort());
  const from = vipd.lines.length;
  await off(0);
  await vipd.line(/^place 1 here/, 1_200, from);
  vipd.mask = 'f';
  t.is(await vipd.renew('7.1', 30_000), `held ${vipd.seq} 7.1`);
  await vipd.line(/^added 1$/);
  t.is((await pair.vips()).length, 4);
  await off(1, 'all');
  await vipd.line(/^place 3 no-ipv6/, 1_200);
  assertClean(t, vipd);
});

pairTest('within a term addresses come and go as renewals ask for them; what comes is announced', async (t, pair) => {
  const vipd = await pair.vipd();
  vipd.mask = '5';
  t.is(await vipd.claim('7.1', 30_000), 'held 1 7.1');
  t.deepEqual((await pair.vips()).map(({ address }) => address).sort(), [VIPS[0], VIPS[2]].sort());
  const capture = await pair.capture('lan0', 'icmp6 and ip6[40] = 136');
  vipd.mask = '3';
  await vipd.renew('7.1', 30_000);
  await vipd.line(/^added 1$/);
  await sleep(300);
  t.deepEqual((await pair.vips()).map(({ address }) => address).sort(), [VIPS[0], VIPS[1]].sort());
  t.true(capture.matching(/2001:db8:1::100/).length >= 1, capture.summary());
  t.is(vipd.matching(/^(repaired|denied)/).length, 0);
  assertClean(t, vipd);
});

pairTest('a new vipd takes away what the term holds no more', async (t, pair) => {
  const first = await pair.vipd();
  await first.claim('7.1', 5_000);
  first.child.kill('SIGKILL');
  await first.exited;
  const second = await pair.vipd();
  second.mask = '5';
  t.is(await second.claim('7.1', 5_000), 'held 1 7.1');
  await sleep(200);
  t.deepEqual((await pair.vips()).map(({ address }) => address).sort(), [VIPS[0], VIPS[2]].sort());
  assertClean(t, second);
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

pairTest('a notification reaches the service manager', async (t, pair) => {
  const path = `${pair.dir}/notify`;
  const manager = await pair.notifyListener(path);
  const vipd = await pair.vipd('a', pair.args(), undefined, { ...process.env, NOTIFY_SOCKET: path });
  vipd.send('notify STATUS=active, 4 addresses');
  t.is(await manager.line(/STATUS/), 'STATUS=active, 4 addresses');
  assertClean(t, vipd);
});

pairTest('usage: help and version on stdout, mistakes end with code 64 and say what to write', async (t, pair) => {
  const help = await pair.once(['--help']);
  t.is(help.code, 0);
  t.regex(help.lines.join('\n'), /Usage: vipd --state FILE[\s\S]*--cleanup/);
  t.regex((await pair.once(['--version'])).lines[0] ?? '', /^vipd \d+\.\d+\.\d+$/);
  for (const args of [
    [],
    ['--state'],
    ['--state', 'x'],
    ['--bogus'],
    ['--state', 'x', '--address', '192.0.2.1'],
    ['--state', 'x', '--address', '192.0.2.1,,-'],
    ['--state', 'x', '--address', '192.0.2.300,lan0,-'],
    ['--state', 'x', '--address', '192.0.2.1,lan0,2001:db8::1'],
    ['--state', 'x', '--address', '192.0.2.1,lan0,-', '--address', '192.0.2.1,lan1,-'],
    ['--state', 'x', '--address', '192.0.2.1,averyveryverylongname,-'],
    ['--state', 'x', '--address', '192.0.2.1,lan0,-', '--link', '192.0.2.1,192.0.2.2,0'],
    ['--state', 'x', '--address', '192.0.2.1,lan0,-', '--link', '192.0.2.1,2001:db8::1,694'],
  ]) {
    const { code, stderr } = await pair.once(args);
    t.is(code, 64, args.join(' '));
    t.regex(stderr, /^vipd: .*see vipd --help\n$/, args.join(' '));
  }
});

pairTest('the hardened build keeps up with renewals every 10 ms and ends a short lease on time', async (t, pair) => {
  const vipd = await pair.vipd('a', pair.args(), VIPD_PLAIN);
  await vipd.claim('7.1', 2_000);
  const witness = await pair.witness();
  for (let i = 0; i < 100; i++) {
    vipd.send(`renew ${++vipd.seq} 7.1 ${nowUs()} 2000 armed 0 f`);
    await sleep(10);
  }
  await vipd.line(new RegExp(`^held ${vipd.seq} `));
  t.is(vipd.matching(/^held/).length, 101);
  const at = nowUs();
  vipd.send(`renew ${++vipd.seq} 7.1 ${at} 100 armed 0 f`);
  await vipd.line(/^expired 7.1/);
  await sleep(20);
  const gone = witness.matching(/ gone /).map(text => (Number(text.split(' ')[0]) - at) / 1_000);
  t.is(gone.length, 4);
  for (const ms of gone) t.true(ms >= 100 && ms < 120, `removed ${gone} ms after a lease of 100 ms began`);
});
