import test from 'ava';
import fc from 'fast-check';
import {
  checkAbandoned,
  checkBegins,
  checkEnds,
  FIRST_CHECKS_PAUSE_MS,
  isDue,
  lateness,
  type Nanny,
  newNanny,
  PAUSE_MIN_MS,
  type Pace,
  sooner,
  verdictOf,
} from '../../src/nanny/nanny.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import { type At, ms } from '../../src/units/duration.ts';

const CONDITIONS = { expiryWarnMs: ms(14 * 86_400_000), slowWarn: {} };
const PACE: Pace = { intervalMs: ms(5_000), rise: 2, fall: 3, conditions: CONDITIONS };
const WALL = '2026-01-01T00:00:00.000Z';
type Failure = Extract<CheckResult, { ok: false }>;
const GOOD: CheckResult = { ok: true, tookMs: 10, bytes: 5 };
const BAD: Failure = {
  ok: false,
  tookMs: 3_000,
  stage: 'login',
  life: 'speaks',
  problem: 'no answer to PASS',
  words: '',
};
const BAD_ELSEWHERE: Failure = { ...BAD, stage: 'transfer', problem: 'RETR is answered with 550' };
const at = (n: number) => n as At;

/** One check of 10 ms, begun when it is due; its effects in short. */
function check(nanny: Nanny, result: CheckResult, pace = PACE): { next: Nanny; effects: string[] } {
  const begun = checkBegins(nanny, nanny.nextAt);
  const { next, effects } = checkEnds(begun, pace, result, at(nanny.nextAt + 10), WALL);
  return { next, effects: effects.map(effect => (effect.type === 'became' ? effect.to : effect.type)) };
}

// Results are letters: g good, b bad, e bad elsewhere. States and effects after each of them.
const HISTORIES: readonly [results: string, states: string, effects: readonly string[]][] = [
  ['gg', '?u', ['', 'up']],
  ['bbb', '??d', ['check-failed', 'check-failed', 'down']],
  ['gbgg', '???u', ['', 'check-failed', 'check-recovered', 'up']],
  [
    'bgbgbb',
    '??????',
    ['check-failed', 'check-recovered', 'check-failed', 'check-recovered', 'check-failed', 'check-failed'],
  ],
  ['ggbbg', '?uuuu', ['', 'up', 'check-failed', 'check-failed', 'check-recovered']],
  ['ggbbb', '?uuud', ['', 'up', 'check-failed', 'check-failed', 'down']],
  ['ggbbgbb', '?uuuuuu', ['', 'up', 'check-failed', 'check-failed', 'check-recovered', 'check-failed', 'check-failed']],
  ['bbbgg', '??ddu', ['check-failed', 'check-failed', 'down', 'check-recovered', 'up']],
  [
    'bbbgbgg',
    '??ddddu',
    ['check-failed', 'check-failed', 'down', 'check-recovered', 'check-failed', 'check-recovered', 'up'],
  ],
  ['bbbbbb', '??dddd', ['check-failed', 'check-failed', 'down', '', '', '']],
  ['bbbeeb', '??dddd', ['check-failed', 'check-failed', 'down', 'fails-differently', '', 'fails-differently']],
  ['gggg', '?uuu', ['', 'up', '', '']],
];
const SILENT: Failure = { ...BAD, stage: 'greeting', life: 'silent', problem: 'no greeting (220)' };
const GONE: Failure = { ...BAD, stage: 'connect', life: 'none', problem: 'cannot be reached (ECONNREFUSED)' };
const RESULTS = { g: GOOD, b: BAD, e: BAD_ELSEWHERE, s: SILENT, n: GONE } as const;

for (const [results, states, effects] of HISTORIES) {
  test(`with rise 2 and fall 3, checks ${results} lead to states ${states}`, t => {
    let nanny = newNanny(PACE, at(0), 0);
    const seen = [...results].map(letter => {
      const step = check(nanny, RESULTS[letter as keyof typeof RESULTS]);
      nanny = step.next;
      return [nanny.state === 'unknown' ? '?' : nanny.state.charAt(0), step.effects.join(' ')];
    });
    t.is(seen.map(([state]) => state).join(''), states);
    t.deepEqual(
      seen.map(([, effect]) => effect),
      [...effects],
    );
  });
}

