// What people see of the sync: the lines in `tandem status` and the whole of `tandem sync`.
import test from 'ava';
import { painter } from '../../src/cli/format.ts';
import { renderSync, resyncPercent, syncLines } from '../../src/cli/render-sync.ts';
import type { StatusReport } from '../../src/status/status-report.ts';
import type { SyncStatus } from '../../src/status/sync-status.ts';
import { NOW, sampleReport, sampleSnapshot, sampleSync } from './samples.ts';

const PLAIN = { colour: false, now: NOW };

function lines(sync: Partial<SyncStatus>, changes: Partial<StatusReport> = {}): string[] {
  return syncLines({ ...sampleReport(), ...changes, sync: sampleSync(sync) }, painter(false), NOW).split('\n');
}

const resync = (changes: Partial<NonNullable<SyncStatus['resync']>>) => ({
  startedAt: '2026-11-22T16:24:50.000Z',
  endedAt: null,
  entries: 1_000,
  sent: 459,
  verifiedBy: null,
  repaired: 0,
  ...changes,
});

test('the source says to whom it streams over what, how much, how far behind, and what is stored', t => {
  t.deepEqual(lines({}), [
    'SYNC  streaming to router-b over client; 1,234 templates, 5,678 connections; lag 12 ms',
    '  store file, saved 12s ago, 1,230 templates, 5,600 connections',
  ]);
});

test('a cold standby says so first, with the share that has come', t => {
  t.is(
    lines({ role: 'sink', warm: false, phase: 'resync', resync: resync({}) })[0],
    'SYNC  COLD: resync 45 % from router-b over client; 1,234 templates, 5,678 connections',
  );
  t.is(
    lines({ role: 'sink', warm: false, phase: 'waiting' })[0],
    'SYNC  COLD: waiting: no link to the director of router-b; 1,234 templates, 5,678 connections',
  );
  t.regex(lines({ role: 'sink' })[0] ?? '', /^SYNC {2}warm: streaming from router-b over client;/);
});

test('the owner says that its peer is cold, unless it is not heard at all', t => {
  const { peer } = sampleSnapshot();
  if (!peer) throw new Error('the sample has a peer');
  const cold = sampleSnapshot({ peer: { ...peer, warm: false } });
  t.regex(lines({}, { pulse: cold })[0] ?? '', /; router-b is COLD$/);
  const silent = sampleSnapshot({ peer: { ...peer, warm: false, silent: true } });
  t.notRegex(lines({}, { pulse: silent })[0] ?? '', /COLD/);
});

test('no sync and no store are said with what follows from that; a failing store says why', t => {
  t.deepEqual(lines({ phase: 'off' }), ['SYNC  off: sessions and transfers do not outlive a failover']);
  const { store } = sampleSync();
  t.is(lines({ store: { ...store, type: 'none' } })[1], '  no store: a reboot of both routers forgets all sessions');
  t.is(
    lines({ store: { ...store, type: 'redis', savedAt: null, problem: 'refused\u001b[2J' } })[1],
    '  store redis, nothing saved yet; FAILS: refused [2J',
  );
});

test('the progress of a resync is a share that never says 100 % too early', t => {
  t.is(resyncPercent(sampleSync()), undefined);
  t.is(resyncPercent(sampleSync({ resync: resync({ sent: 999 }) })), '99 %');
  t.is(resyncPercent(sampleSync({ resync: resync({ entries: 0, sent: 0 }) })), '0 %');
  t.is(resyncPercent(sampleSync({ resync: resync({ sent: 2_000 }) })), '100 %');
});

test('tandem sync shows everything, counters with their meanings', t => {
  t.is(
    renderSync(sampleReport(), PLAIN),
    `WARM  router-a owns the VIPs; streaming to router-b over client

TABLES
  1,234 templates, 5,678 connections, 3 not acknowledged, lag 12 ms
  router-b is warm

LINKS
  link    state  rtt
  client  up     0.40 ms
  cross   DOWN   -

RESYNC
  ended 4m 48s ago: 6,912 of 6,912 entries sent in 1.5s, every entry compared, 1 sent again

STORE
  store file, saved 12s ago, 1,230 templates, 5,600 connections

COUNTERS
  counter    since start  meaning
  published  12,345       entries given to the stream
  holes      2            gaps in the sequence that had to be asked for

KERNEL
  injection: works
`,
  );
});

test('tandem sync tells the problems of the sync, each once, and a resync under way', t => {
  const problem =
    'sync: router-a is cold: a failover to it now breaks running transfers and sessions; see: tandem sync';
  const report: StatusReport = {
    ...sampleReport(),
    problems: ['service ftp: server ftp2 is down', problem],
    pulse: null,
    sync: sampleSync({
      role: 'sink',
      warm: false,
      phase: 'resync',
      resync: resync({}),
      problems: [problem],
      counters: {},
    }),
    kernel: { ...sampleReport().kernel, found: {} },
  };
  const text = renderSync(report, PLAIN);
  t.regex(text, /^COLD {2}this router is the standby; resync 45 % from the peer over client\n/);
  t.is(text.split(problem).length, 2);
  t.notRegex(text, /ftp2|COUNTERS|KERNEL/);
  t.regex(text, /the peer is not heard/);
  t.regex(text, /RESYNC\n {2}under way since 10s ago: 459 of 1,000 entries sent\n/);
});

test('tandem sync of a pair without sync says what that means', t => {
  const off = { ...sampleReport(), sync: sampleSync({ phase: 'off', role: 'idle', links: [], resync: null }) };
  t.regex(renderSync(off, PLAIN), /^OFF {2}sessions and transfers do not outlive a failover\n/);
});
