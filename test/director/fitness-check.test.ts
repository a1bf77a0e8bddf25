// What runs of a fitness check's script mean: rise and fall, and what could not be made, which lowers nothing.
import test, { type ExecutionContext } from 'ava';
import { type Config, configSchema } from '../../src/config/schema.ts';
import {
  failingChecks,
  fitnessAfter,
  fitnessProblems,
  fitnessReport,
  NEW_FITNESS_CHECK,
} from '../../src/director/fitness-check.ts';
import { type FitnessChecks, startFitnessChecks } from '../../src/director/io/fitness-checks.ts';
import type { EventCode } from '../../src/log/catalogue.ts';
import { EVENTS } from '../../src/log/catalogue.ts';
import type { Fields } from '../../src/log/event.ts';
import type { RunAnswer } from '../../src/runner/runner-message.ts';
import { workLabel } from '../../src/runner/work.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { until } from '../until.ts';

const GOOD: RunAnswer = { type: 'ended', how: 'exit', status: 0, tookMs: 5, reason: 'exit status 0', output: '' };
const BAD: RunAnswer = { ...GOOD, status: 1, reason: 'exit status 1: no route', output: 'no route' };
const LATE: RunAnswer = { ...BAD, how: 'timeout', status: null, reason: 'not done within 5000 ms' };
const NOT_RUN: RunAnswer = { type: 'refused', reason: 'there is no /etc/x' };
const ANSWERS = { g: GOOD, b: BAD, l: LATE, n: NOT_RUN } as const;

// Letters as above; states (? unknown, p passing, f failing) and effects after each.
const HISTORIES: readonly [answers: string, states: string, effects: readonly string[]][] = [
  ['gg', '?p', ['', 'passed']],
  ['bbb', '??f', ['', '', 'failed']],
  ['blb', '??f', ['', '', 'failed']],
  ['ggbbgbbb', '?pppppp' + 'f', ['', 'passed', '', '', '', '', '', 'failed']],
  ['bbbgbgg', '??ffffp', ['', '', 'failed', '', '', '', 'passed']],
  ['nnnn', '????', ['', '', 'unknown', '']],
  ['ggnngnnn', '?pppppp?', ['', 'passed', '', '', '', '', '', 'unknown']],
  ['bbbnnngg', '??fff??p', ['', '', 'failed', '', '', 'unknown', 'judged', 'passed']],
  ['bbbnnb', '??ffff', ['', '', 'failed', '', '', '']],
];

for (const [answers, states, effects] of HISTORIES) {
  test(`with rise 2 and fall 3, runs ${answers} lead to states ${states}`, t => {
    let check = NEW_FITNESS_CHECK;
    const seen = [...answers].map(letter => {
      const { next, effects: told } = fitnessAfter(
        check,
        { rise: 2, fall: 3 },
        ANSWERS[letter as keyof typeof ANSWERS],
        '',
      );
      check = next;
      return [next.state === 'unknown' ? '?' : next.state.charAt(0), told.join(' ')];
    });
    t.is(seen.map(([state]) => state).join(''), states);
    t.deepEqual(
      seen.map(([, effect]) => effect),
      [...effects],
    );
  });
}

test('pulse is told how many fail once all are judged; what cannot be made lowers nothing and is a problem', t => {
  const of = (name: string, answers: string) => {
    const check = [...answers].reduce(
      (before, letter) => fitnessAfter(before, { rise: 1, fall: 1 }, ANSWERS[letter as keyof typeof ANSWERS], '').next,
      NEW_FITNESS_CHECK,
    );
    return fitnessReport(name, check);
  };
  t.is(failingChecks([]), 0);
  t.is(failingChecks([of('a', 'g'), of('b', 'b'), of('c', 'l')]), 2);
  t.is(failingChecks([of('a', 'b'), of('b', '')]), null, 'one is not judged yet');
  const reports = [of('a', 'b'), of('b', 'n')];
  t.is(failingChecks(reports), 1);
  t.deepEqual(fitnessProblems(reports, 'r1'), [
    'fitness check a fails, which makes r1 less fit: exit status 1: no route',
    'fitness check b is not judged: there is no /etc/x',
  ]);
});

function configOf(checks: Record<string, object>): Pick<Config, 'fitness' | 'services'> {
  return { fitness: configSchema.shape.fitness.parse({ checks }), services: {} };
}

interface Rig {
  readonly checks: FitnessChecks;
  readonly events: { code: EventCode; fields: Fields }[];
  readonly asked: string[];
  answer: RunAnswer;
}

function rig(t: ExecutionContext, config: ReturnType<typeof configOf>): Rig {
  const made = { events: [], asked: [], answer: GOOD } as unknown as { -readonly [K in keyof Rig]: Rig[K] };
  made.checks = startFitnessChecks({
    ...{ config, node: 'r1', socketPath: '/none', now: monotonicNow, wall: () => '' },
    log: { event: (code, fields = {}) => void made.events.push({ code, fields }) },
    onChange: () => undefined,
    ask: async (_, { run, digest }, { timeoutMs }) => {
      made.asked.push(`${workLabel(run)} ${digest} ${timeoutMs}`);
      return made.answer;
    },
  });
  t.teardown(() => made.checks.stop());
  return made;
}

const UPLINK = { script: ['/bin/true'], interval: '1s', rise: 1, fall: 1 };

test('checks of the config are run again and again, told with the fields of the catalogue, and forgotten when they leave it', async t => {
  const made = rig(t, configOf({ uplink: UPLINK }));
  const stateOf = () => made.checks.reports()[0]?.state;
  await until('it passes', () => stateOf() === 'passing');
  made.answer = BAD;
  await until('it fails', () => stateOf() === 'failing');
  made.answer = NOT_RUN;
  await until('it is unknown', () => stateOf() === 'unknown');
  made.answer = LATE;
  await until('it fails again', () => stateOf() === 'failing');
  made.checks.update(configOf({}));
  t.deepEqual(made.checks.reports(), []);
  t.deepEqual(
    made.events.map(({ code }) => code.replace('FITNESS_CHECK_', '')),
    ['PASSED', 'FAILED', 'UNKNOWN', 'JUDGED', 'FAILED', 'PASSED'],
  );
  for (const { code, fields } of made.events)
    t.deepEqual(Object.keys(fields).sort(), Object.keys(EVENTS[code].fields).sort(), code);
});

test('a check whose settings change keeps its state and is run by the new ones at once', async t => {
  const made = rig(t, configOf({ uplink: { ...UPLINK, interval: '1h' } }));
  await until('it passes', () => made.checks.reports()[0]?.state === 'passing');
  made.checks.update(configOf({ uplink: { ...UPLINK, interval: '1h', timeout: '9s', environment: { A: 'b' } } }));
  t.is(made.checks.reports()[0]?.state, 'passing');
  await until('it is run anew', () => made.asked.some(line => line.endsWith(' 9000')));
  t.is(new Set(made.asked).size, 2, 'the digest says that it is another script');
});