// As above, with s silent and n no life; the states say whether a server that is down lives (D) or
// not (d).
const LIVES: readonly [results: string, states: string, effects: string][] = [
  ['ggbbb', '?uuuD', ' up check-failed check-failed down'],
  ['ggnnn', '?uuud', ' up check-failed check-failed down'],
  ['ggnnbnnn', '?uuuDDDd', ' up check-failed check-failed down fails-differently  died'],
  ['ggsss', '?uuuD', ' up check-failed check-failed down'],
  ['ggssss', '?uuuDd', ' up check-failed check-failed down died'],
  ['ggsssbs', '?uuuDDd', ' up check-failed check-failed down fails-differently died'],
  ['bbbnnn', '??DDDd', 'check-failed check-failed down fails-differently  died'],
  ['nnnb', '??dD', 'check-failed check-failed down lives'],
  ['nnngnnn', '??dDDDd', 'check-failed check-failed down check-recovered check-failed  died'],
  ['nnngg', '??dDu', 'check-failed check-failed down check-recovered up'],
];
for (const [results, states, effects] of LIVES) {
  test(`with fall 3, checks ${results} say ${states} of a server's life`, t => {
    let nanny = newNanny(PACE, at(0), 0);
    const seen = [...results].map(letter => {
      const step = check(nanny, RESULTS[letter as keyof typeof RESULTS]);
      nanny = step.next;
      const state = nanny.state === 'down' && nanny.alive ? 'D' : nanny.state.charAt(0);
      return [nanny.state === 'unknown' ? '?' : state, step.effects.join('+')];
    });
    t.is(seen.map(([state]) => state).join(''), states);
    t.is(seen.map(([, effect]) => effect).join(' '), effects);
  });
}

test('with rise 1 and fall 1, the first check decides', t => {
  const pace = { ...PACE, rise: 1, fall: 1 };
  t.is(check(newNanny(pace, at(0), 0), GOOD, pace).next.state, 'up');
  t.is(check(newNanny(pace, at(0), 0), BAD, pace).next.state, 'down');
});

test('a down server whose failure differs only in its numbers does not fail differently', t => {
  let nanny = newNanny({ ...PACE, fall: 1 }, at(0), 0);
  const failing = (bytes: number) => ({ ...BAD, problem: `no end of the data after ${bytes} bytes` });
  nanny = check(nanny, failing(1), { ...PACE, fall: 1 }).next;
  t.deepEqual(check(nanny, failing(20), { ...PACE, fall: 1 }).effects, []);
});

test('the state changes only after rise good or fall bad checks in a row, whatever the history', t => {
  const paces = fc.record({ rise: fc.integer({ min: 1, max: 5 }), fall: fc.integer({ min: 1, max: 5 }) });
  fc.assert(
    fc.property(paces, fc.array(fc.boolean(), { maxLength: 60 }), (counts, results) => {
      const pace = { ...PACE, ...counts };
      let nanny = newNanny(pace, at(0), 0);
      results.forEach((ok, index) => {
        const before = nanny.state;
        nanny = check(nanny, ok ? GOOD : BAD, pace).next;
        const need = ok ? pace.rise : pace.fall;
        const isRun = index + 1 >= need && results.slice(index + 1 - need, index + 1).every(one => one === ok);
        t.is(nanny.state, isRun ? (ok ? 'up' : 'down') : before);
      });
    }),
  );
});

test('first checks are spread over at most a second', t => {
  t.is(newNanny(PACE, at(100), 0).nextAt, at(100));
  t.is(newNanny(PACE, at(100), 0.5).nextAt, at(100 + FIRST_CHECKS_PAUSE_MS / 2));
  t.is(newNanny({ ...PACE, intervalMs: ms(500) }, at(100), 0.5).nextAt, at(350));
});

test('checks of a known server begin an interval apart; an unknown one is checked again after a second', t => {
  let nanny = check(newNanny(PACE, at(0), 0), GOOD).next;
  t.is(nanny.nextAt, at(FIRST_CHECKS_PAUSE_MS));
  nanny = check(nanny, GOOD).next;
  t.is(nanny.state, 'up');
  nanny = check(nanny, GOOD).next;
  t.is(nanny.nextAt, at(2 * FIRST_CHECKS_PAUSE_MS + 5_000));
});

test('with their first verdict the checks of many servers are spread over the whole interval, in their order', t => {
  const shares = [0, 0.25, 0.5, 0.75];
  const judged = shares.map(share => check(check(newNanny(PACE, at(0), share), GOOD).next, GOOD).next);
  t.deepEqual(
    judged.map(({ nextAt }) => nextAt as number),
    shares.map(share => 2 * FIRST_CHECKS_PAUSE_MS + share * PACE.intervalMs),
  );
});

test('a shorter interval brings the next check nearer, those of many servers still spread; a longer one leaves it', t => {
  const nanny = { ...newNanny(PACE, at(0), 0.5), state: 'up' as const, nextAt: at(9_000) };
  t.is(sooner(nanny, { ...PACE, intervalMs: ms(2_000) }, at(5_000)).nextAt, at(6_000));
  t.is(sooner(nanny, PACE, at(5_000)).nextAt, at(9_000));
});

