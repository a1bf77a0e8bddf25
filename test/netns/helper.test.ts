import { nft } from './io/packet-lease.ts';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { sleep } from './io/vipd.ts';

buildForAll();

const DENY = `table inet deny {
  chain in { type filter hook input priority 0; policy drop; }
  chain out { type filter hook output priority 0; policy drop; }
}`;
/** A busy machine. */
const LATE_MS = 400;

pairTest(
  'behind a default-deny on both routers the holder answers a probe all the same, for each address',
  async (t, pair) => {
    for (const ns of [pair.a, pair.b]) await nft(ns, ['-f', '-'], DENY);
    const prober = await pair.vipd('a');
    const holder = await pair.vipd('b');
    const [mac0, mac1] = [await pair.mac(pair.b, 'lan0'), await pair.mac(pair.b, 'lan1')];
    await holder.claim('7.2', 10_000);
    for (const [index, mac] of [mac0, mac0, mac1, mac1].entries()) {
      prober.send(`probe p${index} ${index} ${mac} 200`);
      t.is(
        await prober.line(new RegExp(`^reply p${index} ${index} word `), LATE_MS),
        `reply p${index} ${index} word ${mac}`,
      );
      prober.send(`probe r${index} ${index} - 200`);
      t.is(
        await prober.line(new RegExp(`^reply r${index} ${index} word `), LATE_MS),
        `reply r${index} ${index} word ${mac}`,
      );
    }
    await sleep(300);
    t.is(prober.matching(/^silent/).length, 0);
    t.is(prober.matching(/ echo /).length, 0, 'the filter drops them');
  },
);

pairTest('a vipd that holds nothing, or is stopped, gives no word', async (t, pair) => {
  for (const ns of [pair.a, pair.b]) await nft(ns, ['-f', '-'], DENY);
  const prober = await pair.vipd('a');
  const holder = await pair.vipd('b');
  const mac = await pair.mac(pair.b, 'lan0');
  prober.send(`probe before 0 ${mac} 100`);
  t.is(await prober.line(/ before /, LATE_MS), 'silent before 0');
  await holder.claim('7.2', 10_000);
  prober.send(`probe held 0 ${mac} 100`);
  t.is(await prober.line(/ held 0 word/, LATE_MS), `reply held 0 word ${mac}`);
  holder.child.kill('SIGSTOP');
  prober.send(`probe stopped 0 ${mac} 100`);
  t.is(await prober.line(/^silent stopped/, LATE_MS), 'silent stopped 0');
  holder.child.kill('SIGCONT');
  await holder.release('7.2', 'quiet');
  prober.send(`probe after 0 ${mac} 100`);
  t.is(await prober.line(/^silent after/, LATE_MS), 'silent after 0');
});

pairTest(
  'a holder without an address of its own on a LAN gives no word there; without any, it keeps nothing alone',
  async (t, pair) => {
    const prober = await pair.vipd('a');
    const fixed = ['--fixed', '192.0.2.3,lan0', '--fixed', '198.51.100.3,lan1'];
    const holder = await pair.vipd('b', [...pair.args('b'), ...fixed]);
    const [mac0, mac1] = [await pair.mac(pair.b, 'lan0'), await pair.mac(pair.b, 'lan1')];
    await holder.claim('7.2', 10_000, 'alone', 30_000);
    await pair.ip(pair.b, 'addr', 'del', '192.0.2.3/24', 'dev', 'lan0');
    await holder.line(/^fixed 0 gone/, LATE_MS);
    prober.send(`probe mute 0 ${mac0} 100`);
    t.is(await prober.line(/^silent mute/, LATE_MS), 'silent mute 0');
    prober.send(`probe other 2 ${mac1} 100`);
    t.is(await prober.line(/^reply other 2 word/, LATE_MS), `reply other 2 word ${mac1}`);
    await pair.ip(pair.b, 'addr', 'del', '198.51.100.3/24', 'dev', 'lan1');
    await holder.line(/^fixed 1 gone/, LATE_MS);
    holder.child.stdin?.end();
    await holder.exited;
    t.deepEqual(await pair.vips(pair.b), [], 'the peer may take them over at once');
  },
);

pairTest('a host that answers ARP for a dead owner gives neither echo nor word', async (t, pair) => {
  const prober = await pair.vipd('a');
  const mac = await pair.mac(pair.b, 'lan0');
  // As a switch with ARP suppression does: the address is answered for, nobody serves it.
  await nft(pair.b, ['-f', '-'], 'table inet dead { chain in { type filter hook input priority 0; policy drop; }; }');
  await pair.ip(pair.b, 'addr', 'add', '192.0.2.100/32', 'dev', 'lan0');
  prober.send(`probe arp 0 ${mac} 100`);
  t.is(await prober.line(/^silent arp/, LATE_MS), 'silent arp 0');
  t.deepEqual(prober.matching(/^reply arp/), [`reply arp 0 arp ${mac}`]);
});

