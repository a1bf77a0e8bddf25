// The disk with pulse's state fails under real routers: the service goes on, it is told, and no epoch is used twice. Needs root.
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parseEpoch } from '../../src/units/epoch.ts';
import { buildRouters, groupPids, signalAll } from './io/routers.ts';

test.serial(
  'a router whose state cannot be written takes over, says so, and after a reboot begins above what it used',
  async t => {
    const routers = await buildRouters({ prefix: `tp${process.pid}-d-` });
    try {
      routers.start('r1');
      routers.start('r2');
      await routers.settle('r1');
      const stateDir = join(routers.directory, 'r2', 'state');
      renameSync(stateDir, `${stateDir}.away`);
      writeFileSync(stateDir, '');
      await routers.topology.cutPower('r1');
      await routers.until('r2 active', 5_000, async () => (await routers.snapshot('r2'))?.serving === true);
      await routers.until(
        'told',
        3_000,
        () => routers.pulses.r2?.log.some(line => line.code === 'STATE_UNWRITABLE') ?? false,
      );
      // Each way in which it fails once: the directory goes in two steps.
      const told = routers.pulses.r2?.log.filter(line => line.code === 'STATE_UNWRITABLE').map(line => line.problem);
      t.is(new Set(told).size, told?.length ?? 0);
      const used = parseEpoch((await routers.snapshot('r2'))?.epoch ?? '')?.counter ?? Infinity;

      // A power cut of r2 too: what it had in memory and below /run is gone, its disk is as it was long before.
      signalAll(await groupPids(routers, 'r2'), 'SIGKILL');
      rmSync(join(routers.directory, 'r2', 'run'), { recursive: true, force: true });
      rmSync(stateDir);
      renameSync(`${stateDir}.away`, stateDir);
      routers.start('r2');
      await routers.until('r2 active again', 30_000, async () => (await routers.snapshot('r2'))?.serving === true);
      const again = parseEpoch((await routers.snapshot('r2'))?.epoch ?? '')?.counter ?? 0;
      t.true(again > used, `${again} after ${used}`);
    } finally {
      await routers.destroy();
    }
  },
);
