// The journal: what it keeps and how much, and that the machine can be run again from it. The
// histories are the simulator's.
import test from 'ava';
import { journalHeadSchema, journalStepSchema, readJournalLine } from '../../src/feed/journal-line.ts';
import type { Machine, PulseEvent } from '../../src/pulse/election/machine.ts';
import { newMachine } from '../../src/pulse/election/start.ts';
import { step } from '../../src/pulse/election/step.ts';
import type { Heartbeat } from '../../src/pulse/heartbeat.ts';
import { Journal, journalLines } from '../../src/pulse/journal.ts';
import { missingState, Rerun } from '../../src/pulse/rerun.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { settingsFor } from '../settings-for.ts';
import { runPlan } from '../sim/run.ts';
import { planOf } from '../sim/schedule.ts';
import { BEAT } from './election/driver.ts';

const HEAD = { tandem: '0.4.0', node: 'r1', wallMs: 0, monotonicMs: 0 };

function linesOf(journal: Journal): string[] {
  const recording = journal.recording();
  return recording ? [...journalLines(recording, HEAD)] : [];
}

/** What a machine decides, and ends as, when it is run from these lines. */
function replayed(lines: readonly string[]) {
  const { machine } = journalHeadSchema.parse(readJournalLine(lines[0] ?? ''));
  const replay = new Rerun(machine);
  const steps = lines.slice(1, -1).map(line => journalStepSchema.parse(readJournalLine(line)));
  const decided = steps.flatMap(({ event, at }) => replay.take(event, at)).map(({ decision }) => decision);
  return { decided, recorded: steps.flatMap(({ decisions }) => decisions), missing: missingState(machine), replay };
}

test('a machine that is run again from a journal decides the same, and ends as the same, through schedules of faults', t => {
  let decisions = 0;
  for (let seed = 1; seed <= 6; seed += 1) {
    /** One journal for each life of a pulse. */
    const lives: { journal: Journal; now: Machine }[] = [];
    runPlan(planOf(seed), ({ routers }) => {
      for (const router of routers) {
        let life: (typeof lives)[number] | undefined;
        router.stepped = (before, event, { machine, effects }, at) => {
          if (life?.now !== before) {
            life = { journal: new Journal(), now: before };
            lives.push(life);
          }
          life.journal.note(before, event, effects, at);
          life.now = machine;
        };
      }
    });
    for (const { journal, now } of lives) {
      const { decided, recorded, missing, replay } = replayed(linesOf(journal));
      t.is(missing, undefined);
      t.deepEqual(decided, recorded, `seed ${seed}`);
      t.deepEqual(replay.machine, now, `seed ${seed}`);
      decisions += decided.length;
    }
  }
  t.true(decisions > 15, `${decisions} decisions`);
});

const START = {
  settings: settingsFor(),
  now: 0 as At,
  ceiling: 0,
  hold: { on: false, until: undefined } as const,
  rulesIn: true,
};

/** A minute and more of a pair at this heartbeat interval: two links, ticks, vipd's acknowledgements. */
function busy(intervalMs: number, forMs: number): { journal: Journal; machines: Machine[] } {
  const journal = new Journal();
  let machine = newMachine({ ...START, settings: settingsFor({ intervalMs: ms(intervalMs) }) });
  const machines: Machine[] = [];
  const take = (event: PulseEvent, at: number) => {
    machines.push(machine);
    const done = step(machine, event, at as At);
    journal.note(machine, event, done.effects, at as At);
    machine = done.machine;
  };
  for (let at = intervalMs; at <= forMs; at += intervalMs) {
    const macs = Array.from({ length: 8 }, (_, lan) => ({ lan, mac: '02:00:00:00:02:01' }));
    const message: Heartbeat = { ...BEAT, seq: at, sentAtUs: at * 1_000, macs };
    for (const link of [0, 1]) take({ type: 'datagram', link, message: { ...message } }, at);
    take({ type: 'vipd', message: { type: 'held', seq: at, epoch: { counter: 1, node: 1 }, announcedAfterUs: 5 } }, at);
    take({ type: 'tick' }, at);
  }
  return { journal, machines };
}

test('it reaches a minute back, and not much further', t => {
  const { journal } = busy(100, 200_000);
  const steps = linesOf(journal)
    .slice(1, -1)
    .map(line => journalStepSchema.parse(readJournalLine(line)));
  const first = steps[0]?.at ?? 0;
  t.true(first <= 140_000 && first >= 134_000, `from ${first} of 200000`);
  t.is(steps.at(-1)?.at, 200_000);
});

test('whatever the pace, it holds no more than 8 MiB, and what it holds is counted high enough', t => {
  const { journal } = busy(2, 16_000);
  t.true(journal.bytes <= 8_388_608, `${journal.bytes}`);
  t.true(journal.bytes > 4_000_000);
  const lines = linesOf(journal);
  const written = lines.reduce((sum, line) => sum + line.length, 0);
  t.true(written < journal.bytes, `${written} bytes of lines, ${journal.bytes} counted`);
  t.true(replayed(lines).decided.length === replayed(lines).recorded.length);
});

test('what is being read does not change while more comes in', t => {
  const { journal } = busy(100, 5_000);
  const before = journal.recording();
  const count = () => before?.steps.reduce((sum, some) => sum + some.length, 0);
  const had = count();
  for (let n = 0; n < 100; n += 1) journal.note(newMachine(START), { type: 'tick' }, [], (5_000 + n) as At);
  t.is(count(), had);
  t.is(linesOf(journal).length, (had ?? 0) + 100 + 2);
});

test('nothing has happened yet: there is nothing to read', t => {
  t.is(new Journal().recording(), undefined);
});

test('the state of another version is known by what it lacks', t => {
  const { lateAt: _, ...older } = newMachine(START);
  t.is(missingState(older), 'lateAt');
});
