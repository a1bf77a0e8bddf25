// Two directors that reload as one over a line that may lose, repeat or end, each with a file of its own and a stand-in for its
// reload.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadConfig, mistakesOn } from '../../src/config/io/load.ts';
import {
  fittingAnswer,
  type ReloadAnswer,
  type ReloadAsk,
  type ReloadWord,
  reloadWordSchema,
} from '../../src/config/reload-word.ts';
import { createPairReload, type PairReload } from '../../src/director/io/pair-reload.ts';
import type { Reloads } from '../../src/director/io/reload.ts';
import { answered, judgeAsk, NO_ASKS, pairRefusal } from '../../src/director/pair-reload.ts';
import type { Snapshot } from '../../src/feed/message.ts';
import type { PulseWord } from '../../src/feed/reload-answer.ts';
import type { Log } from '../../src/log/log.ts';
import type { At } from '../../src/units/duration.ts';

const CONFIG = `pair: test
routers: { r1: {}, r2: {} }
lans:
  client: { interface: lo, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
`;
const HEAVIER = CONFIG.replace('r1: {}', 'r1: { priority: 120 }');
/** Long enough for any machine: no test waits them out. */
const WAITS = { check: 30_000, apply: 30_000, heartbeat: 30_000 };

interface Side {
  readonly pairReload: PairReload;
  readonly file: string;
  readonly codes: string[];
  readonly problems: string[];
  used: string;
  rulesIn: boolean;
  pulse: PulseWord;
  /** Reloads that were done. */
  done: number;
}

interface Rig {
  readonly r1: Side;
  readonly r2: Side;
  /** What becomes of a word from a router: how often it arrives; or why it cannot be sent. */
  carry: (from: string, word: ReloadWord) => number | string;
  /** Whether r1 hears heartbeats of r2, which name the config that it uses. */
  hears: boolean;
  readonly words: ReloadWord[];
}

function digestOf(file: string): string {
  const loaded = loadConfig(file);
  return loaded.ok ? loaded.digest : '';
}

function rigOf(t: ExecutionContext, waits: Partial<typeof WAITS> = {}): Rig {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-pair-reload-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const rig = { carry: () => 1, hears: true, words: [] } as unknown as { -readonly [K in keyof Rig]: Rig[K] };
  const side = (node: 'r1' | 'r2', peer: 'r1' | 'r2'): Side => {
    const file = join(directory, `${node}.yaml`);
    writeFileSync(file, CONFIG);
    const me: Side = {
      ...{ file, codes: [], problems: [], used: digestOf(file), rulesIn: true, done: 0 },
      pulse: { state: 'read', digest: null, waiting: [], problem: '' },
      pairReload: undefined as unknown as PairReload,
    };
    const pairReload = createPairReload({
      ...{ configFile: file, node, peer: () => peer, waits: { ...WAITS, ...waits } },
      reloads: standIn(me, node),
      rulesIn: () => true,
      digest: () => me.used,
      say: word => {
        const times = rig.carry(node, word);
        if (typeof times === 'string') return times;
        // As the network has it: nothing but the bytes, and later.
        const read = reloadWordSchema.parse(JSON.parse(JSON.stringify(word)));
        rig.words.push(read);
        for (let n = 0; n < times; n++) setTimeout(() => rig[peer].pairReload.hear(read), 1 + n);
        return true;
      },
      snapshot: () => ({ peer: { silent: !rig.hears, configDigest: rig[peer].used } }) as Snapshot,
      log: {
        event: (code: string, { problem }: { problem?: string }) => {
          me.codes.push(code);
          me.problems.push(problem ?? '');
        },
      } as unknown as Log,
      now: () => performance.now() as At,
    });
    return Object.assign(me, { pairReload });
  };
  return Object.assign(rig, { r1: side('r1', 'r2'), r2: side('r2', 'r1') });
}

/** Judges the file as the real one does, and takes it into `used`. */
function standIn(me: Side, node: string): Reloads {
  const mistakes = () => mistakesOn(loadConfig(me.file), me.file, node);
  return {
    signalled: () => undefined,
    close: () => Promise.resolve(),
    plan: async () => {
      const wrong = mistakes();
      const digest = { before: me.used, after: wrong.length > 0 ? null : digestOf(me.file) };
      const kernel = { changes: [], rules: [], problems: [] };
      return { node, file: me.file, digest, mistakes: wrong, warnings: [], changes: [], kernel, pulse: me.pulse };
    },
    reload: async ({ digest, isTooLate }) => {
      const stale = isTooLate?.() === true || digestOf(me.file) !== digest;
      if (!stale) {
        me.used = digestOf(me.file);
        me.done += 1;
      }
      const kernel = { rulesIn: me.rulesIn, errors: [] };
      const problem = stale ? 'the file has changed' : '';
      return { reloaded: !stale, digest: me.used, mistakes: [], problem, kernel, pulse: me.pulse };
    },
  };
}

