// Every mutation of the simulator (mutations.ts) finds what it searches for, exactly once, in the
// compiled code: a change of the code shows here at once, and not only where all of them are
// hunted.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { MUTATIONS, patched } from './mutations.ts';

const DIST = fileURLToPath(new URL('../../', import.meta.url));

test('what each mutation searches for is in the compiled code once', t => {
  const wrong = MUTATIONS.flatMap(({ name, patches = [] }) => {
    const texts = new Map<string, string>();
    return patches.flatMap(patch => {
      const text = texts.get(patch.file) ?? readFileSync(`${DIST}${patch.file}`, 'utf8');
      try {
        texts.set(patch.file, patched(text, patch));
        return [];
      } catch (error) {
        return [`${name}: ${(error as Error).message}`];
      }
    });
  });
  t.deepEqual(wrong, []);
});

test('no mutation does without a change', t => {
  t.deepEqual(
    MUTATIONS.filter(({ patches = [], model }) => patches.length === 0 && model === undefined).map(({ name }) => name),
    [],
  );
});
