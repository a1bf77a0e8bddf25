import test from 'ava';
import fc from 'fast-check';
import { NOTHING_WATCHED_YET } from '../../src/nanny/conditions.ts';
import type { Nanny } from '../../src/nanny/nanny.ts';
import { isAlikeForAll, type Together, type TogetherRules, together } from '../../src/nanny/together.ts';
import { type At, ms } from '../../src/units/duration.ts';

const RULES: TogetherRules = { onAllFailed: 'keep', rise: 2, roundMs: ms(10_000) };

/** A server that passes, or fails since an instant. */
function nanny(state: Nanny['state'], failingSince?: number, changes: Partial<Nanny> = {}): Nanny {
  const isFailing = failingSince !== undefined;
  return {
    ...{ state, good: isFailing ? 0 : 3, bad: isFailing ? 3 : 0, alike: 3, lifeless: 0, alive: true, checks: 10 },
    ...{
      last: undefined,
      conditions: NOTHING_WATCHED_YET,
      checkedAt: undefined,
      runningSince: undefined,
      nextAt: 0 as At,
      share: 0,
    },
    failingSince: failingSince as At | undefined,
    ...changes,
  };
}

const membersOf = (servers: Readonly<Record<string, Nanny>>) => new Map(Object.entries(servers));
const kept = (state: Together | undefined) => state && [...state.kept].sort();
const DEAD = { alive: false, lifeless: 3 };
const failure = { ok: false, tookMs: 1, stage: 'greeting', problem: '', words: '' } as const;
/** It takes connections, and has said nothing for as long as a patient check waits. */
const HUNG: Partial<Nanny> = { ...DEAD, last: { ...failure, life: 'silent' } };

const BEGINNINGS: readonly [title: string, servers: Readonly<Record<string, Nanny>>, kept: string[] | undefined][] = [
  ['one of three passes', { a: nanny('down', 5), b: nanny('down', 6), c: nanny('up') }, undefined],
  ['all are misconfigured alike', { a: nanny('misconfigured', 5), b: nanny('misconfigured', 900) }, ['a', 'b']],
  ['all fall within a round', { a: nanny('down', 5), b: nanny('down', 900), c: nanny('down', 9_000) }, ['a', 'b', 'c']],
  [
    'the first is down and the others are on the way there',
    { a: nanny('down', 5), b: nanny('up', 900), c: nanny('up', 2_000) },
    ['a', 'b', 'c'],
  ],
  ['nobody is down yet', { a: nanny('up', 5), b: nanny('up', 900) }, undefined],
  ['a starting router finds all alike', { a: nanny('down', 5), b: nanny('unknown', 7) }, ['a', 'b']],
  ['a starting router has not checked all', { a: nanny('down', 5), b: nanny('unknown') }, undefined],
  [
    'one has failed alone for long: it had no new clients, and gets none now',
    { a: nanny('down', 5), b: nanny('down', 500_000), c: nanny('down', 501_000) },
    ['b', 'c'],
  ],
  [
    'one has failed alone for long, and the other one fails a single check',
    { a: nanny('down', 5), b: nanny('up', 500_000) },
    undefined,
  ],
  ['the dead are not kept', { a: nanny('down', 5), b: nanny('down', 6, DEAD), c: nanny('down', 7) }, ['a', 'c']],
  [
    'the last good one dies, and only one that has failed alone still answers: better that one than none',
    { a: nanny('down', 5), b: nanny('down', 500_000, DEAD) },
    ['a'],
  ],
  ['all hang alike', { a: nanny('down', 5, HUNG), b: nanny('down', 7, HUNG) }, ['a', 'b']],
  [
    'the last good one hangs, and only one that has failed alone still answers',
    { a: nanny('down', 5), b: nanny('down', 500_000, HUNG) },
    ['a'],
  ],
  ['all are dead', { a: nanny('down', 5, DEAD), b: nanny('down', 7, DEAD) }, undefined],
  ['the only server fails', { a: nanny('down', 5) }, ['a']],
];
for (const [title, servers, expected] of BEGINNINGS) {
  test(`${title}: ${expected ? `${expected} keep their weight` : 'each is judged alone'}`, t => {
    t.deepEqual(kept(together(undefined, membersOf(servers), RULES)), expected);
  });
}

