// The packet lease on real interfaces in network namespaces: what vipd no longer renews is not let in and does not answer,
// IPv4 and IPv6, packets and ARP and neighbour discovery, however the processes ended. Needs root and nft.
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import {
  GATE_TABLE,
  GATE_TRIAL_TABLE,
  packetLeaseRemoval,
  TRIAL_MS,
  trialRules,
  withoutElements,
} from '../../src/firewall/packet-lease-rules.ts';
import {
  gatedVipd,
  installGate,
  KEEP_MS,
  LEASE_MS,
  nft,
  Prober,
  pings,
  resolves,
  SLACK_MS,
} from './io/packet-lease.ts';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { sleep, TRIAL, TRIAL_PLAIN, VIPS } from './io/vipd.ts';

const run = promisify(execFile);

buildForAll();

pairTest('a renewed lease lets packets, ARP and neighbour solicitations in, before it nothing', async (t, pair) => {
  const vipd = await gatedVipd(pair);
  // The addresses are there without the lease: as after an end of everything.
  for (const [i, vip] of VIPS.entries())
    await pair.ip(pair.a, 'addr', 'add', vip, 'dev', i < 2 ? 'lan0' : 'lan1', ...(vip.includes(':') ? ['nodad'] : []));
  await sleep(50);
  for (const [i, vip] of VIPS.entries()) {
    t.false(await resolves(pair, i), `${vip} is not resolved`);
    t.true(
      await pings(
        pair.b,
        vip.includes(':') ? (i < 2 ? '2001:db8:1::2' : '2001:db8:2::2') : i < 2 ? '192.0.2.2' : '198.51.100.2',
      ),
      'own addresses are not gated',
    );
  }
  await vipd.claim('7.1', LEASE_MS);
  vipd.keepRenewing('7.1', LEASE_MS);
  for (const [i, vip] of VIPS.entries()) {
    t.true(await resolves(pair, i), `${vip} is resolved`);
    t.true(await pings(pair.b, vip), `${vip} answers`);
  }
  t.deepEqual(
    vipd.matching(/^(gate|error)/).filter(line => !line.includes('outside Tandem')),
    [],
  );
});

for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
  pairTest(`${signal} of vipd: every address is silent once L has passed, by the kernel alone`, async (t, pair) => {
    const vipd = await gatedVipd(pair);
    const prober = await Prober.on(pair);
    // Alone first: the kernel's lifetimes are then long, and only the packet lease can end it in time.
    await vipd.claim('7.1', LEASE_MS, 'alone', KEEP_MS);
    await sleep(60);
    vipd.stopRenewing();
    const asked = prober.ask(LEASE_MS + 250);
    await sleep(40);
    const at = performance.now();
    t.regex(await vipd.renew('7.1', LEASE_MS, 'armed'), /^held/);
    vipd.child.kill(signal);
    await asked;
    t.is((await pair.vips()).length, 4, 'the kernel still has the addresses');
    for (const [i, vip] of VIPS.entries()) {
      const [echo, arp] = [prober.last(i, 'echo', at) ?? NaN, prober.last(i, 'arp', at) ?? NaN];
      t.true(echo > LEASE_MS - 60 && echo < LEASE_MS + SLACK_MS, `${vip}: last echo at ${echo} ms`);
      t.true(arp > LEASE_MS - 60 && arp < LEASE_MS + SLACK_MS, `${vip}: last resolution at ${arp} ms`);
    }
    t.false(await resolves(pair, 0), 'nor for a kernel that asks');
    if (signal === 'SIGSTOP') {
      const wokenAt = performance.now();
      const again = prober.ask(100, 1);
      vipd.child.kill('SIGCONT');
      await vipd.line(/^expired/);
      await again;
      for (const i of VIPS.keys()) t.is(prober.last(i, 'echo', wokenAt), undefined, 'and no packet after it woke');
    }
  });
}

pairTest('alone, the gate stays open for the keep time after the last renewal, like the addresses', async (t, pair) => {
  const vipd = await gatedVipd(pair, LEASE_MS, 1_000);
  await vipd.claim('7.1', LEASE_MS, 'alone', 1_000);
  vipd.child.kill('SIGKILL');
  await sleep(800);
  t.true(await pings(pair.b, VIPS[0]), 'still served');
  await sleep(700);
  t.false(await pings(pair.b, VIPS[0]), 'not beyond lease and keep time');
});

