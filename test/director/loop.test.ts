import test from 'ava';
import { NOTHING_OWNED } from '../../src/director/owned.ts';
import { statusReportSchema } from '../../src/status/status-report.ts';
import type { SyncStatus } from '../../src/status/sync-status.ts';
import type { Address } from '../../src/units/address.ts';
import { configOf, FTP, FTP_DR, fakeKernel, NODE, syncStatus, verdict } from './fixture.ts';
import { rigOf, role, serverIn, settledOf } from './loop-rig.ts';

test('the first audit puts everything in, the second one changes nothing', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  t.deepEqual(rig.news(), ['SYNC_KERNEL', 'SYNC_RUNNING', 'KERNEL_RULES_IN']);
  t.true(rig.director.reportForPulse().rulesIn);
  t.is(rig.director.reportForPulse().flushMs, 250);
  t.deepEqual(await rig.director.plan(), { changes: [], problems: [], rules: [] });
  const { batches } = rig.fake.ipvs;
  const before = batches.length;
  await rig.director.audit('timer');
  t.is(batches.length, before);
  t.is(rig.fake.nftApplied.length, 1);
  t.deepEqual(rig.news(), []);
});

test('a new director adopts what an old one left: nothing in IPVS changes, not even while no verdict is there', async t => {
  const old = rigOf();
  await old.director.audit('start');
  const fresh = rigOf({ fake: old.fake, ...(old.saved ? { owned: old.saved } : {}) });
  fresh.verdicts = [verdict('fs1', 'unknown'), verdict('fs2', 'unknown')];
  const before = old.fake.ipvs.batches.length;
  await fresh.director.audit('start');
  t.is(old.fake.ipvs.batches.length, before);
  t.is(serverIn(old.fake, '198.51.100.12')?.weight, 2);
  t.deepEqual(fresh.news(), ['SYNC_KERNEL', 'SYNC_RUNNING', 'KERNEL_RULES_IN']);
  // The rules are put in anew, in one transaction, so that what is compared later is this run's own.
  t.is(old.fake.nftApplied.length, 2);
});

test('a service, a server, a table and a setting changed by hand come back, each with an event', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  const { fake } = rig;
  const audit = () => {
    // Longer than a row of repairs lasts.
    rig.now += 100_000;
    return rig.director.audit('timer');
  };
  fake.ipvs.services.delete('-f 21');
  await audit();
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED', 'DRIFT_REPAIRED', 'DRIFT_REPAIRED']);
  t.is(serverIn(fake, '198.51.100.12')?.weight, 2);
  fake.ipvs.services.get('-f 21')?.servers.splice(0, 1);
  await audit();
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED']);
  fake.nft = fake.nft?.replace(/.* counter drop\n/, '');
  await audit();
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED']);
  t.regex(fake.nft ?? '', /daddr \. tcp dport \{ 192\.0\.2\.100 \. .*\} jump guard_in_ip/);
  fake.nft = undefined;
  await audit();
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED']);
  fake.sysctls.set('net.ipv4.vs.sloppy_tcp', '0');
  await audit();
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED']);
  rig.ensured = { ...rig.ensured, changes: ['start the sync master daemon'] };
  await audit();
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED']);
  t.is(rig.director.report().kernel.repairs, 8);
  t.true(rig.director.reportForPulse().rulesIn);
});

test('IPVS changed by others is put right at the next look, which starts no audit while nothing changed', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  await rig.director.look();
  t.deepEqual(rig.news(), []);
  rig.fake.ipvs.services.clear();
  await rig.director.look();
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED', 'DRIFT_REPAIRED', 'DRIFT_REPAIRED']);
  t.is(serverIn(rig.fake, '198.51.100.12')?.weight, 2);
  const { batches } = rig.fake.ipvs;
  const before = batches.length;
  await rig.director.look();
  t.is(batches.length, before);
});

test('rules that nftables says were changed are put right at once, and nobody waits for the sync', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  rig.fake.nft = undefined;
  rig.ensured = { ...rig.ensured, changes: ['asked'] };
  rig.director.nftChanged('nftables was changed');
  await settledOf(rig);
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED']);
  t.regex(rig.fake.nft ?? '', /guard_in/);
});

