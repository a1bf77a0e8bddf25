// The pair's key file: who may own it, what must be in it, and that keygen never lays a key open or loses one.
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import {
  generateKey,
  KeyFileError,
  loadKeyFile,
  loadKeys,
  newKey,
  readSecret,
  replaceKeys,
} from '../../src/config/io/key.ts';
import { asAnotherUser, theirs } from '../another-user.ts';

const A = 'aa'.repeat(32);
const B = 'Bb'.repeat(48);
const OTHER_USER = 65_534;

const directory = mkdtempSync(join(tmpdir(), 'tandem-key-'));
test.after.always(() => rmSync(directory, { recursive: true }));

function written(name: string, text: string, mode = 0o600): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

/** code: problem; remedy */
function refusal(use: () => unknown): string {
  try {
    use();
  } catch (error) {
    if (error instanceof KeyFileError) return `${error.code}: ${error.problem}; ${error.remedy}`;
    throw error;
  }
  return 'accepted';
}

test('one key signs and is accepted', t => {
  const keys = loadKeys(written('one', `# the pair's key\n\n${A}\n`));
  t.is(keys.sign.toString('hex'), A);
  t.deepEqual(keys.accept, [keys.sign]);
});

test('keys are replaced whole, with what the second is', t => {
  const file = written('replaced', `${A}\n`);
  const [a, b] = [Buffer.from(A, 'hex'), Buffer.from(B, 'hex')];
  for (const second of ['next', 'old', undefined] as const) {
    replaceKeys(file, { accept: [b, a], second });
    t.deepEqual(loadKeyFile(file), { sign: b, accept: [b, a], second });
    t.is(statSync(file).mode & 0o777, 0o600);
  }
  replaceKeys(file, { accept: [b], second: undefined });
  t.is(readFileSync(file, 'utf8'), `${b.toString('hex')}\n`);
  t.deepEqual(
    readdirSync(directory).filter(name => name.startsWith('replaced')),
    ['replaced'],
  );
});

test('of two keys the first signs and both are accepted', t => {
  const keys = loadKeys(written('two', `${A}\r\n${B}`));
  t.is(keys.sign.toString('hex'), A);
  t.deepEqual(
    keys.accept.map(key => key.toString('hex')),
    [A, B.toLowerCase()],
  );
});

test('root is refused a file that others may read, write or run', t => {
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666]) {
    const file = written(`mode-${mode.toString(8)}`, A, mode);
    const expected = `mode: its mode is 0${mode.toString(8)}, so that others than its owner may use it; run: chmod 0600 ${file}`;
    t.is(
      refusal(() => loadKeys(file)),
      expected,
    );
  }
  t.is(
    refusal(() => loadKeys(written('mode-400', A, 0o400))),
    'accepted',
  );
});

test('root is refused a file that belongs to somebody else', t => {
  const file = written('foreign', A);
  chownSync(file, OTHER_USER, OTHER_USER);
  t.is(
    refusal(() => loadKeys(file)),
    `owner: it belongs to user ${OTHER_USER}, who could change it; run: chown root:root ${file}`,
  );
});

test('a link is judged by the file it leads to', t => {
  const [good, foreign] = [written('target', A), written('foreign-target', A)];
  chownSync(foreign, OTHER_USER, OTHER_USER);
  symlinkSync(good, join(directory, 'link'));
  symlinkSync(foreign, join(directory, 'foreign-link'));
  t.is(loadKeys(join(directory, 'link')).accept.length, 1);
  t.regex(
    refusal(() => loadKeys(join(directory, 'foreign-link'))),
    /^owner: /,
  );
});

test('a missing file, a directory and a pipe are refused at once', t => {
  const missing = join(directory, 'missing');
  t.is(
    refusal(() => loadKeys(missing)),
    'missing: there is no such file; make one with: tandem keygen',
  );
  t.is(
    refusal(() => loadKeys(directory)),
    'not-a-file: it is not a regular file; name a regular file',
  );
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', ['-m', '0600', pipe]);
  t.regex(
    refusal(() => loadKeys(pipe)),
    /^not-a-file/,
  );
});

