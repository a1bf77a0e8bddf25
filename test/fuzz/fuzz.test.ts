// A short turn of every fuzz target with new seeds each time (a longer one: scripts/fuzz), and the fuzzer itself put to the test.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { Random } from '../sim/random.ts';
import { watchCoverage } from './coverage.ts';
import { runEngine } from './engine.ts';
import { mutate } from './mutate.ts';
import { NATIVE_TARGETS } from './native-targets.ts';
import { runTarget } from './run.ts';
import { buildNative, runNative } from './run-native.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';

const SHARE_MS = 600;
const seed = Date.now() % 1_000_000_000;
const CLI = fileURLToPath(new URL('main.js', import.meta.url));

test.before(() => buildNative('gcc'));

for (const target of NATIVE_TARGETS) {
  test.serial(`${target.name}: ${target.says}`, async t => {
    const corpus = mkdtempSync(join(tmpdir(), 'tandem-fuzz-'));
    try {
      const outcome = await runNative(target, { engine: 'gcc', seed, ms: 1_000, corpus, measure: false });
      t.is(outcome.finding, null, `seed ${seed}`);
      t.true(outcome.executions > 20, `${outcome.executions} inputs`);
    } finally {
      rmSync(corpus, { recursive: true, force: true });
    }
  });
}

for (const target of TARGETS) {
  test.serial(`${target.name}: ${target.says}`, async t => {
    let outcome = await runTarget(target, { seed, ms: SHARE_MS, corpus: [] });
    // A busy machine gives some inputs only: then it has the time of ten.
    if (outcome.finding === null && outcome.executions <= 10)
      outcome = await runTarget(target, { seed, ms: 10 * SHARE_MS, corpus: [] });
    t.is(outcome.finding, null, `seed ${seed}`);
    t.true(outcome.executions > 10, `${outcome.executions} inputs`);
    t.true((outcome.lines?.ran ?? 0) > 0);
  });
}

test.serial('coverage leads the engine to a fault that chance alone would not meet', async t => {
  const coverage = watchCoverage(new URL('../../', import.meta.url), ['test/fuzz/maze.js']);
  const { walkMaze } = await import('./maze.ts');
  const target: Target = { name: 'maze', says: '', files: [], bytesMax: 64, load: async () => loaded };
  const loaded = { seeds: [Buffer.from('xxxx')], run: walkMaze };
  const options = {
    target,
    loaded,
    coverage,
    seed: 1,
    ms: 20_000,
    corpus: [],
    onInput: () => {},
    onProgress: () => {},
  };
  await t.throwsAsync(runEngine(options), { message: 'the middle of the maze' });
  coverage.close();
});

test('the same seed makes the same mutations, none longer than allowed', t => {
  const made = (from: number) => {
    const random = new Random(from);
    const material = { corpus: [Buffer.from('other')], words: ['word'], bytesMax: 40 };
    return Array.from({ length: 200 }, () => mutate(Buffer.from('some\ninput 12'), random, material).toString('hex'));
  };
  t.deepEqual(made(7), made(7));
  t.notDeepEqual(made(7), made(8));
  t.true(made(9).every(each => each.length <= 80));
});

for (const [args, code, words] of [
  [['--target', 'nothing'], 64, /no target "nothing"; --list names them/],
  [['--minutes', 'long'], 64, /--minutes wants a number/],
  [['--replay', 'x'], 64, /--replay wants one --target/],
  [['--nonsense'], 64, /see scripts\/fuzz --help/],
  [['--list'], 0, /^$/],
] as const) {
  test(`scripts/fuzz ${args.join(' ')} ends with ${code}`, async t => {
    const ended = await promisify(execFile)(process.execPath, [CLI, ...args]).then(
      ({ stderr }) => ({ code: 0, stderr }),
      (error: { code: number; stderr: string }) => ({ code: error.code, stderr: error.stderr }),
    );
    t.is(ended.code, code);
    t.regex(ended.stderr, words);
  });
}