test('what is flushed while an audit is at work is put back when that ends, not at the next look', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  const work = rig.director.audit('timer');
  rig.director.nftChanged('nftables was changed');
  await work;
  rig.fake.nft = undefined;
  await settledOf(rig);
  t.regex(rig.fake.nft ?? '', /guard_in/);
});

test('an audit that waits for the sync keeps no repair waiting', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  let over = () => {};
  rig.syncTakes = new Promise(resolve => {
    over = resolve;
  });
  const slow = rig.director.audit('timer');
  await settledOf(rig);
  rig.fake.nft = undefined;
  rig.director.nftChanged('nftables was changed');
  await settledOf(rig);
  t.regex(rig.fake.nft ?? '', /guard_in/);
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED']);
  over();
  await slow;
  rig.fake.ipvs.services.clear();
  await rig.director.audit('timer');
  t.is(rig.fake.ipvs.services.size, 1);
});

test('repairs that repeat come later and later, raise the alarm once, and a calm minute ends it', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  const flush = async () => {
    rig.fake.nft = undefined;
    rig.director.nftChanged('nftables was changed');
    await settledOf(rig);
    return rig.fake.nft !== undefined;
  };
  t.deepEqual([await flush(), await flush(), await flush()], [true, true, true]);
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED', 'DRIFT_REPAIRED', 'DRIFT_REPAIRED', 'DRIFT_REPEATS']);
  t.true(rig.director.report().problems.some(problem => /keeps changing/.test(problem)));
  t.false(await flush());
  rig.now += 999;
  await rig.director.look();
  t.is(rig.fake.nft, undefined);
  rig.now += 1;
  await rig.director.look();
  t.not(rig.fake.nft, undefined);
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED', 'DRIFT_REPEATS']);
  rig.now += 60_000;
  await rig.director.look();
  t.deepEqual(rig.news(), ['DRIFT_CALM']);
  t.false(rig.director.report().problems.some(problem => /keeps changing/.test(problem)));
});

test('a packet lease that is taken away again and again raises the alarm, too', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  rig.gate = { change: 'rules of the packet lease put back' };
  for (let i = 0; i < 3; i += 1) {
    rig.director.nftChanged('nftables was changed');
    await settledOf(rig);
  }
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED', 'DRIFT_REPAIRED', 'DRIFT_REPAIRED', 'DRIFT_REPEATS']);
});

test('time-outs that services of others share are told of once, also when they have to be set again', async t => {
  const rig = rigOf();
  rig.fake.ipvs.services.set('-t 192.0.2.50:80', {
    ...{ key: '-t 192.0.2.50:80' as never, scheduler: 'rr', persistenceS: undefined, mask: '' },
    ...{ schedulerFlags: '', extras: '', servers: [] },
  });
  await rig.director.audit('start');
  t.is(rig.news().filter(code => code === 'TIMEOUTS_SHARED').length, 1);
  rig.fake.ipvs.timeouts = [900, 120, 300];
  await rig.director.audit('x');
  t.deepEqual(rig.news(), ['DRIFT_REPAIRED']);
  t.is(rig.fake.ipvs.timeouts[0], 7_200);
});

test('a scheduler that the kernel lacks is a problem with its module; a service that runs with another one goes on', async t => {
  const rig = rigOf();
  rig.fake.ipvs.lacks.add('twos');
  const config = configOf({ services: { ftp: { ...FTP, scheduler: 'twos' } } });
  const words = /service "-f 21": this kernel has no scheduler twos: its module ip_vs_twos is missing/;
  await rig.director.audit('start');
  await rig.director.setConfig(config, 'another');
  await rig.director.audit('reload');
  t.true(rig.director.reportForPulse().rulesIn);
  t.is(rig.fake.ipvs.services.get('-f 21')?.scheduler, 'wlc');
  t.true(rig.director.report().problems.some(problem => words.test(problem)));
  rig.fake.ipvs.services.clear();
  await rig.director.audit('no service');
  t.false(rig.director.reportForPulse().rulesIn);
  t.regex(rig.director.report().problems.join(), words);
});