const CONTENTS: readonly (readonly [title: string, text: string, problem: string])[] = [
  ['nothing', '', 'it holds no key'],
  ['only a comment', '# later\n', 'it holds no key'],
  ['a password', 'correct horse battery staple', 'the first key is not in hex'],
  ['half a byte too many', `${A}a`, 'the first key has an odd number of hex digits'],
  ['a key of 31 bytes', 'aa'.repeat(31), 'the first key is 31 bytes long, shorter than 32'],
  ['a key of 129 bytes', 'aa'.repeat(129), 'the first key is 129 bytes long, longer than 128'],
  ['a second key that is short', `${A}\nabcd`, 'the second key is 2 bytes long, shorter than 32'],
  ['three keys', `${A}\n${A}\n${A}`, 'it holds 3 keys, at most 2 are possible'],
  ['a large file', '#'.repeat(5_000), 'it is larger than 4096 bytes'],
];

for (const [index, [title, text, problem]] of CONTENTS.entries()) {
  test(`a key file with ${title} is refused without quoting it`, t => {
    const file = written(`content-${index}`, text);
    const told = refusal(() => loadKeys(file));
    t.true(told.startsWith(`content: ${problem}; `), told);
    if (text.length > 10) t.false(told.includes(text.slice(0, 10)), told);
  });
}

test('a new key is written for its owner only, and no two are alike', t => {
  const [one, two] = [join(directory, 'new-1'), join(directory, 'new-2')];
  const umask = process.umask(0);
  try {
    generateKey(one, false);
    generateKey(two, false);
  } finally {
    process.umask(umask);
  }
  t.is(statSync(one).mode & 0o7777, 0o600);
  t.is(loadKeys(one).sign.length, 32);
  t.notDeepEqual(loadKeys(one).sign, loadKeys(two).sign);
});

test('an existing key is kept unless it is forced away, and then replaced whole', t => {
  const file = written('kept', A);
  const told = refusal(() => generateKey(file, false));
  t.regex(told, /^exists: .*; add --force to replace it$/);
  t.is(readFileSync(file, 'utf8'), A);
  generateKey(file, true);
  t.not(readFileSync(file, 'utf8'), A);
  t.is(statSync(file).mode & 0o7777, 0o600);
  t.deepEqual(
    readdirSync(directory).filter(name => name.startsWith('kept')),
    ['kept'],
  );
});

test('a key is not written through a link, and not into a directory that is not there', t => {
  const target = join(directory, 'elsewhere');
  symlinkSync(target, join(directory, 'dangling'));
  t.regex(
    refusal(() => generateKey(join(directory, 'dangling'), false)),
    /^exists/,
  );
  t.throws(() => statSync(target), { code: 'ENOENT' });
  t.regex(
    refusal(() => generateKey(join(directory, 'no', 'key'), false)),
    /^unwritable: .*make its directory first/,
  );
});

test('keys that are replaced behind a link are those of the file it leads to, and the link stays', t => {
  const real = written('kept-elsewhere', `${A}\n`);
  const link = join(directory, 'link-to-it');
  symlinkSync(real, link);
  const next = newKey();
  replaceKeys(link, { accept: [next], second: undefined });
  t.true(lstatSync(link).isSymbolicLink());
  t.deepEqual(loadKeys(real).accept, [next]);
  t.deepEqual(
    readdirSync(directory).filter(name => name.endsWith('.new')),
    [],
  );
});

test('the same guard reads other secrets', t => {
  t.is(readSecret(written('password', 'geheim\n'), 'write one'), 'geheim\n');
  t.regex(
    refusal(() => readSecret(written('open-password', 'geheim', 0o644), 'write one')),
    /^mode: /,
  );
});

test('another user is told to run as root', async t => {
  chmodSync(directory, 0o755);
  const file = written('roots', A);
  const script = `import(${JSON.stringify(theirs('dist/src/config/io/key.js'))})
    .then(key => { try { key.loadKeys(process.argv[1]); } catch (error) { console.log(error.message); } })`;
  const command = asAnotherUser(['-e', script, file]);
  const { stdout } = await promisify(execFile)(command.file, command.args);
  t.is(stdout.trim(), `${file}: it cannot be read: EACCES: permission denied, open '${file}'; run as root`);
});
