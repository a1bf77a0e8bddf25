// vipd, built with AddressSanitizer: interfaces that go and come, what the kernel refuses, and addresses within a term.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { buildForAll, pairTest } from './io/pair-test.ts';
import { sleep, VIPS } from './io/vipd.ts';
import { assertClean } from './vipd-checks.ts';

const run = promisify(execFile);

buildForAll();

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

pairTest('an interface by an alternative name is found when it comes, and when it is made anew', async (t, pair) => {
  const ip = (...args: string[]) => pair.ip(pair.a, ...args);
  const args = pair.args().map(argument => argument.replace(',lan1,', ',servers,'));
  const vipd = await pair.vipd('a', args);
  await vipd.line(/^place 2 no-interface/);
  await ip('link', 'property', 'add', 'dev', 'lan1', 'altname', 'servers');
  await vipd.line(/^place 2 here/);
  t.is(await vipd.claim('7.1', 30_000), 'held 1 7.1');
  await ip('link', 'del', 'lan1');
  await vipd.line(/^denied 2 /);
  const from = vipd.lines.length;
  await ip('link', 'add', 'lan1', 'type', 'veth', 'peer', 'name', 'far1');
  await ip('link', 'property', 'add', 'dev', 'lan1', 'altname', 'servers');
  await vipd.line(/^place 2 here/, 3_000, from);
  await ip('link', 'set', 'far1', 'up');
  await ip('link', 'set', 'lan1', 'up');
  await vipd.line(/^repaired 3/, 3_000, from);
  t.deepEqual((await pair.vips()).map(({ address }) => address).sort(), [...VIPS].sort());
  assertClean(t, vipd);
});

pairTest('a renamed interface is followed until another one gets its name: then the VIPs go there', async (t, pair) => {
  const ip = (...args: string[]) => pair.ip(pair.a, ...args);
  const vipsOn = async (name: string) =>
    (await ip('addr', 'show', 'dev', name)).match(/inet6? (192\.0\.2\.100|2001:db8:1::100)\b/g)?.length ?? 0;
  const vipd = await pair.vipd();
  t.is(await vipd.claim('7.1', 30_000), 'held 1 7.1');
  await ip('link', 'set', 'lan0', 'down');
  await ip('link', 'set', 'lan0', 'name', 'old0');
  await ip('link', 'set', 'old0', 'up');
  await vipd.line(/^repaired 1/);
  await sleep(300);
  t.is(await vipsOn('old0'), 2);
  const from = vipd.lines.length;
  await ip('link', 'add', 'new0', 'type', 'veth', 'peer', 'name', 'far0');
  await ip('link', 'set', 'far0', 'up');
  await ip('link', 'set', 'new0', 'name', 'lan0');
  await ip('link', 'set', 'lan0', 'up');
  await vipd.line(/^repaired 0/, 3_000, from);
  await vipd.line(/^repaired 1/, 3_000, from);
  await vipd.line(new RegExp(`^link 0 up ${await pair.mac(pair.a, 'lan0')}`), 3_000, from);
  t.is(await vipsOn('old0'), 0, 'none stays on the old one');
  t.is(await vipsOn('lan0'), 2);
  await vipd.release('7.1', 'quiet');
  t.deepEqual(await pair.vips(), []);
  assertClean(t, vipd);
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
