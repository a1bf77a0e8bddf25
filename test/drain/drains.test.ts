// The register of drains: what two routers come to, whatever they tell each other, in whatever order.
import test from 'ava';
import { COUNTER_MAX, drainWordSchema } from '../../src/drain/drain-word.ts';
import {
  type Decree,
  DRAINS_MAX,
  type Drains,
  decree,
  drained,
  drainOf,
  fromWords,
  isTooFar,
  LEAP_MAX,
  leftMs,
  merge,
  NO_DRAINS,
  noRoom,
  type Order,
  type ServerName,
  toWords,
  withoutUnknown,
} from '../../src/drain/drains.ts';
import { formatDrains, parseDrains } from '../../src/drain/saved-drains.ts';
import { type At, ms } from '../../src/units/duration.ts';

const at = (n: number) => n as At;
const FS1 = { service: 'ftp', server: 'fs1' };
const FS2 = { service: 'ftp', server: 'fs2' };
const ALL = () => true;

function order(router: string, changes: Partial<Order> = {}): Order {
  return { drained: true, spanMs: ms(60_000), router, since: 'then', reason: 'disk', who: 'jo', ...changes };
}

/** A generator of its own, so that a failure comes again (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function randomDecrees(random: () => number): readonly Decree[] {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  return Array.from({ length: Math.floor(random() * 6) }, () => ({
    ...{ service: pick(['ftp', 'ftp6']), server: pick(['fs1', 'fs2', 'fs3']) },
    ...{ counter: 1 + Math.floor(random() * 4), router: pick(['r1', 'r2']), drained: random() < 0.5 },
    ...{ spanMs: 60_000, since: pick(['a', 'b']), reason: '', who: '' },
    deadlineAt: at(Math.floor(random() * 3)),
  }));
}

/** As an object that deepEqual can look at, in one order. */
const shape = ({ counter, decrees }: Drains) => ({
  counter,
  decrees: [...decrees].sort(([a], [b]) => (a < b ? -1 : 1)),
});
const merged = (...lists: (readonly Decree[])[]) =>
  lists.reduce<Drains>((all, list) => merge(all, list, ALL), NO_DRAINS);

test('merging is commutative, associative and idempotent', t => {
  const random = randomOf(21);
  for (let round = 0; round < 500; round++) {
    const [a, b, c] = [randomDecrees(random), randomDecrees(random), randomDecrees(random)];
    const all = shape(merged(a, b, c));
    t.deepEqual(shape(merged(c, b, a)), all, `round ${round}`);
    t.deepEqual(shape(merged(b, [...c, ...a].reverse())), all, `round ${round}`);
    t.deepEqual(shape(merged(a, b, c, a, c, c)), all, `round ${round}`);
  }
});

test('the last order holds, also one that enables, and of two at once the same one on both routers', t => {
  const drainedHere = decree(NO_DRAINS, [FS1, FS2], order('r1'), at(0));
  const there = merge(NO_DRAINS, fromWords(toWords(drainedHere, at(5_000)), at(900)), ALL);
  t.deepEqual(
    drained(there).map(({ server }) => server),
    ['fs1', 'fs2'],
  );
  const enabledThere = decree(there, [FS1], order('r2', { drained: false }), at(1_000));
  const back = merge(drainedHere, fromWords(toWords(enabledThere, at(1_000)), at(6_000)), ALL);
  t.is(drainOf(back, FS1), undefined);
  t.truthy(drainOf(back, FS2));
  // What the older drain says again changes nothing.
  t.is(drainOf(merge(back, fromWords(toWords(drainedHere, at(0)), at(0)), ALL), FS1), undefined);

  const one = decree(back, [FS2], order('r1', { drained: false }), at(0));
  const other = decree(back, [FS2], order('r2'), at(0));
  const oneFirst = merge(one, fromWords(toWords(other, at(0)), at(0)), ALL);
  const otherFirst = merge(other, fromWords(toWords(one, at(0)), at(0)), ALL);
  t.is(drainOf(oneFirst, FS2)?.router, 'r2');
  t.is(drainOf(otherFirst, FS2)?.router, 'r2');
});

test('no clock is sent: what is left of the time is, and of one drain the earlier end holds', t => {
  const here = decree(NO_DRAINS, [FS1], order('r1'), at(1_000_000));
  const [word] = toWords(here, at(1_020_000));
  t.is(word?.leftMs, 40_000);
  // The other machine was started a minute ago; the word took 200 ms.
  const there = merge(NO_DRAINS, fromWords(toWords(here, at(1_020_000)), at(60_200)), ALL);
  const known = drainOf(there, FS1) as Decree;
  t.is(leftMs(known, at(60_200)), ms(40_000));
  // Said again with less delay the end comes nearer, and never goes away again.
  const again = merge(there, fromWords(toWords(here, at(1_025_000)), at(65_010)), ALL);
  t.is(drainOf(again, FS1)?.deadlineAt, at(100_010));
  const late = merge(again, fromWords(toWords(here, at(1_025_000)), at(69_000)), ALL);
  t.is(drainOf(late, FS1)?.deadlineAt, at(100_010));
  t.is(leftMs(known, at(999_999)), ms(0));
});