function write(rig: Rig, r1: string, r2 = r1): void {
  writeFileSync(rig.r1.file, r1);
  writeFileSync(rig.r2.file, r2);
}

test('files that say the same are taken by both, the other router first', async t => {
  const rig = rigOf(t);
  write(rig, HEAVIER, `# in other words\n${HEAVIER}`);
  const before = rig.r1.used;
  const plan = await rig.r1.pairReload.plan();
  t.is(plan.refusal, '');
  t.like(plan.peer, { inUse: before, digest: digestOf(rig.r1.file), waiting: [], words: [] });
  t.deepEqual([rig.r1.done, rig.r2.done], [0, 0]);
  const outcome = await rig.r1.pairReload.reload(plan.own.digest.after);
  t.like(outcome, { peer: 'reloaded', problem: '', own: { reloaded: true } });
  t.deepEqual([rig.r1.done, rig.r2.done], [1, 1]);
  t.is(rig.r1.used, rig.r2.used);
  t.not(rig.r1.used, before);
  t.deepEqual(rig.r1.codes, ['PAIR_RELOAD']);
  t.deepEqual(rig.r2.codes, ['PAIR_RELOAD_ASKED', 'PAIR_RELOAD_ASKED', 'PAIR_RELOAD_ASKED']);
});

for (const [what, r1, r2, said] of [
  [
    'that differ',
    HEAVIER,
    CONFIG,
    /the files differ in routers: r1's has digest \w+, r2's has digest \w+ \(what it uses now\); copy the one/,
  ],
  ['of which the own one has mistakes', 'pair: 1', CONFIG, /the config on r1 has mistakes/],
  ['of which the other one has mistakes', HEAVIER, `${HEAVIER}nonsense: 1\n`, /r2 cannot take its file .*nonsense/],
] as const) {
  test(`files ${what} are taken by neither`, async t => {
    const rig = rigOf(t);
    const { used } = rig.r1;
    write(rig, r1, r2);
    t.regex((await rig.r1.pairReload.plan()).refusal, said);
    const outcome = await rig.r1.pairReload.reload(null);
    t.like(outcome, { peer: 'untouched', own: null });
    t.regex(outcome.problem, said);
    t.deepEqual([rig.r1.used, rig.r2.used, rig.r1.done + rig.r2.done], [used, used, 0]);
  });
}

test('a file that has changed since it was shown is not taken', async t => {
  const rig = rigOf(t);
  write(rig, HEAVIER);
  const outcome = await rig.r1.pairReload.reload('0123456789abcdef');
  t.regex(outcome.problem, /has changed meanwhile/);
  t.is(rig.r1.done + rig.r2.done, 0);
});

test('without the sync, or with an older director there, the words say what to do', async t => {
  const rig = rigOf(t);
  rig.carry = () => 'the connection sync is off';
  const { refusal, peer, own } = await rig.r1.pairReload.plan();
  t.is(peer, null);
  t.is(own.node, 'r1');
  t.is(
    refusal,
    'r2 cannot be asked (the connection sync is off): copy the file there, and run `tandem reload` on each router',
  );
});

test('words that come three times are done once', async t => {
  const rig = rigOf(t);
  rig.carry = () => 3;
  write(rig, HEAVIER);
  t.is((await rig.r1.pairReload.reload(null)).problem, '');
  t.deepEqual([rig.r1.done, rig.r2.done], [1, 1]);
});

test('an answer that is lost is said again when it is asked for again, and the work is not done again', async t => {
  const rig = rigOf(t);
  let lost = 0;
  rig.carry = (from, word) =>
    from === 'r2' && word.says === 'answer' && word.step === 'apply' && lost++ === 0 ? 0 : 1;
  write(rig, HEAVIER);
  const outcome = await rig.r1.pairReload.reload(null);
  t.like(outcome, { peer: 'reloaded', problem: '' });
  t.is(lost, 2);
  t.deepEqual([rig.r1.done, rig.r2.done], [1, 1]);
});

