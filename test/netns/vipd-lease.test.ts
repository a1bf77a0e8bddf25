// vipd itself, built with AddressSanitizer, on real interfaces in network namespaces: the lease, kernel lifetimes,
// announcements and the last will.
import { readFile } from 'node:fs/promises';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { nowUs, PORT, sleep, VIPD_PLAIN, VIPS } from './io/vipd.ts';
import { assertClean, assertRemovedBeforeWill, WILL, wills } from './vipd-checks.ts';

buildForAll();

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

pairTest('no signal that people send takes the addresses away while the pipe is open', async (t, pair) => {
  const vipd = await pair.vipd();
  await vipd.claim('7.1', 5_000);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) vipd.child.kill(signal);
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