// Results as above, one a check; the pauses from one beginning to the next, in seconds. The first in its round: it stays there with
// its verdict.
const PACES: readonly [says: string, pace: Partial<Pace>, results: string, pauses: readonly number[]][] = [
  ['with one interval all are alike', {}, 'ggbbbbgg', [1, 1, 5, 5, 5, 5, 5, 5]],
  ['a server that is down has its own', { intervalDownMs: ms(15_000) }, 'ggbbbbgg', [1, 1, 5, 5, 15, 15, 15, 5]],
  [
    'while fall or rise are counted, it goes quicker',
    { intervalChangingMs: ms(2_000) },
    'ggbgbbbbgbgg',
    [1, 1, 2, 5, 2, 2, 5, 5, 2, 5, 2, 5],
  ],
  ['all three', { intervalDownMs: ms(15_000), intervalChangingMs: ms(2_000) }, 'ggbbbbgg', [1, 1, 2, 2, 15, 15, 2, 5]],
];

for (const [says, given, results, pauses] of PACES) {
  test(`pauses between checks: ${says}`, t => {
    const pace = { ...PACE, ...given };
    let nanny = newNanny(pace, at(0), 0);
    const seen = [...results].map(letter => {
      const began = nanny.nextAt;
      nanny = check(nanny, RESULTS[letter as keyof typeof RESULTS], pace).next;
      return (nanny.nextAt - began) / 1_000;
    });
    t.deepEqual(seen, [...pauses]);
  });
}

test('a check longer than the interval is followed after a pause, and never overlapped', t => {
  const pace = { ...PACE, intervalMs: ms(500) };
  const begun = checkBegins(newNanny(pace, at(0), 0), at(0));
  t.false(isDue(begun, at(8_000)));
  const { next } = checkEnds(begun, pace, BAD, at(8_000), WALL);
  t.is(next.nextAt, at(8_000 + PAUSE_MIN_MS));
  t.false(isDue(next, at(8_050)));
  t.true(isDue(next, at(8_100)));
  t.is(lateness(next, at(8_400)), ms(300));
  t.is(lateness(next, at(8_000)), ms(0));
});

test('an abandoned check counts for nothing', t => {
  const nanny = check(check(newNanny(PACE, at(0), 0), GOOD).next, GOOD).next;
  const after = checkAbandoned(checkBegins(nanny, at(10_000)), PACE, at(10_005));
  t.deepEqual(after, { ...nanny, nextAt: at(15_000) });
});

test('a verdict holds the state, the last result and its wall time', t => {
  const fresh = newNanny(PACE, at(0), 0);
  t.deepEqual(verdictOf('ftp', 'a', fresh, false), {
    service: 'ftp',
    server: 'a',
    state: 'unknown',
    alive: true,
    kept: false,
    last: undefined,
    conditions: { expiring: false, slow: false },
    checkedAt: undefined,
  });
  t.deepEqual(verdictOf('ftp', 'a', check(fresh, BAD).next, true), {
    service: 'ftp',
    server: 'a',
    state: 'unknown',
    alive: true,
    kept: true,
    last: BAD,
    conditions: { expiring: false, slow: false },
    checkedAt: WALL,
  });
});

const WRONG: Failure = { ...BAD, stage: 'passive', misconfigured: true, problem: 'PASV announces 198.51.100.11' };
const DEAD: Failure = { ...BAD, stage: 'connect', life: 'none', problem: 'cannot be reached' };

/** The states after each of `results`, and the effects that changed it. */
function statesAfter(...results: readonly CheckResult[]): { states: string[]; effects: string[] } {
  let now = newNanny(PACE, at(0), 0);
  const effects: string[] = [];
  const states = results.map(result => {
    const step = check(now, result);
    now = step.next;
    effects.push(...step.effects);
    return now.alive ? now.state : `${now.state}, dead`;
  });
  return { states, effects };
}

test('a server that serves, but wrongly, is misconfigured after fall checks, and alive', t => {
  const { states } = statesAfter(GOOD, GOOD, WRONG, WRONG, WRONG, WRONG);
  t.deepEqual(states, ['unknown', 'up', 'up', 'up', 'misconfigured', 'misconfigured']);
});

test('a misconfigured server that dies is down after fall checks, one that is mended up after rise', t => {
  const wrong = [WRONG, WRONG, WRONG];
  t.deepEqual(statesAfter(...wrong, DEAD, DEAD, DEAD).states.slice(2), [
    'misconfigured',
    'misconfigured',
    'misconfigured',
    'down, dead',
  ]);
  t.deepEqual(statesAfter(...wrong, GOOD, GOOD).states.slice(2), ['misconfigured', 'misconfigured', 'up']);
});

test('between down and misconfigured only fall checks of one kind change anything; failures of both kinds are down', t => {
  t.deepEqual(statesAfter(GOOD, GOOD, WRONG, BAD, WRONG).states.at(-1), 'down');
  t.deepEqual(statesAfter(BAD, BAD, BAD, WRONG, WRONG, BAD, WRONG, WRONG, WRONG).states.slice(2), [
    ...['down', 'down', 'down', 'down', 'down', 'down'],
    'misconfigured',
  ]);
});
