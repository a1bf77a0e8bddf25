import test from 'ava';
import { configOf, FTP, verdict } from './fixture.ts';
import { type Rig, rigOf, serverIn } from './loop-rig.ts';

const FS2 = '198.51.100.12';
const ONLY_FS1 = () => configOf({ services: { ftp: { ...FTP, servers: { fs1: FTP.servers.fs1 } } } });

/** A director whose second server has left the config with one connection. */
async function draining(): Promise<Rig> {
  const rig = rigOf();
  await rig.director.audit('start');
  Object.assign(serverIn(rig.fake, FS2) ?? {}, { activeConnections: 1, templates: 1 });
  await rig.director.setConfig(ONLY_FS1(), 'd2');
  rig.verdicts = [verdict('fs1', 'up')];
  await rig.director.audit('reload');
  rig.news();
  return rig;
}

test('a server that drains is watched; one that dies keeps no clients, and one that only fails its check does', async t => {
  const rig = await draining();
  t.deepEqual(rig.watched, [`ftp ${FS2}`]);
  rig.otherVerdicts = [{ ...verdict(FS2, 'down'), alive: true }];
  rig.director.verdictChanged();
  await rig.director.audit('after');
  t.like(serverIn(rig.fake, FS2), { weight: 2, upperThreshold: 1 });
  rig.otherVerdicts = [verdict(FS2, 'down')];
  rig.director.verdictChanged();
  await rig.director.audit('after');
  t.like(serverIn(rig.fake, FS2), { weight: 0, upperThreshold: 1 });
  t.like(rig.director.report().services[0]?.servers[1], { name: FS2, state: 'draining', failedStage: 'login' });
  Object.assign(serverIn(rig.fake, FS2) ?? {}, { activeConnections: 0 });
  await rig.director.poll();
  t.is(serverIn(rig.fake, FS2), undefined);
  t.deepEqual([rig.news(), rig.watched], [['SERVER_DRAINED'], []]);
});

test('draining has a deadline, which survives a restart of the director: first its clients go elsewhere, then it goes', async t => {
  const rig = await draining();
  const fresh = rigOf({ fake: rig.fake, config: ONLY_FS1(), ...(rig.saved ? { owned: rig.saved } : {}) });
  fresh.verdicts = [verdict('fs1', 'up')];
  fresh.now = 86_400_000 - 121_000;
  await fresh.director.audit('start');
  fresh.news();
  t.like(serverIn(rig.fake, FS2), { weight: 2, upperThreshold: 1 });
  fresh.now += 2_000;
  await fresh.director.poll();
  t.like(serverIn(rig.fake, FS2), { weight: 0 });
  fresh.now += 120_000;
  await fresh.director.poll();
  t.is(serverIn(rig.fake, FS2), undefined);
  const drained = fresh.events.find(({ code }) => code === 'SERVER_DRAINED');
  t.deepEqual(drained?.fields, { service: '-f 21', address: FS2, cut: 1 });
  t.is(fresh.saved?.leaving, undefined);
});

test('a busy server keeps its clients; the poll sees them come and go', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  const fs2 = () => serverIn(rig.fake, FS2);
  rig.verdicts = [verdict('fs1', 'up'), { ...verdict('fs2', 'down'), alive: true }];
  await rig.director.audit('verdict');
  t.like(fs2(), { weight: 0 }, 'nobody is on it');
  // The peer's clients come in by the sync.
  Object.assign(fs2() ?? {}, { templates: 1 });
  await rig.director.poll();
  t.like(fs2(), { weight: 2, upperThreshold: 1 });
  t.deepEqual(rig.saved?.leaving, [{ key: '-f 21', address: FS2, sinceMs: 0 }]);
  Object.assign(fs2() ?? {}, { templates: 0 });
  await rig.director.poll();
  t.like(fs2(), { weight: 0, upperThreshold: 0 });
  t.is(rig.saved?.leaving, undefined);
  rig.verdicts = [verdict('fs1', 'up'), verdict('fs2', 'up')];
  await rig.director.audit('verdict');
  t.like(fs2(), { weight: 2, upperThreshold: 0 });
  t.deepEqual(
    rig.news().filter(code => code === 'DRIFT_REPAIRED'),
    [],
  );
});

test('servers that all fail alike keep their weights, with an alarm, and count as no healthy server', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  const { batches } = rig.fake.ipvs;
  const before = batches.length;
  rig.verdicts = [
    { ...verdict('fs1', 'down'), alive: true, kept: true },
    { ...verdict('fs2', 'up'), kept: true },
  ];
  await rig.director.audit('verdict');
  t.is(batches.length, before, 'IPVS is left as it is');
  t.deepEqual(rig.news(), ['ALL_SERVERS_FAIL']);
  t.is(rig.director.reportForPulse().healthyServers, 0);
  t.regex(rig.director.report().problems.join(), /service ftp: its servers fail their checks alike, but answer/);
  rig.verdicts = [verdict('fs1', 'up'), verdict('fs2', 'up')];
  await rig.director.audit('verdict');
  t.deepEqual(rig.news(), ['ALL_SERVERS_FAIL_OVER']);
  t.is(rig.director.reportForPulse().healthyServers, 2);
});