test('a link that ends with the answer: the heartbeat says that the other router took it, and this one follows', async t => {
  const rig = rigOf(t);
  let dead = false;
  rig.carry = (from, word) => {
    dead ||= from === 'r2' && word.says === 'answer' && word.step === 'apply';
    return dead ? 'no sync link to it is up' : 1;
  };
  write(rig, HEAVIER);
  t.like(await rig.r1.pairReload.reload(null), { peer: 'reloaded', problem: '', own: { reloaded: true } });
  t.deepEqual([rig.r1.done, rig.r2.done], [1, 1]);
});

test('a link that ends with the ask: the heartbeat says that the other router did not take it, and nothing is changed here', async t => {
  const rig = rigOf(t, { apply: 1_500, heartbeat: 300 });
  rig.carry = (_, word) => (word.step === 'apply' ? 0 : 1);
  write(rig, HEAVIER);
  const outcome = await rig.r1.pairReload.reload(null);
  t.like(outcome, { peer: 'untouched', own: null });
  t.regex(outcome.problem, /no answer within 2 s.*still uses \w+: nothing was changed on either router/);
  t.is(rig.r1.done + rig.r2.done, 0);
});

test('when neither answer nor heartbeat comes, it is said to be not known, and nothing is changed here', async t => {
  // Long enough for r2 to take it.
  const rig = rigOf(t, { apply: 10_000, heartbeat: 300 });
  rig.hears = false;
  rig.carry = (from, word) => (from === 'r2' && word.step === 'apply' ? 0 : 1);
  write(rig, HEAVIER);
  const outcome = await rig.r1.pairReload.reload(null);
  t.like(outcome, { peer: 'unknown', own: null });
  t.regex(outcome.problem, /is not heard: whether it uses \w+ is not known/);
  t.deepEqual([rig.r1.done, rig.r2.done], [0, 1]);
  t.deepEqual(rig.r1.codes, ['PAIR_RELOAD_HALF']);
});

test("when the other router's kernel does not follow, this one is left as it is", async t => {
  const rig = rigOf(t);
  rig.r2.rulesIn = false;
  write(rig, HEAVIER);
  const outcome = await rig.r1.pairReload.reload(null);
  t.like(outcome, { peer: 'reloaded', own: null });
  t.regex(
    outcome.problem,
    /r2 uses it, but not as it should: its kernel does not have all of it; nothing was changed here/,
  );
  t.is(rig.r1.done, 0);
});

test('a peer that used it before is not said to have taken it when it could not', async t => {
  const rig = rigOf(t);
  const { used } = rig.r2;
  rig.r2.rulesIn = false;
  const outcome = await rig.r1.pairReload.reload(null);
  t.like(outcome, { peer: 'untouched', own: null, peerUses: { before: used, now: used } });
  t.regex(outcome.problem, /r2 uses it as before, but not as it should: its kernel does not have all of it/);
});

test('what the peer used before and what it uses now are told apart', async t => {
  const rig = rigOf(t);
  const before = rig.r2.used;
  write(rig, HEAVIER);
  t.like(await rig.r1.pairReload.reload(null), { peerUses: { before, now: digestOf(rig.r2.file) } });
  const refused = rigOf(t);
  write(refused, HEAVIER, CONFIG);
  t.like(await refused.r1.pairReload.reload(null), { peer: 'untouched', peerUses: { before, now: before } });
});

test('a kernel or a pulse here that does not follow is told as it is of the other router', async t => {
  const rig = rigOf(t);
  rig.r1.rulesIn = false;
  write(rig, HEAVIER);
  const outcome = await rig.r1.pairReload.reload(null);
  t.like(outcome, { peer: 'reloaded', own: { reloaded: true } });
  t.is(outcome.problem, 'r1 uses it, but not as it should: its kernel does not have all of it');
  t.deepEqual(rig.r1.codes, ['PAIR_RELOAD_HALF']);
});

test('a director that stops keeps nobody waiting, whatever it waits for', async t => {
  for (const step of ['check', 'apply'] as const) {
    const rig = rigOf(t);
    write(rig, HEAVIER);
    // The peer hears it, and its answer is lost.
    let asked = () => {};
    const isAsked = new Promise<void>(resolve => {
      asked = resolve;
    });
    rig.carry = (from, word) => {
      if (from === 'r2' && word.step === step) return 0;
      if (from === 'r1' && word.step === step) asked();
      return 1;
    };
    const outcome = rig.r1.pairReload.reload(null);
    await isAsked;
    rig.r1.pairReload.close();
    const { problem, own, peer } = await outcome;
    t.is(own, null);
    t.is(peer, step === 'apply' ? 'unknown' : 'untouched', 'the peer may be taking it just now');
    t.regex(problem, /the director is stopping/);
    t.is((await rig.r1.pairReload.reload(null)).problem, 'the director is stopping');
  }
});

