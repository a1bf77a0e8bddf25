// What counts as a repeated secret.
import test from 'ava';
import { queryValues, repeatsSecret, secretWords } from '../../src/nanny/repeated-secret.ts';

const ROWS: readonly [said: string, secret: string, isCut: boolean, repeats: boolean][] = [
  ['wrong: hunter2', 'hunter2', false, true],
  ['WRONG: HUNTER2', 'hunter2', false, true],
  ['wrong: hunter%32', 'hunter2', false, true],
  ['wrong: hunter2', 'hunter%32', false, true],
  ['wrong: hunter+2', 'hunter 2', false, true],
  ['wrong: p%C3%A4sswort', 'pässwort', false, true],
  ['wrong: %FF%zz%', 'hunter2', false, false],
  ['wrong: hunt', 'hunter2', true, true],
  ['wrong: hunt', 'hunter2', false, false],
  ['wrong: hun', 'hunter2', true, false],
  ['abc', 'abc', false, false],
];

for (const [said, secret, isCut, repeats] of ROWS)
  test(`"${said}"${isCut ? ', cut off,' : ''} ${repeats ? 'repeats' : 'does not repeat'} "${secret}"`, t => {
    t.is(repeatsSecret(said, [secret], isCut), repeats);
  });

test('of a path the values of its query are secret, of a text each word', t => {
  t.deepEqual(queryValues('/health').filter(Boolean), []);
  const values = queryValues('/a?key=b%20c&d;e=f=g');
  for (const value of ['b%20c', 'b c', 'c', 'd', 'f=g', 'g']) t.true(values.includes(value), value);
  for (const name of ['key', 'e', '/a']) t.false(values.includes(name), name);
  t.true(secretWords('AUTH user:hunter2\r\n').includes('hunter2'));
});
