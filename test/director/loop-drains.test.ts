// An operator drains a server: what happens in the kernel, with the peer, on disk, and what people are told.
import test from 'ava';
import type { DrainOrder } from '../../src/director/operator-drains.ts';
import type { DrainWord } from '../../src/drain/drain-word.ts';
import { type Decree, type Drains, drainOf, leftMs, toWords } from '../../src/drain/drains.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { configOf, DNS, FTP, verdict } from './fixture.ts';
import { type Rig, rigOf, role, serverIn } from './loop-rig.ts';

const FS2 = '198.51.100.12';
const HOUR = 3_600_000;

const drainRequest = (target: string, changes: Partial<DrainOrder> = {}): DrainOrder => ({
  ...{ target, drained: true, spanMs: ms(HOUR), reason: 'new disk', who: 'jo', force: false },
  ...changes,
});
const enableRequest = (target: string) => drainRequest(target, { drained: false });

/** A director whose second server has one session and is drained. */
async function drained(options: Parameters<typeof rigOf>[0] = {}): Promise<Rig> {
  const rig = rigOf(options);
  await rig.director.audit('start');
  Object.assign(serverIn(rig.fake, FS2) ?? {}, { activeConnections: 2, inactiveConnections: 3, templates: 1 });
  rig.news();
  const outcome = await rig.director.drain(drainRequest('ftp/fs2'));
  if (!outcome.ok) throw new Error(outcome.problem);
  return rig;
}

const fs2 = (rig: Rig) => serverIn(rig.fake, FS2);
/** Without those of pulse, which is not played here. */
const serviceProblems = (rig: Rig) => rig.director.report().problems.filter(problem => problem.includes('service ftp'));
const reportOf = (rig: Rig) => rig.director.report().drains[0];

test('a drained server keeps its sessions and gets no new clients; without sessions its weight is 0; enabled, it is as before', async t => {
  const rig = await drained();
  t.deepEqual(rig.news(), ['DRAIN_STARTED']);
  t.like(fs2(rig), { weight: 2, upperThreshold: 1 });
  t.like(reportOf(rig), { phase: 'draining', activeConnections: 2, who: 'jo', reason: 'new disk', shared: false });
  // Its last session ends: what is left is closing connections and a template.
  Object.assign(fs2(rig) ?? {}, { activeConnections: 0 });
  await rig.director.poll();
  t.like(fs2(rig), { weight: 0, upperThreshold: 0 });
  await rig.director.look();
  t.deepEqual(rig.news(), ['DRAIN_EMPTY']);
  t.like(reportOf(rig), { phase: 'empty', sessions: 0 });
  await rig.director.drain(enableRequest('fs2'));
  t.like(fs2(rig), { weight: 2, upperThreshold: 0 });
  t.deepEqual(rig.news(), ['DRAIN_ENDED']);
  t.deepEqual(rig.director.report().drains, []);
});

test('a datagram service has sessions while the kernel knows a client port: none of them is ever active', async t => {
  const servers = { ...DNS.servers, d2: { address: '198.51.100.54' } };
  const rig = rigOf({ config: configOf({ services: { dns: { ...DNS, servers } } }) });
  rig.verdicts = ['d1', 'd2'].map(server => ({ ...verdict(server, 'up'), service: 'dns' }));
  await rig.director.audit('start');
  const d1 = () => rig.fake.ipvs.services.get('-f 53')?.servers.find(({ address }) => address === '198.51.100.53');
  Object.assign(d1() ?? {}, { activeConnections: 0, inactiveConnections: 3, templates: 1 });
  await rig.director.drain(drainRequest('d1'));
  t.like(d1(), { weight: 1, upperThreshold: 1 }, 'its clients keep it');
  t.like(reportOf(rig), { phase: 'draining', kind: 'udp' });
  await rig.director.look();
  t.false(rig.news().includes('DRAIN_EMPTY'));
  Object.assign(d1() ?? {}, { inactiveConnections: 0 });
  await rig.director.poll();
  await rig.director.look();
  t.like(d1(), { weight: 0, upperThreshold: 0 });
  t.like(reportOf(rig), { phase: 'empty' });
  t.true(rig.news().includes('DRAIN_EMPTY'));
});