pairTest(
  'from alone to armed the gate shortens at once; a release closes it before the addresses go',
  async (t, pair) => {
    const vipd = await gatedVipd(pair);
    await vipd.claim('7.1', LEASE_MS, 'alone', KEEP_MS);
    await vipd.renew('7.1', LEASE_MS, 'armed');
    const listing = await nft(pair.a, ['list', 'set', 'netdev', GATE_TABLE, 'lease']);
    t.regex(listing, /expires (1\d\d|2[0-2]\d)ms|expires \d\dms/);
    await vipd.release('7.1', 'quiet');
    t.notRegex(await nft(pair.a, ['list', 'set', 'netdev', GATE_TABLE, 'lease']), /expires/);
  },
);

pairTest('a renewal that comes late opens the gate only for what is left of the lease', async (t, pair) => {
  const vipd = await gatedVipd(pair);
  await vipd.claim('7.1', LEASE_MS, 'armed', 0, 150);
  const listing = await nft(pair.a, ['list', 'set', 'netdev', GATE_TABLE, 'lease']);
  const expires = Number(/expires (\d+)ms/.exec(listing)?.[1] ?? NaN);
  t.true(expires <= 70, listing);
});

pairTest('a user without privileges cannot renew the lease', async (t, pair) => {
  const vipd = await gatedVipd(pair);
  await vipd.claim('7.1', LEASE_MS, 'alone', KEEP_MS);
  await nft(pair.a, ['-f', '-'], trialRules());
  // From a place that everybody may read.
  const copy = join(await mkdtemp(join('/tmp', 'tandem-gate-')), 'trial');
  t.teardown(() => rm(dirname(copy), { recursive: true }));
  await copyFile(TRIAL_PLAIN, copy);
  await chmod(dirname(copy), 0o755);
  const nobody = [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    '--inh-caps=-all',
    '--bounding-set=-all',
  ];
  const attempt = await t.throwsAsync(run('ip', ['netns', 'exec', pair.a, ...nobody, copy, '40']));
  t.regex(String(attempt), /not permitted to open a packet socket on lo/);
});

pairTest(
  '`nft flush ruleset` is told within one renewal, and after the repair the gate is open at once',
  async (t, pair) => {
    const vipd = await gatedVipd(pair);
    await vipd.claim('7.1', LEASE_MS);
    vipd.keepRenewing('7.1', LEASE_MS);
    await sleep(150);
    const at = performance.now();
    await nft(pair.a, ['flush', 'ruleset']);
    t.is(await vipd.line(/^gate /, 400), 'gate lost table');
    t.true(performance.now() - at < 250);
    t.true(await pings(pair.b, VIPS[0]), 'without the rules it is open');
    await installGate(pair);
    vipd.send('gate');
    t.true(await pings(pair.b, VIPS[0]));
    const from = vipd.lines.length;
    await sleep(1_300);
    t.deepEqual(
      vipd.lines.slice(from).filter(({ text }) => text.startsWith('gate')),
      [],
    );
  },
);