test('a sorry server is in the status with its verdict, drains nowhere, and counts for nothing towards pulse', async t => {
  const rig = rigOf();
  const sorry_server = { address: '198.51.100.99' };
  await rig.director.setConfig(configOf({ services: { ftp: { ...FTP, sorry_server } } }), 'another');
  rig.otherVerdicts = [verdict('sorry_server', 'up')];
  await rig.director.audit('start');
  const shown = () => rig.director.report().services[0];
  t.like(shown()?.sorry, {
    name: 'sorry_server',
    address: sorry_server.address,
    state: 'up',
    kernelWeight: 0,
    weight: 2,
  });
  t.deepEqual(
    shown()?.servers.map(({ name }) => name),
    ['fs1', 'fs2'],
  );
  t.like(rig.director.reportForPulse(), { healthyServers: 2, totalServers: 2 });
  rig.verdicts = [verdict('fs1', 'down'), verdict('fs2', 'down')];
  rig.director.verdictChanged();
  await rig.director.audit('x');
  t.is(shown()?.sorry?.kernelWeight, 2);
  t.is(rig.director.reportForPulse().healthyServers, 0);
  rig.otherVerdicts = [verdict('sorry_server', 'down')];
  await rig.director.audit('x');
  t.is(shown()?.sorry?.kernelWeight, 0);
  t.true(rig.director.report().problems.some(problem => /server sorry_server is down/.test(problem)));
});

for (const setting of ['net.ipv4.ip_forward', 'net.ipv4.conf.s0.forwarding']) {
  test(`${setting}, switched off by others, is back at the next look, and later and later when that goes on`, async t => {
    const rig = rigOf();
    const { sysctls } = rig.fake;
    sysctls.set('net.ipv4.conf.s0.forwarding', '0');
    await rig.director.audit('start');
    rig.news();
    const looked = async () => {
      sysctls.set(setting, '0');
      await rig.director.look();
      return [sysctls.get(setting), ...rig.news()];
    };
    t.deepEqual(await looked(), ['1', 'DRIFT_REPAIRED']);
    t.deepEqual(await looked(), ['1', 'DRIFT_REPAIRED']);
    t.deepEqual(await looked(), ['1', 'DRIFT_REPAIRED', 'DRIFT_REPEATS']);
    t.deepEqual(await looked(), ['0']);
    rig.now += 1_000;
    t.deepEqual(await looked(), ['1', 'DRIFT_REPAIRED', 'DRIFT_REPEATS']);
  });
}

test('forwarding that cannot be switched on is not tried again at every look', async t => {
  const rig = rigOf();
  let tries = 0;
  await rig.director.audit('start');
  rig.fake.sysctls.set('net.ipv4.ip_forward', '0');
  Object.assign(rig.fake.kernel, {
    writeSysctl: async () => {
      tries += 1;
      return 'it is read-only';
    },
  });
  await rig.director.look();
  const { length } = rig.events;
  t.true(tries > 0);
  const before = tries;
  for (let more = 0; more < 5; more += 1) await rig.director.look();
  t.deepEqual([tries, rig.events.length], [before, length]);
});

test('a verdict changes a weight, and that is no drift', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  rig.verdicts = [verdict('fs1', 'up'), verdict('fs2', 'down')];
  rig.director.verdictChanged();
  await rig.director.audit('x');
  t.is(serverIn(rig.fake, '198.51.100.12')?.weight, 0);
  t.deepEqual(rig.news(), []);
  rig.verdicts = [verdict('fs1', 'down'), verdict('fs2', 'down')];
  await rig.director.audit('verdict');
  t.deepEqual(rig.news(), ['NO_SERVER_UP']);
  t.true(rig.director.reportForPulse().rulesIn);
  t.is(rig.director.reportForPulse().healthyServers, 0);
  rig.verdicts = [verdict('fs1', 'up'), verdict('fs2', 'down')];
  await rig.director.audit('verdict');
  t.deepEqual(rig.news(), ['SERVERS_UP']);
});

