// A host name that comes late, as at boot.
import test from 'ava';
import { awaitOwnName } from '../../src/cli/io/own-name.ts';
import { routerOf } from '../../src/cli/router-name.ts';

const find = (name: string) => routerOf(name, ['router-a', 'router-b']);

test('a host name that is set while a daemon starts is found, and the wait is told once', async t => {
  const names = ['localhost', 'localhost', 'router-a.example.net'];
  const told: string[] = [];
  const found = await awaitOwnName(
    find,
    name => told.push(name),
    () => names.shift() ?? 'nobody asks again',
  );
  t.is(found, 'router-a');
  t.deepEqual(told, ['localhost']);
  t.deepEqual(names, []);
});

test('a host name that is right is not waited for', async t => {
  const found = await awaitOwnName(
    find,
    () => t.fail('waited'),
    () => 'router-b',
  );
  t.is(found, 'router-b');
});
