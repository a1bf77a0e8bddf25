import test from 'ava';
import type { Snapshot } from '../../src/feed/message.ts';
import { configOf, FTP_DR, verdict } from './fixture.ts';
import { rigOf, role, settledOf } from './loop-rig.ts';

test('the peer is told what the nannies here say, and a lasting contradiction is in status and log', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.verdicts = [verdict('fs1', 'up'), verdict('fs2', 'down')];
  await rig.director.look();
  t.deepEqual(
    rig.told.map(({ server, state, stage, problem }) => [server, state, stage, problem]),
    [
      ['fs1', 'up', null, ''],
      ['fs2', 'down', 'login', 'refused'],
    ],
  );
  rig.news();
  const before = rig.fake.ipvs.batches.length;
  const words = [
    { service: 'ftp', server: 'fs1', state: 'up', stage: null, problem: '' },
    { service: 'ftp', server: 'fs2', state: 'up', stage: null, problem: '' },
  ] as const;
  for (let seconds = 0; seconds <= 200; seconds += 5) {
    rig.director.peerChecks(words);
    await rig.director.look();
    rig.now += 5_000;
  }
  t.deepEqual(rig.news(), ['CHECKS_DISAGREE']);
  const report = rig.director.report();
  const [fs1, fs2] = report.services[0]?.servers ?? [];
  t.deepEqual([fs1?.peer?.state, fs1?.disagrees], ['up', false]);
  t.deepEqual([fs2?.peer, fs2?.disagrees], [{ state: 'up', failedStage: null, words: '' }, true]);
  t.regex(
    report.problems.join('\n'),
    /the routers disagree on server fs2: r1 says down at stage login: refused; r2 says up/,
  );
  t.is(rig.fake.ipvs.batches.length, before, 'no weight goes by what the peer says');
  rig.now += 60_000;
  await rig.director.look();
  t.deepEqual(rig.news(), ['CHECKS_AGREE']);
});

test('a third machine that is a real server is named as that server, with what mends it, and not as a stranger', async t => {
  const rig = rigOf({ config: configOf({ services: { ftp: FTP_DR } }) });
  await rig.director.audit('start');
  rig.news();
  const mac = '02:00:00:00:00:0a';
  const foreign = { address: '192.0.2.100', mac, port: 'c0', claims: true, standsDown: false };
  const say = async (changes: Partial<Snapshot>) => {
    rig.pulse = { ...role('standby'), ...changes };
    rig.director.pulseSays(rig.pulse);
    await settledOf(rig);
  };
  await say({ foreign });
  t.deepEqual(rig.news(), [], 'the kernel does not know that MAC');
  t.regex(rig.director.report().problems.join('\n'), /another machine, 02:00:00:00:00:0a, claims 192\.0\.2\.100/);
  rig.fake.neighbours = { '192.0.2.111': mac };
  await rig.director.poll();
  t.deepEqual(rig.news(), ['SERVER_CLAIMS_VIP']);
  const { problems, services } = rig.director.report();
  t.notRegex(problems.join('\n'), /another machine/);
  t.regex(
    problems.join('\n'),
    /service ftp: server fs1 is misconfigured: it answers for 192\.0\.2\.100 .*arp_ignore = 1/,
  );
  const [fs1, fs2] = services[0]?.servers ?? [];
  t.deepEqual([fs1?.state, fs2?.state], ['misconfigured', 'up']);
  t.regex(fs1?.words ?? '', /arp_announce = 2/);
  await rig.director.audit('verdict');
  t.is(rig.director.report().services[0]?.servers[0]?.kernelWeight, 1, 'it breaks no session');
  rig.news();
  await say({ foreign: null });
  t.deepEqual(rig.news(), ['SERVER_CLAIMS_VIP_OVER']);
  t.is(rig.director.report().services[0]?.servers[0]?.state, 'up');
});

test('checks of the VIP on each server begin when the kernel has the ways, and end with the role, at once', async t => {
  const rig = rigOf({ config: configOf({ services: { ftp: FTP_DR } }) });
  await rig.director.audit('start');
  const standby = role('standby');
  rig.pulse = { ...standby, peer: standby.peer && { ...standby.peer, serving: true, silent: false } };
  rig.waysProblem = 'no ip';
  rig.director.pulseSays(rig.pulse);
  await settledOf(rig);
  await rig.director.look();
  t.deepEqual(rig.ways, ['fs1 21000', 'fs2 21001']);
  t.deepEqual(rig.paths, [], 'without its way a check would go by the other router');
  t.true(rig.news().includes('KERNEL_REFUSED'));
  rig.waysProblem = undefined;
  rig.now += 5_000;
  await rig.director.look();
  await settledOf(rig);
  await rig.director.look();
  t.deepEqual(rig.paths, ['ftp fs1_vip from 192.0.2.2', 'ftp fs2_vip from 192.0.2.2']);
  rig.pulse = role('active', true);
  rig.director.pulseSays(rig.pulse);
  t.deepEqual(rig.paths, []);
  await settledOf(rig);
  t.deepEqual(rig.ways, []);
});