test('a server that leaves the config drains: source NAT and weight stay until its last connection ends', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  const leaving = serverIn(rig.fake, '198.51.100.12');
  if (leaving) leaving.activeConnections = 1;
  await rig.director.setConfig(configOf({ services: { ftp: { ...FTP, servers: { fs1: FTP.servers.fs1 } } } }), 'd2');
  rig.verdicts = [verdict('fs1', 'up')];
  await rig.director.audit('reload');
  t.deepEqual(rig.news(), ['SERVER_DRAINING']);
  t.like(serverIn(rig.fake, '198.51.100.12'), { weight: 2, upperThreshold: 1 });
  t.regex(rig.fake.nft ?? '', /198\.51\.100\.12/);
  t.true(rig.director.reportForPulse().rulesIn);
  const [, drained] = rig.director.report().services[0]?.servers ?? [];
  t.like(drained, { name: '198.51.100.12', state: 'draining', activeConnections: 1 });
  const still = serverIn(rig.fake, '198.51.100.12');
  if (still) still.activeConnections = 0;
  await rig.director.poll();
  t.deepEqual(rig.news(), ['SERVER_DRAINED']);
  t.is(serverIn(rig.fake, '198.51.100.12'), undefined);
  await rig.director.audit('timer');
  t.notRegex(rig.fake.nft ?? '', /198\.51\.100\.12/);
  t.is(rig.director.report().kernel.repairs, 0);
});

test('a service that leaves the config while the director is down is removed by the next one when idle', async t => {
  const old = rigOf();
  await old.director.audit('start');
  const config = configOf({ services: {}, sync: false });
  const fresh = rigOf({ fake: old.fake, config, ...(old.saved ? { owned: old.saved } : {}) });
  fresh.verdicts = [];
  await fresh.director.audit('start');
  t.is(old.fake.ipvs.services.size, 0);
  t.is(old.fake.nft, undefined);
  const forwarding = { name: 'net.ipv4.ip_forward', before: '0', set: '1' };
  t.like(fresh.saved, { ...NOTHING_OWNED, sysctls: [forwarding] }, 'settings as they were before the first change');
  t.true(fresh.director.reportForPulse().rulesIn);
});

test('without services the rules are in although there is neither IPVS nor nft', async t => {
  const fake = fakeKernel();
  fake.broken.set('ipvsadm', "Can't initialize ipvs: Protocol not available");
  fake.broken.set('nft', 'Operation not supported');
  const rig = rigOf({ fake, config: configOf({ services: {}, sync: false }) });
  rig.ensured = { running: false, changes: [], problems: [], found: {} };
  rig.verdicts = [];
  await rig.director.audit('start');
  t.true(rig.director.reportForPulse().rulesIn);
  t.deepEqual(rig.news(), ['KERNEL_RULES_IN']);
});

test('a kernel without IPVS is told once, with what to install, until it is there', async t => {
  const fake = fakeKernel();
  fake.broken.set('ipvsadm', "Can't initialize ipvs: Protocol not available\n");
  const rig = rigOf({ fake });
  const running = rig.ensured;
  rig.ensured = { running: false, changes: [], problems: ['no IPVS here'], found: {} };
  await rig.director.audit('start');
  await rig.director.audit('timer');
  t.deepEqual(rig.news(), ['SYNC_PROBLEM', 'KERNEL_RULES_MISSING']);
  const report = rig.director.report();
  t.is(report.health, 'failed');
  t.true(report.problems.some(problem => problem.includes('apt-get install linux-image')));
  fake.broken.clear();
  rig.ensured = running;
  await rig.director.audit('timer');
  t.deepEqual(rig.news(), ['SYNC_KERNEL', 'SYNC_RUNNING', 'KERNEL_RULES_IN']);
});

test('one slow ipvsadm does not bar the standby; three in a row do', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.fake.broken.set('ipvsadm', 'timed out');
  const seen: (boolean | null)[] = [];
  for (let i = 0; i < 3; i += 1) {
    await rig.director.audit('timer');
    seen.push(rig.director.reportForPulse().rulesIn);
  }
  t.deepEqual(seen, [true, true, false]);
});