test('a standby says that no session is left only of what its kernel has by the sync', async t => {
  const servers = { ...DNS.servers, d2: { address: '198.51.100.54' } };
  const phaseWith = async (dns: object, sync: Partial<Rig['sync']>) => {
    const rig = rigOf({ config: configOf({ services: { dns: { ...DNS, servers, ...dns } } }) });
    rig.verdicts = ['d1', 'd2'].map(server => ({ ...verdict(server, 'up'), service: 'dns' }));
    rig.sync = { ...rig.sync, ...sync };
    rig.director.pulseSays(role('standby'));
    await rig.director.audit('start');
    await rig.director.drain(drainRequest('d1'));
    return reportOf(rig)?.phase;
  };
  const warm = { phase: 'streaming', role: 'sink', warm: true } as const;
  t.is(await phaseWith({}, warm), 'draining', 'its templates are synced, not its connections');
  t.is(await phaseWith({ sync: 'connections' }, warm), 'empty');
  t.is(await phaseWith({ sync: 'connections' }, { ...warm, warm: false }), 'draining');
  t.is(await phaseWith({ kind: 'tcp', check: {} }, { ...warm, phase: 'off' }), 'draining');
});

test('before the kernel was read nobody is said to be without sessions', async t => {
  const before = await drained();
  const rig = rigOf({ fake: before.fake, drains: before.savedDrains as Drains });
  await rig.director.look();
  t.like(reportOf(rig), { phase: 'draining', sessions: null });
  t.deepEqual(rig.news(), []);
  await rig.director.audit('start');
  t.like(reportOf(rig), { phase: 'draining', activeConnections: 2 });
  Object.assign(rig.fake.kernel, { readIpvs: async () => ({ ok: false, problem: 'busy' }) });
  await rig.director.audit('timer');
  t.like(reportOf(rig), { phase: 'draining', activeConnections: 2 });
});

test('sessions that come by the sync get their weight back: their templates must hold after a takeover', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  await rig.director.drain(drainRequest('fs2'));
  t.like(fs2(rig), { weight: 0 });
  Object.assign(fs2(rig) ?? {}, { activeConnections: 1, templates: 1 });
  await rig.director.poll();
  t.like(fs2(rig), { weight: 2, upperThreshold: 1 });
});

test('at the end of its time clients go elsewhere, then the server leaves the kernel with what it has, and stays away until it is enabled', async t => {
  const rig = await drained();
  rig.news();
  rig.now = HOUR - 121_000;
  await rig.director.poll();
  t.like(fs2(rig), { weight: 2, upperThreshold: 1 });
  rig.now = HOUR - 119_000;
  await rig.director.poll();
  t.like(fs2(rig), { weight: 0 });
  t.is(reportOf(rig)?.phase, 'ending');
  rig.now = HOUR;
  await rig.director.poll();
  t.is(fs2(rig), undefined);
  await rig.director.look();
  t.true(rig.news().includes('DRAIN_OVER'));
  await rig.director.audit('timer');
  t.is(fs2(rig), undefined);
  t.deepEqual(serviceProblems(rig), []);
  t.true(rig.director.report().kernel.rulesIn);
  await rig.director.drain(enableRequest('ftp'));
  t.like(fs2(rig), { weight: 2, upperThreshold: 0 });
  t.false(rig.events.some(({ code }) => code === 'DRIFT_REPAIRED'));
});

test('a drain survives a restart of the director, with what is left of its time, and a reload that keeps the server', async t => {
  const before = await drained();
  const drains = before.savedDrains as Drains;
  t.is(leftMs(drainOf(drains, { service: 'ftp', server: 'fs2' }) as Decree, 0 as At), ms(HOUR));
  const rig = rigOf({ fake: before.fake, drains });
  rig.verdicts = [verdict('fs1', 'unknown'), verdict('fs2', 'unknown')];
  await rig.director.audit('start');
  t.like(fs2(rig), { weight: 2, upperThreshold: 1 });
  await rig.director.setConfig(configOf(), 'd2');
  await rig.director.audit('reload');
  t.like(fs2(rig), { weight: 2, upperThreshold: 1 });
  rig.now = HOUR;
  await rig.director.poll();
  t.is(fs2(rig), undefined);
});

test('a server that leaves the config is not drained any more when it comes back', async t => {
  const rig = await drained();
  rig.news();
  await rig.director.setConfig(configOf({ services: { ftp: { ...FTP, servers: { fs1: FTP.servers.fs1 } } } }), 'd2');
  t.deepEqual(rig.events.at(-1)?.fields, {
    service: 'ftp',
    server: 'fs2',
    reason: 'left the config',
    who: '',
    router: '',
  });
  await rig.director.audit('reload');
  await rig.director.setConfig(configOf(), 'd3');
  await rig.director.audit('reload');
  t.deepEqual(rig.director.report().drains, []);
  t.like(fs2(rig), { weight: 2, upperThreshold: 0 });
});