test('on_all_failed: empty judges each alone', t => {
  t.is(together(undefined, membersOf({ a: nanny('down', 5) }), { ...RULES, onAllFailed: 'empty' }), undefined);
});

const FALLEN = { a: nanny('down', 5), b: nanny('down', 6), c: nanny('down', 7), d: nanny('down', 8) };
const begun = () => together(undefined, membersOf(FALLEN), RULES);

test('it ends when half of the servers are up', t => {
  const one = together(begun(), membersOf({ ...FALLEN, a: nanny('up') }), RULES);
  t.deepEqual(kept(one), ['b', 'c', 'd']);
  t.is(together(one, membersOf({ ...FALLEN, a: nanny('up'), b: nanny('up') }), RULES), undefined);
});

test('a server that passes again keeps its weight until enough checks say that it is up', t => {
  const passing = { ...FALLEN, a: nanny('down', undefined) };
  t.deepEqual(kept(together(begun(), membersOf(passing), RULES)), ['a', 'b', 'c', 'd']);
});

test('with fewer than half up it ends when each was checked rise times more', t => {
  const round = (state: Together | undefined, checks: number) =>
    together(
      state,
      membersOf({
        a: nanny('up', undefined, { checks }),
        ...Object.fromEntries(['b', 'c', 'd'].map(name => [name, nanny('down', 5, { checks })])),
      }),
      RULES,
    );
  const first = round(begun(), 20);
  const second = round(first, 21);
  t.deepEqual(
    [kept(first), kept(second)],
    [
      ['b', 'c', 'd'],
      ['b', 'c', 'd'],
    ],
  );
  t.is(round(second, 22), undefined);
  const relapsed = together(second, membersOf(FALLEN), RULES);
  t.is(relapsed?.sincePassing, undefined, 'all fail again: the rounds begin anew');
  t.truthy(round(round(relapsed, 30), 31));
});

test('whatever the checks say: while servers answer, some server takes new clients', t => {
  const one = fc.record({
    state: fc.constantFrom('up' as const, 'down' as const),
    since: fc.option(fc.integer({ min: 0, max: 40_000 }), { nil: undefined }),
    alive: fc.boolean(),
    checks: fc.nat(6),
  });
  const look = fc.array(one, { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(look, { minLength: 1, maxLength: 8 }), looks => {
      let state: Together | undefined;
      looks.forEach((servers, time) => {
        const members = membersOf(
          Object.fromEntries(
            servers.map(({ state: of, since, alive, checks }, index) => [
              `s${index}`,
              // As the nanny has it: what passes is alive, what is dead is down.
              nanny(since !== undefined && !alive ? 'down' : of, since, {
                alive: since === undefined || alive,
                checks: time * 6 + checks,
              }),
            ]),
          ),
        );
        state = together(state, members, RULES);
        const takesClients = [...members].some(([name, { state: of }]) => of === 'up' || state?.kept.has(name));
        const allFail = [...members.values()].every(({ bad }) => bad > 0);
        if (allFail && [...members.values()].some(({ alive }) => alive)) t.true(takesClients);
        for (const name of state?.kept ?? []) t.true(members.get(name)?.alive);
      });
    }),
    { numRuns: 2_000 },
  );
});

test('a check that changes nothing for the others is told from one that may', t => {
  const before = nanny('down', 100, { last: { ...failure, life: 'speaks' } });
  t.true(isAlikeForAll(before, { ...before, bad: 9, checks: 11, nextAt: 7 as At }));
  for (const change of [{ state: 'up' }, { alive: false }, { failingSince: undefined }, { last: undefined }] as const)
    t.false(isAlikeForAll(before, { ...before, ...change }));
});
