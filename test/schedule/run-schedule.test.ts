import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { startSchedule, watchClock } from '../../src/schedule/io/run-schedule.ts';
import { parseSchedule, type Schedule } from '../../src/units/schedule.ts';
import { until } from '../until.ts';

const WEEK_MS = 7 * 86_400_000;

/** A wall clock that a test sets. */
function clockOf() {
  const clock = { offsetMs: 0, now: () => performance.now(), wallMs: () => Date.now() + clock.offsetMs };
  return clock;
}

function run(t: ExecutionContext, schedule: Schedule) {
  const clock = clockOf();
  const steps: number[] = [];
  const rig = { clock, steps, calls: 0 };
  const stop = startSchedule(schedule, () => rig.calls++, clock);
  const unwatch = watchClock(clock, stepMs => steps.push(stepMs));
  t.teardown(() => {
    stop();
    unwatch();
  });
  return Object.assign(rig, { stop });
}

test('a duration is a pause, anything else a cron expression', t => {
  t.deepEqual(parseSchedule('30s') as unknown, { type: 'every', everyMs: 30_000 });
  t.deepEqual(parseSchedule('*/30 * * * * *'), { type: 'cron', expression: '*/30 * * * * *' });
});

for (const stepMs of [-3_600_000, WEEK_MS, 365 * 86_400_000]) {
  for (const text of ['1s', '* * * * * *']) {
    test(`"${text}" goes on when the wall clock is set by ${stepMs} ms, and the step is told once`, async t => {
      const rig = run(t, parseSchedule(text));
      await until('it runs', () => rig.calls > 0);
      rig.clock.offsetMs = stepMs;
      const before = rig.calls;
      const began = performance.now();
      await until('it goes on', () => rig.calls >= before + 2);
      const passedMs = performance.now() - began;
      // Once a second, however far the clock was set: nothing is made up for.
      t.true(rig.calls - before <= passedMs / 1_000 + 3, `${rig.calls - before} in ${passedMs} ms`);
      await until('the step is told', () => rig.steps.length > 0);
      t.is(rig.steps.length, 1);
      t.true(Math.abs((rig.steps[0] ?? 0) - stepMs) < 1_000);
    });
  }
}

test('what is stopped never runs again', async t => {
  const every = run(t, parseSchedule('1s'));
  const cron = run(t, parseSchedule('* * * * * *'));
  every.stop();
  cron.stop();
  await sleep(2_200);
  t.deepEqual([every.calls, cron.calls], [0, 0]);
});