pairTest('a gate that is shut although the lease runs is told', async (t, pair) => {
  const vipd = await gatedVipd(pair);
  await vipd.claim('7.1', LEASE_MS);
  vipd.keepRenewing('7.1', LEASE_MS);
  await sleep(150);
  const rules = await nft(pair.a, ['-a', 'list', 'chain', 'netdev', GATE_TABLE, 'renew']);
  const handles = [...rules.matchAll(/update @lease.*# handle (\d+)/g)].map(match => match[1] as string);
  for (const handle of handles) await nft(pair.a, ['delete', 'rule', 'netdev', GATE_TABLE, 'renew', 'handle', handle]);
  t.is(await vipd.line(/^gate /, 1_000), 'gate lost shut');
});

pairTest('lo taken down is told, because nothing can be renewed then', async (t, pair) => {
  const vipd = await gatedVipd(pair);
  await vipd.claim('7.1', LEASE_MS);
  vipd.keepRenewing('7.1', LEASE_MS);
  await pair.ip(pair.a, 'link', 'set', 'lo', 'down');
  t.is(await vipd.line(/^gate /, 1_000), 'gate lost lo');
});

pairTest('rules put in again keep a lease that runs: not one packet is lost', async (t, pair) => {
  const vipd = await gatedVipd(pair);
  const prober = await Prober.on(pair);
  await vipd.claim('7.1', LEASE_MS);
  vipd.keepRenewing('7.1', LEASE_MS);
  await sleep(60);
  const asked = prober.ask(600);
  for (let i = 0; i < 20; i++) await installGate(pair);
  await asked;
  t.true(prober.questions > 50);
  for (const [i, vip] of VIPS.entries()) t.deepEqual(prober.unanswered(i), [], vip);
});

pairTest(
  'renewals that are lost on lo, as on a flooded processor, are made again before the lease ends',
  async (t, pair) => {
    const vipd = await gatedVipd(pair);
    const prober = await Prober.on(pair);
    await vipd.claim('7.1', LEASE_MS);
    vipd.keepRenewing('7.1', LEASE_MS, 'armed', 0, 50);
    await sleep(60);
    const lossy =
      'table netdev lossy { chain in { type filter hook ingress device "lo" priority -600; meta protocol 0x88b5 numgen random mod 100 < 30 drop; }; }';
    await nft(pair.a, ['-f', '-'], lossy);
    await prober.ask(3_000);
    t.deepEqual(prober.unanswered(0), [], `of ${prober.questions}; ${vipd.summary()}`);
    t.deepEqual(vipd.matching(/^gate/), []);
  },
);

pairTest('rules put in twice are listed the same, so that an audit can compare them', async (t, pair) => {
  await installGate(pair);
  const listing = async () => withoutElements(await nft(pair.a, ['-s', 'list', 'table', 'netdev', GATE_TABLE]));
  const first = await listing();
  const vipd = await pair.vipd();
  await vipd.claim('7.1', LEASE_MS, 'alone', KEEP_MS);
  t.is(await listing(), first);
  await installGate(pair);
  t.is(await listing(), first);
});

pairTest('an interface that is made anew is told, and gated again by the repair', async (t, pair) => {
  const vipd = await gatedVipd(pair);
  await vipd.claim('7.1', LEASE_MS);
  vipd.keepRenewing('7.1', LEASE_MS);
  await pair.ip(pair.a, 'link', 'del', 'lan0');
  await pair.ip(pair.a, 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'lan0', 'netns', pair.b);
  t.is(await vipd.line(/^gate /, 1_000), 'gate lost lan0');
  await installGate(pair);
  const hook = await nft(pair.a, ['list', 'table', 'netdev', GATE_TABLE]);
  t.regex(hook, /device "lan0"/);
});

pairTest(
  'the trial finds a kernel that can, and says what is missing when the rules are not there',
  async (t, pair) => {
    const good = async () => await run('ip', ['netns', 'exec', pair.a, TRIAL, String(TRIAL_MS)]);
    await nft(pair.a, ['-f', '-'], trialRules());
    await t.notThrowsAsync(good);
    t.regex(await nft(pair.a, ['list', 'tables']), new RegExp(GATE_TRIAL_TABLE));
    await nft(pair.a, ['-f', '-'], packetLeaseRemoval(GATE_TRIAL_TABLE));
    const bad = await t.throwsAsync(good);
    t.regex(String(bad), /frames on lo do not meet the rules/);
    await pair.ip(pair.a, 'link', 'set', 'lo', 'down');
    t.regex(String(await t.throwsAsync(good)), /cannot send on lo/);
  },
);

pairTest('vipd renews a gate that it was not told of, so that one left behind shuts nobody out', async (t, pair) => {
  await installGate(pair);
  const vipd = await pair.vipd();
  await vipd.claim('7.1', LEASE_MS);
  vipd.keepRenewing('7.1', LEASE_MS);
  t.true(await pings(pair.b, VIPS[0]));
  await nft(pair.a, ['flush', 'ruleset']);
  await sleep(300);
  t.deepEqual(vipd.matching(/^gate/), [], 'and says nothing of it');
});