test('a pulse that does not answer there, or here, stops it before anything is changed', async t => {
  const away: PulseWord = { state: 'unreachable', digest: null, waiting: [], problem: 'pulse does not run here' };
  for (const node of ['r1', 'r2'] as const) {
    const rig = rigOf(t);
    rig[node].pulse = away;
    write(rig, HEAVIER);
    t.regex(
      (await rig.r1.pairReload.reload(null)).problem,
      new RegExp(`${node} cannot take its file.*pulse does not run here`),
    );
    t.is(rig.r1.done + rig.r2.done, 0);
  }
});

test('two who ask at once from both routers: nothing is done by halves', async t => {
  const rig = rigOf(t);
  write(rig, HEAVIER);
  const outcomes = await Promise.all([rig.r1.pairReload.reload(null), rig.r2.pairReload.reload(null)]);
  t.is(rig.r1.used, rig.r2.used);
  for (const outcome of outcomes) if (outcome.problem !== '') t.like(outcome, { peer: 'untouched', own: null });
});

const ID = '0123456789abcdef';
const ASK: ReloadAsk = { says: 'ask', id: ID, step: 'apply', digest: ID, withinMs: 1_000 };
const ANSWER: ReloadAnswer = {
  ...{
    says: 'answer',
    id: ID,
    step: 'check',
    ok: true,
    file: '/f',
    inUse: ID,
    inUseBefore: ID,
    digest: ID,
    parts: {},
    waiting: [],
    words: [],
  },
};
const at = (n: number) => n as At;

test('what was not looked at before, or too long ago, or was another config, is not taken', t => {
  t.is(judgeAsk(NO_ASKS, ASK, false, at(0)).do, 'refuse');
  const checked = answered(NO_ASKS, ANSWER, at(0));
  t.is(judgeAsk(checked, ASK, false, at(60_000)).do, 'it');
  t.is(judgeAsk(checked, ASK, false, at(60_001)).do, 'refuse');
  t.is(judgeAsk(checked, ASK, true, at(1)).do, 'refuse', 'this router asks itself');
  t.is(judgeAsk(checked, { ...ASK, digest: 'f'.repeat(16) }, false, at(1)).do, 'refuse');
  t.is(judgeAsk(checked, { ...ASK, id: 'f'.repeat(16) }, false, at(1)).do, 'refuse');
  const bad = answered(checked, { ...ANSWER, ok: false }, at(2));
  t.is(judgeAsk(bad, { ...ASK, step: 'check' }, false, at(3)).do, 'repeat');
  t.is(judgeAsk(bad, ASK, false, at(3)).do, 'refuse');
});

test('one thing at a time, and few answers are remembered', t => {
  const running = { ...NO_ASKS, running: `${ID} check` };
  t.is(judgeAsk(running, { ...ASK, step: 'check' }, false, at(0)).do, 'nothing');
  t.is(judgeAsk(running, ASK, false, at(0)).do, 'refuse');
  let asks = NO_ASKS;
  for (let n = 0; n < 100; n++) asks = answered(asks, { ...ANSWER, id: n.toString(16).padStart(16, '0') }, at(n));
  t.is(asks.answers.size, 8);
});

test('an answer fits into one message whatever it has to say', t => {
  const long = 'ü'.repeat(5_000);
  const parts = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`services.s${n}`, '01234567']));
  const answer = fittingAnswer({
    ...ANSWER,
    file: long,
    words: Array(50).fill(long),
    waiting: Array(50).fill(long),
    parts,
  });
  t.true(Buffer.byteLength(JSON.stringify(answer)) <= 3_900);
  t.true(reloadWordSchema.safeParse(answer).success);
  t.deepEqual(fittingAnswer(ANSWER), ANSWER);
});

test('where the parts are not known, the files are said to differ all the same', t => {
  const side = { node: 'r1', file: '/f', digest: ID, inUse: ID, parts: { routers: '01234567' } };
  const other = { ...side, node: 'r2', digest: 'f'.repeat(16), parts: {}, words: [] };
  t.regex(pairRefusal(side, other) ?? '', /^the files differ: r1's has digest/);
});