test('the last server that takes new clients is drained by force only, and that is a notice, no problem', async t => {
  const rig = await drained();
  const refused = await rig.director.drain(drainRequest('fs1'));
  t.regex(
    refused.ok ? '' : refused.problem,
    /service ftp would have no other server for new clients: they would be refused/,
  );
  t.deepEqual(rig.director.report().drains.length, 1);
  t.true((await rig.director.drain(drainRequest('fs1', { force: true }))).ok);
  t.deepEqual(serviceProblems(rig), []);
  const { notices } = rig.director.report();
  t.true(notices.includes('service ftp: all its servers are drained, so new clients are refused'));
  t.is(rig.director.reportForPulse().healthyServers, 2, 'no router is less fit for it');
});

test('the nannies judge a service without its drained servers, from the start on and as they change', async t => {
  const before = await drained();
  t.deepEqual(before.judgedWithout, ['ftp fs2']);
  const rig = rigOf({ fake: before.fake, drains: before.savedDrains as Drains });
  t.deepEqual(rig.judgedWithout, ['ftp fs2']);
  await rig.director.drain(drainRequest('fs1', { force: true }));
  t.deepEqual(rig.judgedWithout, ['ftp fs1,fs2']);
  await rig.director.drain(enableRequest('ftp'));
  t.deepEqual(rig.judgedWithout, []);
  rig.director.peerDrains(toWords(before.savedDrains as Drains, 0 as At));
  t.deepEqual(rig.judgedWithout, [], 'an older order of the peer');
});

test('with the others down a server is the last one, too; nobody is drained by halves', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.verdicts = [verdict('fs1', 'down'), verdict('fs2', 'up')];
  t.false((await rig.director.drain(drainRequest('fs2'))).ok);
  t.false((await rig.director.drain(drainRequest('ftp'))).ok);
  t.deepEqual(rig.director.report().drains, []);
  t.true((await rig.director.drain(drainRequest('fs1'))).ok);
});

test('all servers drained, new clients meet the sorry server', async t => {
  const config = configOf({ services: { ftp: { ...FTP, sorry_server: { address: '198.51.100.99' } } } });
  const rig = rigOf({ config });
  rig.otherVerdicts = [verdict('sorry_server', 'up')];
  await rig.director.audit('start');
  t.regex(JSON.stringify(await rig.director.drain(drainRequest('ftp'))), /come to its sorry server 198.51.100.99/);
  await rig.director.drain(drainRequest('ftp', { force: true }));
  t.like(serverIn(rig.fake, '198.51.100.99'), { weight: 2 });
});

test('a drained server that is taken down is no problem; another one that fails is', async t => {
  const rig = await drained();
  rig.verdicts = [verdict('fs1', 'up'), verdict('fs2', 'down')];
  await rig.director.audit('verdict');
  t.like(fs2(rig), { weight: 0 });
  t.deepEqual(serviceProblems(rig), []);
  t.like(rig.director.report().services[0]?.servers[1], { state: 'down', drained: true });
  rig.verdicts = [verdict('fs1', 'down'), verdict('fs2', 'up')];
  await rig.director.audit('verdict');
  t.regex(
    serviceProblems(rig).join(),
    /no real server that is not drained \(fs2\) passes its check, so new clients are refused/,
  );
});

test('one that fails its check but answers keeps its sessions while it is drained', async t => {
  const rig = await drained();
  rig.verdicts = [verdict('fs1', 'up'), { ...verdict('fs2', 'down'), alive: true }];
  await rig.director.audit('verdict');
  t.like(fs2(rig), { weight: 2, upperThreshold: 1 });
  t.is(rig.saved?.leaving, undefined, 'its time is that of the drain');
});

test('the peer is told, and what it says holds here: both routers come to the same', async t => {
  const here = await drained();
  await here.director.look();
  const [word] = here.toldDrains;
  t.like(word, { service: 'ftp', server: 'fs2', drained: true, leftMs: HOUR, router: 'r1' });
  const there = rigOf();
  there.now = 77_000;
  await there.director.audit('start');
  there.news();
  there.director.peerDrains(here.toldDrains);
  await there.director.audit('after');
  t.like(fs2(there), { weight: 0 });
  t.deepEqual(there.news(), ['DRAIN_STARTED']);
  t.like(there.director.report().drains[0], { shared: true, leftMs: HOUR, router: 'r1' });
  there.director.peerDrains(here.toldDrains);
  t.deepEqual(there.news(), [], 'said again it is no news');

  here.director.peerDrains(there.toldDrains);
  t.true(reportOf(here)?.shared);
  here.now = 16_000;
  t.false(reportOf(here)?.shared, 'a peer that is silent is not known to have it');

  await there.director.drain(enableRequest('ftp/fs2'));
  here.director.peerDrains(there.toldDrains);
  await here.director.audit('after');
  t.like(fs2(here), { weight: 2, upperThreshold: 0 });
  t.like(here.savedDrains?.decrees.get('ftp/fs2'), { drained: false });
});

