// How a test run is judged: what ava's lines say, which failures a stand-still of the machine explains, and how it is counted.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { disturbance, failingStep, longestWithin, type StandStill, type Step } from './disturbance.ts';
import { closingLine, durationMs, outcomeOf, ownTimeMs, slowest, titleOf, tooDisturbed } from './outcome.ts';
import { wallMs } from './step.ts';

test('verdict, title and time are read from the lines of ava, and nothing else is', t => {
  t.deepEqual(outcomeOf('  ✔ power loss: the VIP moves (1m 2.3s)'), {
    verdict: 'passed',
    title: 'power loss: the VIP moves',
    tookMs: 62_300,
  });
  t.deepEqual(outcomeOf('  ✘ [fail]: SIGSTOP of vipd (alone)'), {
    verdict: 'failed',
    title: 'SIGSTOP of vipd (alone)',
    tookMs: 0,
  });
  t.is(outcomeOf('  ✘ [fail]: netns › pulse › power loss (532ms) Timeout')?.verdict, 'failed');
  t.is(outcomeOf('  ✘ pulse.test.js exited due to SIGKILL')?.verdict, 'failed');
  t.is(outcomeOf('  - [skip] needs root')?.verdict, 'skipped');
  for (const other of ['', '  ─', '    ✔ in a log', '  1 test passed', '✔ not indented', '  - 0.39'])
    t.is(outcomeOf(other), undefined, other);
});

test('the title of a failed test is told from the message behind it', t => {
  const rest = ['  power', '  power loss (1)', '', '  expected 3'];
  t.is(titleOf('power loss (1) expected 3', rest), 'power loss (1)');
  t.is(titleOf('another one timed out', rest), 'another one timed out');
});

test('a test that waited for its turn is as slow as it says itself', t => {
  t.is(ownTimeMs("    ℹ 13.7 s on the lab's clock, 22.1 s of real time"), 22_100);
  t.is(ownTimeMs('    ℹ VIP on r2 295 ms after the cut'), undefined);
});

test('durations are read in every form that ava writes', t => {
  t.deepEqual(['532ms', '1.5s', '2m', '1h 3m 4.5s'].map(durationMs), [532, 1_500, 120_000, 3_784_500]);
  t.deepEqual(['', 'alone', '3 things', '-1s'].map(durationMs), [undefined, undefined, undefined, undefined]);
});

const STEPS: readonly Step[] = [
  { at: 1_000, what: 'boot', test: 'a' },
  { at: 1_500, what: 'boot', test: 'b' },
  { at: 2_000, what: 'power cut', test: 'a' },
  { at: 3_000, what: 'anything' },
];

test('the step that failed is the last that began before, of that test or of none in particular', t => {
  t.is(failingStep(STEPS, 'a', 2_500)?.what, 'power cut');
  t.is(failingStep(STEPS, 'b', 2_500)?.what, 'boot');
  t.is(failingStep(STEPS, 'b', 3_500)?.what, 'anything');
  t.is(failingStep(STEPS, 'a', 900), undefined);
});

test('a failure is disturbed only by a stand-still within the step that failed', t => {
  const seen: readonly StandStill[] = [{ from: 1_990, to: 2_040 }];
  const at = (failedAt: number) => disturbance({ title: 'a', failedAt }, STEPS, seen);
  t.deepEqual(at(2_500), { step: STEPS[2] as Step, standStillMs: 50 });
  t.is(disturbance({ title: 'b', failedAt: 1_900 }, STEPS, seen), undefined, 'it came later');
  t.is(at(3_500), undefined, 'it was over when the step began');
  t.is(disturbance({ title: 'a', failedAt: 2_500 }, STEPS, [{ from: 2_100, to: 2_120 }]), undefined, 'too short');
  t.is(longestWithin([], 0, 10), 0);
});

test('the last line counts, and names skipped and disturbed ones when there are some', t => {
  t.is(closingLine({ passed: 3, failed: 0, skipped: 0, disturbed: 0 }), '3 passed, 0 failed');
  t.is(closingLine({ passed: 3, failed: 1, skipped: 2, disturbed: 4 }), '3 passed, 1 failed, 2 skipped, 4 disturbed');
});

test('a run in which more than one test of twenty was disturbed fails', t => {
  const counts = { passed: 99, failed: 1, skipped: 0 };
  t.false(tooDisturbed({ ...counts, disturbed: 5 }));
  t.true(tooDisturbed({ ...counts, disturbed: 6 }));
});

test('the slowest come first', t => {
  const tests = [3, 9, 5].map(tookMs => ({ title: `${tookMs}`, tookMs }));
  t.deepEqual(
    slowest(tests, 2).map(({ title }) => title),
    ['9', '5'],
  );
});

test('the watch writes down a stand-still with its time, and ends when it is told to', async t => {
  const directory = await mkdtemp(path.join(tmpdir(), 'tandem-watch-'));
  const file = path.join(directory, 'seen');
  await writeFile(file, '');
  const watch = spawn(process.execPath, [fileURLToPath(new URL('./watch.js', import.meta.url)), file]);
  const read = async () =>
    (await readFile(file, 'utf8'))
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as StandStill);
  try {
    const from = wallMs();
    let seen: StandStill[] = [];
    // On a busy machine it may be stopped before it has begun to watch: again, then.
    for (let tries = 0; tries < 40 && longestWithin(seen, from, wallMs()) < 150; tries++) {
      watch.kill('SIGSTOP');
      await sleep(200);
      watch.kill('SIGCONT');
      await sleep(300);
      seen = await read();
    }
    t.true(longestWithin(seen, from, wallMs()) >= 150, JSON.stringify(seen));
  } finally {
    watch.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
});