test('what is not in the config is not taken, and a counter that was seen is never used again', t => {
  const known = ({ server }: ServerName) => server === 'fs1';
  const strange = decree(decree(NO_DRAINS, [FS1], order('r2'), at(0)), [FS2], order('r2'), at(0));
  const here = merge(NO_DRAINS, fromWords(toWords(strange, at(0)), at(0)), known);
  t.deepEqual([...here.decrees.keys()], ['ftp/fs1']);
  t.is(here.counter, 2);
  const gone = withoutUnknown(here, () => false);
  t.is(gone.decrees.size, 0);
  t.is(decree(gone, [FS1], order('r1'), at(0)).decrees.get('ftp/fs1')?.counter, 3);
});

test('a counter that a fault has made huge is not taken, and later drains hold on both routers', t => {
  const here = decree(NO_DRAINS, [FS1], order('r1'), at(0));
  const [word] = fromWords(toWords(here, at(0)), at(0)) as [Decree];
  const far = { ...word, ...FS2, router: 'r2', counter: COUNTER_MAX };
  t.true(isTooFar(here, far));
  const after = merge(here, [far], ALL);
  t.deepEqual(shape(after), shape(here));
  t.is(decree(after, [FS2], order('r1'), at(0)).counter, 2);
  // What a peer may have decreed in years is taken by a router that was set up anew.
  t.is(merge(NO_DRAINS, [{ ...far, counter: LEAP_MAX }], ALL).counter, LEAP_MAX);
});

test('what would not be read again is not decreed', t => {
  const many = Array.from({ length: DRAINS_MAX }, (_, n) => ({ service: 'ftp', server: `s${n}` }));
  const full = decree(NO_DRAINS, many, order('r1'), at(0));
  t.is(noRoom(full, many), undefined, 'those that are in may be decreed again');
  t.regex(noRoom(full, [FS1]) ?? '', /no more than 4096 servers/);
  t.throws(() => decree(full, [FS1], order('r1'), at(0)), { instanceOf: RangeError });
  const moment = { boot: 'b1', now: at(0) };
  t.deepEqual(parseDrains(formatDrains(full, moment), moment)?.decrees.size, DRAINS_MAX);
  t.regex(noRoom({ ...NO_DRAINS, counter: COUNTER_MAX }, [FS1]) ?? '', /remove director-drains.json/);
});

test('the file brings back what was left: after a restart less, after a reboot the same', t => {
  const drains = decree(NO_DRAINS, [FS1], order('r1'), at(100_000));
  const text = formatDrains(drains, { boot: 'b1', now: at(110_000) });
  const left = (boot: string, now: number) => {
    const read = parseDrains(text, { boot, now: at(now) });
    return read && leftMs(drainOf(read, FS1) as Decree, at(now));
  };
  t.is(left('b1', 130_000), ms(30_000), 'the director was away for 20 s');
  t.is(left('b1', 500_000), ms(0), 'its time has passed meanwhile');
  t.is(left('b2', 7_000), ms(50_000), 'another boot');
  t.is(left('b2', 700_000), ms(50_000), 'whatever its clock says');
  t.is(left('b1', 90_000), ms(50_000), 'a clock that is behind is another one');
  t.is(parseDrains(text, { boot: 'b1', now: at(110_000) })?.counter, 1);
});

test('a file that is not ours is refused', t => {
  const moment = { boot: 'b1', now: at(0) };
  for (const text of ['', '[]', '{"version":2}', '{"version":1,"boot":"b1","atMs":0,"counter":-1,"words":[]}']) {
    t.is(parseDrains(text, moment), undefined, text);
  }
});

test('a word from the network has bounds in every field', t => {
  const [word] = toWords(decree(NO_DRAINS, [FS1], order('r1'), at(0)), at(0));
  t.true(drainWordSchema.safeParse(word).success);
  t.true(drainWordSchema.safeParse({ ...word, later: 'field' }).success);
  const wrong = [
    { counter: 2 ** 49 },
    { counter: 0 },
    { leftMs: -1 },
    { leftMs: 1e12 },
    { spanMs: Number.NaN },
    { server: '' },
    { reason: 'x'.repeat(201) },
    { who: 'x'.repeat(65) },
    { drained: 'yes' },
  ];
  for (const change of wrong) {
    t.false(drainWordSchema.safeParse({ ...word, ...change }).success, JSON.stringify(change));
  }
});