pairTest(
  'who has an address of the peer’s is told when it is asked for, and whether a target has that MAC',
  async (t, pair) => {
    const fixed = ['192.0.2.2,lan0', '192.0.2.3,-,lan0', '2001:db8:1::3,-,lan0', '198.51.100.3,-,lan1', '192.0.2.77,-'];
    const target = ['--target', '198.51.100.3,lan1,198.51.100.2'];
    const vipd = await pair.vipd('a', [...pair.args('a'), ...fixed.flatMap(one => ['--fixed', one]), ...target]);
    const [mac0, mac1] = [await pair.mac(pair.b, 'lan0'), await pair.mac(pair.b, 'lan1')];
    await sleep(200);
    t.deepEqual(vipd.matching(/^peer/), [], 'nobody asked');
    for (const index of [1, 2]) {
      vipd.send(`resolve ${index}`);
      t.is(await vipd.line(new RegExp(`^peer ${index} `), LATE_MS), `peer ${index} ${mac0}`);
    }
    vipd.send('sample 50 300');
    await vipd.line(/^target 0 up/, 2_000);
    vipd.send('resolve 3');
    t.is(await vipd.line(/^peer 3 /, LATE_MS), `peer 3 ${mac1} target`);
    for (const index of [4, 5, 64]) {
      const from = vipd.lines.length;
      vipd.send(`resolve ${index}`);
      t.regex(await vipd.line(/^error/, LATE_MS, from), /wrong fields: "resolve/);
    }
    // Our own: another vipd is asked for, and there is none.
    const errors = vipd.matching(/^error/).length;
    vipd.send('resolve 0');
    await pair.ip(pair.b, 'addr', 'del', '192.0.2.3/24', 'dev', 'lan0');
    const from = vipd.lines.length;
    vipd.send('resolve 1');
    await sleep(300);
    t.deepEqual(
      vipd.lines.slice(from).filter(({ text }) => text.startsWith('peer 1')),
      [],
    );
    t.deepEqual(vipd.matching(/^copy/), []);
    t.is(vipd.matching(/^error/).length, errors);
  },
);

pairTest('one that holds nothing tells of announcements; what answers its own probe is none', async (t, pair) => {
  const listener = await pair.vipd('a');
  const [mac0, mac1] = [await pair.mac(pair.b, 'lan0'), await pair.mac(pair.b, 'lan1')];
  // As a switch with ARP suppression does.
  await nft(pair.b, ['-f', '-'], 'table inet dead { chain in { type filter hook input priority 0; policy drop; }; }');
  await pair.ip(pair.b, 'addr', 'add', '192.0.2.100/32', 'dev', 'lan0');
  listener.send(`probe arp 0 ${mac0} 100`);
  await listener.line(/^reply arp 0 arp/, LATE_MS);
  await sleep(100);
  t.deepEqual(listener.matching(/^claimed|^conflict/), []);
  await pair.ip(pair.b, 'addr', 'del', '192.0.2.100/32', 'dev', 'lan0');
  const holder = await pair.vipd('b');
  await holder.claim('7.2', 10_000);
  for (const [index, mac] of [mac0, mac0, mac1, mac1].entries())
    t.is(await listener.line(new RegExp(`^claimed ${index} `), LATE_MS), `claimed ${index} ${mac}`);
  // As the holder of the address it hears a conflict, at once: what it was told before it claimed
  // does not keep it back.
  await listener.claim('8.1', 10_000);
  holder.send('announce');
  t.regex(await listener.line(/^conflict 0 /, LATE_MS), new RegExp(`^conflict 0 ${mac0} `));
});

pairTest(
  'a target that comes back with another MAC is asked for at all at once, and never told down',
  async (t, pair) => {
    const vipd = await pair.vipd('a', [...pair.args('a'), '--target', '192.0.2.3,lan0,192.0.2.2']);
    vipd.send('sample 50 300');
    t.is(await vipd.line(/^target 0/, 2_000), 'target 0 up');
    for (let round = 1; round <= 6; round += 1) {
      await pair.ip(pair.b, 'link', 'set', 'lan0', 'address', `02:00:00:00:77:0${round}`);
      await sleep(350);
    }
    t.is(vipd.matching(/^target 0 down/).length, 0);
  },
);