test('a director that has just started says nothing of rules before it has looked: pulse goes by what it knows', async t => {
  const rig = rigOf();
  rig.pulse = { ...role('active', true), serving: true };
  rig.director.pulseSays(rig.pulse);
  const failures = () => rig.director.report().problems.filter(problem => problem.includes('without its rules'));
  t.is(rig.director.reportForPulse().rulesIn, null);
  t.deepEqual(failures(), []);
  Object.assign(rig.fake.kernel, { applyNft: async () => 'conflicting intervals' });
  await rig.director.audit('start');
  t.is(rig.director.reportForPulse().rulesIn, false);
  t.is(failures().length, 1);
});

test('a first audit that breaks off leaves no older word on the rules in force', async t => {
  const rig = rigOf();
  Object.assign(rig.fake.kernel, { readSysctls: () => Promise.reject(new Error('broken')) });
  await rig.director.audit('start');
  t.deepEqual(rig.news(), ['DIRECTOR_FAULT']);
  t.is(rig.director.reportForPulse().rulesIn, false);
});

test('a change that the kernel refuses leaves the rules out and says so', async t => {
  const rig = rigOf();
  const refusing = { ...rig.fake.kernel, applyNft: async () => 'nft failed with status 1: conflicting intervals' };
  Object.assign(rig.fake.kernel, refusing);
  await rig.director.audit('start');
  t.true(rig.news().includes('KERNEL_RULES_MISSING'));
  t.false(rig.director.reportForPulse().rulesIn);
  t.deepEqual(rig.director.report().kernel.errors, ['nft failed with status 1: conflicting intervals']);
});

test('audits asked for while one runs become one, which begins after them', async t => {
  const rig = rigOf();
  const first = rig.director.audit('start');
  const second = rig.director.audit('verdict');
  const third = rig.director.audit('timer');
  t.is(second, third);
  t.not(first, second);
  rig.verdicts = [verdict('fs1', 'down'), verdict('fs2', 'up')];
  await second;
  t.is(serverIn(rig.fake, '198.51.100.11')?.weight, 0);
});

test('taking over audits at once; losing the role deletes our own conntrack entries, and only then', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.director.pulseSays(role('standby'));
  rig.fake.ipvs.services.delete('-f 21');
  rig.director.pulseSays(role('claiming'));
  rig.director.pulseSays(role('active'));
  await rig.director.audit('after');
  t.truthy(rig.fake.ipvs.services.get('-f 21'));
  t.deepEqual(rig.fake.conntrack, []);
  rig.director.pulseSays(role('handing-over'));
  t.deepEqual(rig.fake.conntrack, []);
  rig.director.pulseSays(role('standby'));
  while (!rig.events.some(event => event.code === 'CONNTRACK_CLEARED')) await new Promise(setImmediate);
  t.deepEqual(rig.fake.conntrack, [
    '-D -f ipv4 -p tcp --orig-dst 192.0.2.100',
    '-D -f ipv4 -p tcp --reply-dst 192.0.2.100',
    '-D -f ipv4 -p tcp --orig-src 198.51.100.11 --orig-port-src 20',
    '-D -f ipv4 -p tcp --orig-src 198.51.100.12 --orig-port-src 20',
  ]);
});

test('known clients of DR survive that the rules are replaced, and come from the sync at a takeover', async t => {
  const rig = rigOf({ config: configOf({ services: { ftp: FTP_DR } }) });
  const elements = () => rig.fake.nftApplied.map(text => /^add element .*$/m.exec(text)?.[0]);
  rig.fake.known = ['192.0.2.10'];
  rig.clients = ['192.0.2.11' as Address];
  await rig.director.audit('start');
  const before = 'add element inet tandem known_ftp { 192.0.2.10 timeout 30s, 192.0.2.11 timeout 7200s }';
  t.deepEqual(elements(), [before]);
  rig.director.pulseSays(role('standby'));
  await rig.director.audit('timer');
  t.is(elements().length, 1, 'nothing to write');
  rig.clients = ['192.0.2.12' as Address];
  rig.director.pulseSays(role('active'));
  await rig.director.audit('after');
  t.is(elements()[1], 'add element inet tandem known_ftp { 192.0.2.12 timeout 7200s }');
  t.is(rig.events.find(({ code }) => code === 'CLIENTS_KNOWN')?.fields.clients, 1);
});