test('a word on a server that is not in the config is left out', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  const word = { service: 'ftp', server: 'fs9', counter: 3, router: 'r2', drained: true, spanMs: 1, leftMs: 1 };
  rig.director.peerDrains([{ ...word, since: '', reason: '', who: '' } satisfies DrainWord]);
  t.deepEqual(rig.director.report().drains, []);
});

test('what cannot be saved is said; a target that is nothing is refused; enabling what takes clients does nothing', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.saveProblem = 'no space left on device';
  t.like(await rig.director.drain(drainRequest('fs2')), { ok: true, unsaved: 'no space left on device' });
  t.like(await rig.director.drain(drainRequest('fs7')), { ok: false, kind: 'unknown' });
  t.like(await rig.director.drain(enableRequest('fs1')), { ok: true, servers: [] });
});

test('a word with a counter that only a fault can have made is told once and not taken', async t => {
  const rig = await drained();
  const [word] = toWords(rig.savedDrains as Drains, 0 as At) as [DrainWord];
  rig.news();
  for (let n = 0; n < 2; n++) rig.director.peerDrains([{ ...word, drained: false, router: 'r2', counter: 2 ** 48 }]);
  t.deepEqual(rig.news(), ['DRAIN_REFUSED']);
  t.is(reportOf(rig)?.phase, 'draining');
  t.true((await rig.director.drain(enableRequest('fs2'))).ok);
  t.is(reportOf(rig), undefined);
});

test('drains are written one at a time, those that come meanwhile together, and again after a failure', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  let release = () => {};
  const written: (readonly string[])[] = [];
  let running = 0;
  rig.onSave = async drains => {
    t.is(++running, 1);
    written.push([...drains.decrees.values()].filter(one => one.drained).map(one => one.server));
    await new Promise<void>(resolve => {
      release = resolve;
    });
    running--;
  };
  const first = rig.director.drain(drainRequest('fs1'));
  const second = rig.director.drain(drainRequest('fs2', { force: true }));
  const third = rig.director.drain(enableRequest('fs1'));
  rig.saveProblem = 'no space left on device';
  release();
  await first;
  release();
  t.like(await second, { ok: true, unsaved: 'no space left on device' });
  await third;
  t.deepEqual(written, [['fs1'], ['fs2']]);
  rig.onSave = async () => undefined;
  rig.saveProblem = undefined;
  await rig.director.drain(enableRequest('fs2'));
  rig.saveProblem = 'no space left on device';
  await rig.director.drain(drainRequest('fs2'));
  await rig.director.drain(enableRequest('fs2'));
  rig.saveProblem = undefined;
  rig.savedDrains = undefined;
  rig.now = 60_000;
  await rig.director.look();
  t.like((rig.savedDrains as Drains | undefined)?.decrees.get('ftp/fs2'), { drained: false });
});

test('the standby does not check a service through its VIP while a drained server may have the template of its checks', async t => {
  const rig = rigOf();
  const standby = role('standby');
  rig.pulse = { ...standby, peer: standby.peer && { ...standby.peer, serving: true, silent: false } };
  await rig.director.audit('start');
  const why = () => rig.director.report().services[0]?.path?.why;
  await rig.director.drain(drainRequest('fs2', { spanMs: ms(24 * HOUR) }));
  const drains = /a server drains/;
  t.regex(why() ?? '', drains);
  // Twice the persistence and the time of closing connections later no template can be left.
  rig.now = 2 * 360_000 + 180_000;
  t.notRegex(why() ?? '', drains);
  Object.assign(fs2(rig) ?? {}, { activeConnections: 1 });
  await rig.director.poll();
  t.regex(why() ?? '', drains, 'it has a session');
});

test('what is left of the time is saved once a minute and at the end', async t => {
  const rig = await drained();
  rig.savedDrains = undefined;
  rig.now = 30_000;
  await rig.director.look();
  t.is(rig.savedDrains, undefined);
  rig.now = 60_000;
  await rig.director.look();
  await new Promise(resolve => setImmediate(resolve));
  t.truthy(rig.savedDrains);
  rig.savedDrains = undefined;
  await rig.director.close();
  t.truthy(rig.savedDrains);
});

test('a director that stops takes no order: the next one would not know of it', async t => {
  const rig = await drained();
  await rig.director.close();
  const outcome = await rig.director.drain(enableRequest('fs2'));
  t.like(outcome, { ok: false, kind: 'refused' });
});
