// Which secret files a bundle is searched for, and that nothing in their place can hang it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { secretFileTexts } from '../../src/doctor/io/bundle-parts.ts';
import { redactConfig } from '../../src/doctor/redaction.ts';
import { defaultSecretFiles } from '../../src/doctor/secret-files.ts';

test('the key has a default place, which no config has to name', t => {
  t.deepEqual(defaultSecretFiles(), ['/etc/tandem/pair.key']);
});

test('of two equal keys both values are secrets, and both files are looked through', t => {
  const { text, secrets, files } = redactConfig(`
pair: ftp-pair
pair: ftp-pair-2
password: first-pw
password: second-pw
heartbeat: { key_file: /etc/first.key, key_file: /etc/second.key }
services:
  mail: { kind: tcp, check: { type: send_expect, send: first-sent, send: second-sent } }
  mail: { kind: tcp, check: { type: send_expect, send: third-sent, send_file: /etc/third.sent } }
  mail: { kind: tcp }
`);
  for (const word of ['first-pw', 'second-pw', 'first-sent', 'second-sent', 'third-sent']) {
    t.true(secrets.includes(word), word);
    t.false(text.includes(word), word);
  }
  t.false(secrets.includes('ftp-pair'), 'what is no secret by its field is none because it is hidden');
  t.deepEqual(files, ['/etc/first.key', '/etc/second.key', '/etc/third.sent']);
});

test('an anchor is followed to its file', t => {
  t.deepEqual(redactConfig('a: &x /etc/one.pw\npassword_file: *x\n').files, ['/etc/one.pw']);
});

test('of a file that is no YAML the files are found by its text', t => {
  const { files } = redactConfig(`pair: [x
heartbeat: { key_file: /etc/a.key, links: [a] }
  password_file: /etc/b.pw # a comment
  sentinel_password_file: "/etc/with blank.pw"
  "send_file":'/etc/c.sent'
  key_file: /etc/plain blank.key
`);
  for (const file of ['/etc/a.key', '/etc/b.pw', '/etc/with blank.pw', '/etc/c.sent', '/etc/plain blank.key'])
    t.true(files.includes(file), `${file} of ${files.join(' ')}`);
});

test('regular files are read, 64 KiB of each; a FIFO, a device, a folder and nothing are passed over', async t => {
  t.timeout(30_000);
  const directory = mkdtempSync(join(tmpdir(), 'tandem-secret-files-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const at = (name: string) => join(directory, name);
  execFileSync('mkfifo', [at('fifo')]);
  writeFileSync(at('small'), 'small');
  writeFileSync(at('large'), 'x'.repeat(70_000));
  const files = [at('fifo'), '/dev/zero', directory, at('none'), at('small'), at('large'), at('small')];
  t.deepEqual(await secretFileTexts(files), ['small', 'x'.repeat(65_536)]);
});
