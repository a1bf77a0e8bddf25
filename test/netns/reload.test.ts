// Two real pulses are told to read their config again (SIGHUP), one after the other: what changes,
// what does not, what is told. Needs root and `scripts/setup`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Router } from '../lab/pair/topology.ts';
import { routersTest, settled } from './io/act.ts';
import { groupPids, type Routers, signalAll } from './io/routers.ts';

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

/** Both routers read one file; each reads it when it is told to. */
function edit(routers: Routers, change: (text: string) => string): void {
  const file = join(routers.directory, 'tandem.yaml');
  const before = readFileSync(file, 'utf8');
  const after = change(before);
  if (after === before) throw new Error('the edit changes nothing');
  writeFileSync(file, after);
}

const codesOf = (routers: Routers, router: Router, code: string) =>
  routers.pulses[router]?.log.filter(line => line.code === code) ?? [];

async function reload(routers: Routers, router: Router): Promise<void> {
  const vipd = await routers.vipdPid(router);
  const pulse = (await groupPids(routers, router)).filter(pid => pid !== vipd);
  const answers = () =>
    codesOf(routers, router, 'CONFIG_LOADED').length + codesOf(routers, router, 'CONFIG_REFUSED').length;
  const before = answers();
  signalAll(pulse, 'SIGHUP');
  await routers.until(`${router} has read its config`, 10_000, () => answers() > before);
}

async function timesIn(routers: Routers, router: Router): Promise<Record<string, unknown>> {
  const said = () => codesOf(routers, router, 'TIMES_CHANGED');
  await routers.until(`${router} has its new times`, 10_000, () => said().length > 0);
  return said().pop() ?? {};
}

/** What vipd lets the kernel open for when the whole lease is granted. */
const gateOf = async (routers: Routers, router: Router) =>
  (await routers.topology.exec(router, 'nft', ['list', 'table', 'netdev', 'tandem_gate'])).stdout;

routersTest('longer times on one router, then on the other, and back: the VIP stays', {}, async act => {
  await settled(act);
  const { t, routers } = act;
  const text = readFileSync(join(routers.directory, 'tandem.yaml'), 'utf8');
  const slower = (config: string) =>
    config
      .replace(/interval: \S+/, 'interval: 200ms')
      .replace(/lease: \S+/, 'lease: 480ms')
      .replace(/dead: \S+/, 'dead: 700ms')
      .replace('r1: { priority: 110 }', 'r1: { priority: 120 }');
  edit(routers, slower);
  for (const router of ['r1', 'r2'] as const) {
    await reload(routers, router);
    const { intervalMs, leaseMs, deadMs, priority } = await timesIn(routers, router);
    t.deepEqual([intervalMs, leaseMs, deadMs], [200, 480, 700]);
    t.is(priority, router === 'r1' ? 120 : 100);
  }
  t.regex(await gateOf(routers, 'r1'), /timeout 484ms/);
  // The feed tells it with its next snapshot, within a second.
  await routers.until('r2 says so', 3_000, async () => (await routers.snapshot('r2'))?.peer?.priority === 120);
  await pause(1_500);
  edit(routers, () => text);
  for (const router of ['r2', 'r1'] as const) {
    const before = codesOf(routers, router, 'TIMES_CHANGED').length;
    await reload(routers, router);
    await routers.until(
      `${router} has its old times`,
      10_000,
      () => codesOf(routers, router, 'TIMES_CHANGED').length > before,
    );
  }
  t.notRegex(await gateOf(routers, 'r1'), /timeout 484ms/);
  await pause(1_500);
  t.deepEqual(
    routers.events.filter(({ held }) => !held),
    [],
    'the VIP never left',
  );
  t.deepEqual(routers.holders(), ['r1']);
  for (const router of ['r1', 'r2'] as const) {
    t.is(codesOf(routers, router, 'LEASE_EXPIRED').length, 0);
    const counters = (await routers.snapshot(router))?.counters;
    t.is(counters?.lateLoops, 0, 'reading delays no heartbeat');
  }
});

routersTest('asked over its socket, pulse looks at the file or takes it, and says what came of it', {}, async act => {
  await settled(act);
  const { t, routers } = act;
  const before = await routers.snapshot('r1');
  edit(routers, config => config.replace(/dead: \S+/, 'dead: 900ms').replace('vips: [', 'vips: [192.0.2.101, '));
  const looked = await routers.command('r1', { command: 'reload', dryRun: true });
  t.deepEqual(looked.reading?.waiting, ['lans.clients']);
  t.is((await routers.snapshot('r1'))?.runningDigest, before?.runningDigest);
  t.is(codesOf(routers, 'r1', 'CONFIG_LOADED').length, 0);
  const took = await routers.command('r1', { command: 'reload', dryRun: false });
  t.deepEqual(took.reading, looked.reading);
  t.is((await timesIn(routers, 'r1')).deadMs, 900);
  await routers.until('the feed says so', 3_000, async () => {
    return (await routers.snapshot('r1'))?.runningDigest === took.reading?.runningDigest;
  });
  t.deepEqual(routers.holders(), ['r1']);
  t.is((await routers.snapshot('r1'))?.counters.lateLoops, 0, 'reading delays no heartbeat');
});

routersTest('a mistake in the file is told and changes nothing; what needs a restart is named', {}, async act => {
  await settled(act);
  const { t, routers } = act;
  const before = await routers.snapshot('r1');
  const file = join(routers.directory, 'tandem.yaml');
  const text = readFileSync(file, 'utf8');
  edit(routers, config => config.replace(/dead: \S+/, 'dead: 5ms'));
  await reload(routers, 'r1');
  const refused = codesOf(routers, 'r1', 'CONFIG_REFUSED').pop();
  t.regex(String(refused?.first), /tandem\.yaml:\d+:\d+: heartbeat\.dead: /);
  t.is((await routers.snapshot('r1'))?.runningDigest, before?.runningDigest);
  t.is(codesOf(routers, 'r1', 'TIMES_CHANGED').length, 0);

  writeFileSync(file, text.replace(/dead: \S+/, 'dead: 900ms').replace('vips: [', 'vips: [192.0.2.101, '));
  await reload(routers, 'r1');
  t.is((await timesIn(routers, 'r1')).deadMs, 900, 'what can be taken is');
  t.is(codesOf(routers, 'r1', 'CONFIG_WAITS').pop()?.parts, 'lans.clients');
  await routers.until('the feed says so', 3_000, async () => {
    const now = await routers.snapshot('r1');
    return now?.waiting.join() === 'lans.clients' && now.runningDigest !== before?.runningDigest;
  });
  await pause(1_000);
  t.deepEqual(routers.holders(), ['r1']);
  t.is((await routers.snapshot('r1'))?.role, 'active');
});
