// scripts/bench failover measures what it says: one power loss of Tandem, with its own prober, in namespaces. Needs root.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { buildProber, measure } from '../bench/io/failover-run.ts';
import { buildTopology } from '../lab/pair/topology.ts';

test.serial('a power loss: the client misses probes for about the dead time, and nobody serves twice', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
  const topology = await buildTopology({ prefix: `tp${process.pid}-f-` });
  t.teardown(async () => {
    await topology.destroy();
    rmSync(dir, { recursive: true, force: true });
  });
  const prober = join(dir, 'failover-probe');
  await buildProber(prober);
  const rig = {
    topology,
    prober,
    dir,
    disk: dir,
    loadMinutes: 1,
    priority: 50,
    proberLateMsMax: Infinity,
    onTrace: () => undefined,
  };
  const planned = { id: 'smoke', part: 'power', tool: 'tandem', intervalMs: 100, run: 1 } as const;
  const outcome = await measure(rig, planned);
  if (outcome.kind !== 'fault') return t.fail(`measured ${outcome.kind}`);
  t.log(outcome.figures);
  t.true(outcome.figures.restored);
  t.is(outcome.figures.bothServedMs, 0);
  // D less the age of the last heartbeat is the contract; how late a busy machine makes it is none of this test.
  t.true(outcome.figures.gapMs >= 180, `too early: ${outcome.figures.gapMs}`);
  t.true(Math.abs(outcome.figures.lost - outcome.figures.gapMs) < outcome.figures.gapMs / 2);
});
