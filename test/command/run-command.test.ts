import test from 'ava';
import { run } from '../../src/command/io/run-command.ts';

test("a program's output and status come back, whatever the status", async t => {
  const result = await run('sh', ['-c', 'cat; echo words >&2; exit 3'], { input: 'given' });
  t.deepEqual(result, { status: 3, stdout: 'given', stderr: 'words\n' });
});

test('a program that is not there is named as missing', async t => {
  await t.throwsAsync(run('no-such-program-of-tandem', []), {
    name: 'CommandError',
    message: 'no-such-program-of-tandem is not installed',
  });
});

test('a program that does not end is killed and named', async t => {
  await t.throwsAsync(run('sleep', ['30'], { timeoutMs: 100 }), { message: /sleep did not end within 100 ms/ });
});

test('a program that writes without end is cut off', async t => {
  await t.throwsAsync(run('yes', [], { outputBytesMax: 10_000, timeoutMs: 5_000 }), { message: /wrote more/ });
});

test('a program that ends before it has read its input is no error', async t => {
  t.is((await run('true', [], { input: 'x'.repeat(1_000_000) })).status, 0);
});

test('texts are in the C locale, and /usr/sbin is found from a plain PATH', async t => {
  const { stdout } = await run('sh', ['-c', 'echo "$LC_ALL $PATH"']);
  t.regex(stdout, /^C .*:\/usr\/sbin/);
});