test('without DR and TUN no clients are known, and nobody is told', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.director.pulseSays(role('active'));
  await rig.director.audit('after');
  t.false(rig.fake.nftApplied.some(text => text.includes('known')));
  t.false(rig.events.some(({ code }) => code === 'CLIENTS_KNOWN'));
});

test('a router that is active again keeps the conntrack entries of its living connections', async t => {
  const rig = rigOf();
  rig.director.pulseSays(role('active'));
  rig.director.pulseSays(role('standby'));
  rig.director.pulseSays(role('active'));
  await rig.director.audit('after');
  t.true(rig.fake.conntrack.length <= 1);
});

test('a restart of pulse on a lone router that keeps its VIPs deletes nothing', async t => {
  const rig = rigOf();
  rig.director.pulseSays(role('active', true));
  rig.director.pulseSays(role('starting', true));
  await rig.director.audit('after');
  t.deepEqual(rig.fake.conntrack, []);
  rig.director.pulseSays(role('standby', false));
  while (!rig.events.some(event => event.code === 'CONNTRACK_CLEARED')) await new Promise(setImmediate);
  t.is(rig.fake.conntrack.length, 4);
});

test('a pulse that starts before its vipd says that it holds the VIPs has lost nothing; a standby has', async t => {
  const rig = rigOf();
  rig.director.pulseSays(role('active', true));
  rig.director.pulseSays(role('starting', false));
  await settledOf(rig);
  t.deepEqual(rig.fake.conntrack, []);
  rig.director.pulseSays(role('starting', true));
  rig.director.pulseSays(role('active', true));
  await settledOf(rig);
  t.deepEqual(rig.fake.conntrack, []);
  rig.director.pulseSays(role('starting', false));
  rig.director.pulseSays(role('standby', false));
  while (!rig.events.some(event => event.code === 'CONNTRACK_CLEARED')) await new Promise(setImmediate);
  t.is(rig.fake.conntrack.length, 4);
});

test('healthy servers are not counted before all were judged once, but at most a minute long', t => {
  const rig = rigOf();
  rig.verdicts = [verdict('fs1', 'up'), verdict('fs2', 'unknown')];
  t.is(rig.director.reportForPulse().healthyServers, null);
  rig.now = 60_001;
  t.is(rig.director.reportForPulse().healthyServers, 1);
  rig.now = 0;
  t.is(rig.director.reportForPulse().healthyServers, 1);
  t.is(rig.director.reportForPulse().totalServers, 2);
});

test('the status report fits its published schema, and tells of the conditions of both routers', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.verdicts = [verdict('fs1', 'up'), verdict('fs2', 'down')];
  const report = rig.director.report();
  statusReportSchema.parse(report);
  t.is(report.health, 'failed');
  t.regex(report.problems.join(' '), /pulse does not answer.*server fs2 is down at stage login/);
  t.like(report.services[0]?.servers[1], { kernelWeight: 2, state: 'down', failedStage: 'login', words: '530 no' });
  t.deepEqual(report.kernel.found, { expiry: 'by time-out 1' });
  // The report's sync and SyncStatus are the same shape: the other direction is checked in src/director/report.ts.
  const same: SyncStatus = report.sync;
  t.deepEqual(same, syncStatus());
});

test('pulse is told that this router is cold, and not when there is no sync to be cold in', t => {
  const rig = rigOf();
  t.true(rig.director.reportForPulse().warm);
  rig.sync = syncStatus({ warm: false, phase: 'resync' });
  t.false(rig.director.reportForPulse().warm);
  rig.sync = syncStatus({ warm: false, phase: 'off' });
  t.true(rig.director.reportForPulse().warm);
});

test('a standby that is cold for 10 s is a problem, counted by the reports to pulse, until it is warm', t => {
  const rig = rigOf();
  const told = () => rig.director.report().problems.some(problem => problem.includes('is cold'));
  rig.sync = syncStatus({ warm: false, phase: 'resync' });
  for (rig.now = 0; rig.now < 10_000; rig.now += 1_000) rig.director.reportForPulse();
  rig.now = 9_999;
  t.false(told());
  rig.now = 10_000;
  t.true(told());
  rig.sync = syncStatus();
  t.false(told());
});

