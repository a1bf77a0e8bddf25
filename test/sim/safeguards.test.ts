// Every safeguard that is marked in the source has a mutation (mutations.ts), and every mutation its mark: a change of the code shows
// here at once, and not only where all of them are hunted.
import test from 'ava';
import { changedFiles, marks } from './mutants.ts';
import { changed, MUTATIONS } from './mutations.ts';

const all = MUTATIONS.flatMap(({ change, also = [] }) => [change, ...also]);
const twice = (names: readonly string[]) => names.filter((name, index) => names.indexOf(name) !== index);

test('each mark is in the source once, and has a mutation', t => {
  const names = marks().map(({ mark }) => mark);
  t.deepEqual(twice(names), []);
  t.deepEqual([...names].sort(), [...new Set(all.map(({ mark }) => mark))].sort());
});

test('each mutation has a name and a mark of its own', t => {
  t.deepEqual(twice(MUTATIONS.map(({ name }) => name)), []);
  t.deepEqual(twice(MUTATIONS.map(({ change }) => change.mark)), []);
});

test('each mutation can be made', t => {
  for (const mutation of MUTATIONS) t.true(changedFiles(mutation).size > 0, mutation.name);
});

test('a mark stands above its line, also above another mark', t => {
  const text = 'a;\n  // safeguard: one\n  // safeguard: two\n  b;\n  c;\n';
  const marked = '  // safeguard: one\n  // safeguard: two\n';
  t.is(changed(text, { mark: 'one', becomes: 'x;' }), `a;\n${marked}x;\n  c;\n`);
  t.is(changed(text, { mark: 'two', becomes: 'x;', lines: 2 }), `a;\n${marked}x;\n`);
  t.throws(() => changed(text, { mark: 'three', becomes: '' }), { message: /"\/\/ safeguard: three".* not 0 times/ });
});
