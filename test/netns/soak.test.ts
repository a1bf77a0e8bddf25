// A short soak, as scripts/soak runs for hours: real daemons, a seed's faults one after the other, nothing wrong afterwards.
import test from 'ava';
import { buildSoak } from '../soak/io/run.ts';
import { reportText } from '../soak/report.ts';
import { KINDS } from '../soak/schedule.ts';

/** A seed whose first faults are of many kinds. */
const SEED = 11;

test.serial(
  'a pair that is hit by random faults has one owner after each, and alarms only where they are right',
  async t => {
    t.timeout(180_000);
    const soak = await buildSoak({
      prefix: `tp${process.pid}-soak-`,
      seed: SEED,
      from: 0,
      forMs: 45_000,
      faultsMax: 16,
      only: KINDS,
      asan: true,
      keepGoing: false,
      onProgress: text => t.log(text),
    });
    try {
      const report = await soak.run();
      t.deepEqual(report.problems, [], reportText(report));
      t.true(report.faults >= 5, `${report.faults} faults`);
      t.is(report.overlapMs.unplanned, 0);
    } finally {
      await soak.destroy();
    }
  },
);