test('listeners hear of audits and can leave', async t => {
  const rig = rigOf();
  const heard: string[] = [];
  const leave = rig.director.subscribe(reason => heard.push(reason));
  await rig.director.audit('start');
  leave();
  await rig.director.audit('timer');
  t.deepEqual(heard, ['audit']);
});

test('a plan for another config is made without touching the kernel', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  const before = rig.fake.ipvs.batches.length;
  const plan = await rig.director.plan(configOf({ services: { ftp: { ...FTP, mark: 22 } } }));
  t.true(
    plan.rules.some(line => /^- .*mark set .*\b(?:21|0x0*15)\b/.test(line)),
    String(plan.rules),
  );
  t.true(plan.rules.some(line => /^\+ .*mark set .*\b(?:22|0x0*16)\b/.test(line)));
  t.true(plan.changes.some(change => change.disruptive));
  t.is(rig.fake.ipvs.batches.length, before);
});

test('data of active mode that nobody knows is adopted on a standby and for a while after a takeover, not later', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  const adopts = async () => {
    await rig.director.look();
    return /\. 20 : jump adopt_ftp/.test(rig.fake.nft ?? '');
  };
  t.true(await adopts(), 'nobody has said yet whose the VIPs are');
  rig.pulse = role('standby');
  rig.director.pulseSays(rig.pulse);
  rig.now += 3_600_000;
  t.true(await adopts(), 'a standby is ready at any moment, also without a director');
  rig.pulse = role('active', true);
  rig.director.pulseSays(rig.pulse);
  await settledOf(rig);
  rig.now += 59_999;
  t.true(await adopts());
  rig.news();
  rig.now += 1;
  t.false(await adopts());
  t.deepEqual(rig.news(), [], 'and that is no drift');
  rig.pulse = role('standby');
  rig.director.pulseSays(rig.pulse);
  t.true(await adopts());
});

test('rules follow an interface that gets another name', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  rig.news();
  const [, ...others] = rig.fake.interfaces;
  rig.fake.interfaces = [{ name: 'wan0', altnames: [], addresses: ['192.0.2.2'] }, ...others];
  await rig.director.look();
  t.regex(rig.fake.nft ?? '', /iifname \{ "wan0", "x0" \} .* meta mark set ip daddr/);
  t.deepEqual(rig.news(), ['INTERFACE_NAMED']);
  await rig.director.look();
  t.deepEqual(rig.news(), []);
});

test('who is connected is asked of the sync, and comes with whose table it is; a name that is not there is refused', t => {
  const rig = rigOf();
  rig.pulse = role('standby');
  const table = rig.director.sessions({ service: 'ftp', server: 'fs1' });
  if (typeof table === 'string') return t.fail(table);
  t.like(table.head, { pair: 'test', node: NODE, peer: 'r2', role: 'standby', from: 'own', whole: true });
  t.deepEqual(rig.asked, [{ service: 'ftp', server: 'fs1' }]);
  t.is(rig.director.sessions({ service: 'ftq' }), 'there is no service "ftq" in the config; it has: ftp');
  t.is(
    rig.director.sessions({ service: 'ftp', server: 'fs7' }),
    'there is no server "fs7" in service "ftp"; it has: fs1, fs2',
  );
  t.is(typeof rig.director.sessions({ server: '198.51.100.77' }), 'object', 'it may have left the config');
  t.is(rig.asked.length, 2);
});

test('counters that take long to read are read more seldom', async t => {
  const rig = rigOf();
  await rig.director.audit('start');
  let reads = 0;
  const { kernel } = rig.fake;
  Object.assign(kernel, {
    readCounters: async () => {
      reads += 1;
      rig.now += 1_000;
      return { ok: true, value: new Map() };
    },
  });
  await rig.director.poll();
  t.is(reads, 1);
  rig.now += 5_000;
  await rig.director.poll();
  t.is(reads, 1);
  rig.now += 15_000;
  await rig.director.poll();
  t.is(reads, 2);
});
