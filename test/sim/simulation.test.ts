// Ten thousand schedules of faults around the shipped machines, and that the simulator itself is what it says: the same seed gives
// the same history, and a failure says how to see it again. scripts/simulate runs as many more as one likes.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { COPY_SINGLES } from './copy-faults.ts';
import { LAN_SINGLES } from './lan-faults.ts';
import { Random } from './random.ts';
import { RELOAD_KINDS } from './reload-faults.ts';
import { runSeed } from './run.ts';
import { planOf } from './schedule.ts';
import { OWN_SINGLES, SINGLES } from './singles.ts';
import { Tally } from './tally.ts';
import { UNHEARD_SINGLES } from './unheard-faults.ts';
import { UNIT_KINDS } from './unit-faults.ts';

const SIMULATE = fileURLToPath(new URL('../../../scripts/simulate', import.meta.url));
/** Schedules of each part, and parts: more than ten thousand. */
const PART = 2_000;
const PARTS = 2;
const OF_EACH_KIND = 20;

function runs(from: number, count: number, kind?: string): Tally {
  const tally = new Tally();
  for (let seed = from; seed < from + count; seed += 1) tally.take(runSeed(seed, { kind }));
  return tally;
}

for (let part = 0; part < PARTS; part += 1) {
  const from = 1 + part * PART;
  test.serial(`what must always hold does, through schedules ${from} to ${from + PART - 1}`, t => {
    t.timeout(120_000);
    const tally = runs(from, PART);
    t.is(tally.failed.length, 0, tally.text(1));
    t.is(tally.schedules, PART);
  });
}

test.serial('what must always hold does, through every kind of single fault', t => {
  t.timeout(120_000);
  const kinds = new Set<string>();
  const known = SINGLES.length + OWN_SINGLES.length;
  for (let seed = 1; kinds.size < known && seed < 5_000; seed += 1) kinds.add(planOf(seed).kind);
  for (const { kind } of [...LAN_SINGLES, ...UNHEARD_SINGLES, ...COPY_SINGLES].map(make =>
    make(new Random(1), planOf(1).world, 300),
  ))
    kinds.add(kind);
  for (const kind of [...RELOAD_KINDS, ...UNIT_KINDS]) kinds.add(kind);
  kinds.delete('chaos');
  kinds.delete('asymmetric');
  t.true(kinds.size > known - 3, `${kinds.size} kinds`);
  for (const kind of kinds) {
    const tally = runs(900_000, OF_EACH_KIND, kind);
    t.is(tally.failed.length, 0, tally.text(1));
  }
});

test('every fault of its own numbers is in at least three of a hundred schedules', t => {
  const count = (type: string) => SEEDS.filter(seed => planOf(seed).faults.some(fault => fault.type === type)).length;
  const SEEDS = Array.from({ length: 3_000 }, (_, i) => i + 1);
  for (const type of [
    ...['lan-way', 'quiet', 'target-silent', 'echo-dropped', 'switch-answers', 'heartbeats-dropped', 'reload'],
    ...['no-interface', 'no-ipv6', 'address-refused', 'copy'],
  ])
    t.true(count(type) >= 0.03 * SEEDS.length, `${type}: ${count(type)}`);
});

test.serial('overlaps that no rule foresees are rare: two claims within the flight of a packet', t => {
  const tally = runs(500_000, 1_000);
  t.true((tally.rules['two claims within the flight of a packet'] ?? 0) <= 2, tally.text(1));
});

test.serial('the same seed gives the same history, word for word', t => {
  for (const seed of [3, 17, 42, 4_711]) {
    const history = () => {
      const lines: string[] = [];
      runSeed(seed, { say: (at, who, text) => lines.push(`${at} ${who} ${text}`) });
      return lines;
    };
    const first = history();
    t.true(first.length > 10);
    t.deepEqual(first, history());
  }
});

test('a failing seed is told with the command that replays it', t => {
  const tally = new Tally();
  const held = runSeed(1);
  tally.take({ ...held, seed: 77, breach: { invariant: 'one-owner', atMs: 1, text: 'both routers serve client 2' } });
  t.regex(
    tally.text(1),
    /FAILED seed 77 .*one-owner: both routers serve client 2\n {2}replay: scripts\/simulate --seed 77\n/,
  );
  t.false(tally.summary(1).ok);
});

const simulate = (...args: string[]) =>
  promisify(execFile)(SIMULATE, args).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );

test('scripts/simulate runs many schedules, replays one, and refuses what it does not know', async t => {
  const many = await simulate('--seeds', '40', '--workers', '2', '--json', '--quiet');
  t.is(many.code, 0, many.stderr);
  const summary = JSON.parse(many.stdout);
  t.true(summary.faults.stall > 0 && summary.faults.stall <= 40, 'each fault is counted once in a schedule');
  t.like(summary, { schedules: 40, ok: true, failed: [] });
  t.true(summary.schedulesPerMinute > 0);
  const one = await simulate('--seed', '3');
  t.is(one.code, 0);
  t.regex(one.stdout, /^seed 3: .*\n[\s\S]*SERVES[\s\S]*everything held\n$/);
  const wrong = await simulate('--seeds', 'many');
  t.is(wrong.code, 64);
  t.regex(wrong.stderr, /--seeds wants a whole number from 1 to .*; see scripts\/simulate --help/);
  t.is((await simulate('--nonsense')).code, 64);
  t.regex((await simulate('--help')).stdout, /^usage: scripts\/simulate/);
});
