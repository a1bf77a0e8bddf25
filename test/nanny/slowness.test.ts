// Limits on the time of a check.
import test from 'ava';
import { withScript } from '../../src/nanny/script-result.ts';
import { slowIn } from '../../src/nanny/slowness.ts';
import { ms } from '../../src/units/duration.ts';

test('the time of check.script counts for no limit of the check, and is shown', t => {
  const passed = { ok: true, tookMs: 700, stagesMs: { connect: 600, greeting: 100 }, bytes: 0 } as const;
  const ended = { type: 'ended', how: 'exit', status: 0, tookMs: 5_000, reason: '', output: '' } as const;
  const outcome = withScript(passed, ended);
  if (outcome.type !== 'result') return t.fail(outcome.type);
  t.like(outcome.result, { ok: true, tookMs: 5_700, stagesMs: { script: 5_000 } });
  t.is(slowIn({ whole: ms(1_000) }, outcome.result), undefined);
  t.deepEqual(slowIn({ whole: ms(500) }, outcome.result), {
    ...{ stage: 'connect', isWhole: true, ms: 700, limitMs: ms(500) },
  });
});
