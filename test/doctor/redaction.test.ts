// No secret passes, whatever its form.
import test from 'ava';
import { environmentSecrets, redactConfig, scrubber, secretsIn } from '../../src/doctor/redaction.ts';

const FORMS = (secret: string) => [
  secret,
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  encodeURIComponent(secret),
  Buffer.from(secret).toString('hex'),
];

test('of a config stays what the schema knows; comments, unknown fields and what may be secret go', t => {
  const { text, secrets } = redactConfig(`
# pw: in-a-comment
pair: ftp-pair
password: top-level-pw
routers: { router-a: { priority: 110, token: unknown-field-pw } }
sync: { store: { type: redis, redis: { host: 'redis://joe:url-pw@192.0.2.9', password_file: /etc/tandem/redis } } }
services:
  mail:
    kind: tcp
    vip: 192.0.2.100
    check: { type: send_expect, send: "AUTH PLAIN send-pw", expect: expect-pw }
  web:
    kind: tcp
    vip: 192.0.2.100
    check: { type: http, path: '/health?key=query-pw', script: [/usr/local/bin/probe, script-pw] }
`);
  for (const word of [
    'in-a-comment',
    'top-level-pw',
    'unknown-field-pw',
    'url-pw',
    'send-pw',
    'expect-pw',
    'query-pw',
    'script-pw',
  ])
    t.false(text.includes(word), word);
  for (const kept of ['ftp-pair', 'router-a', '110', '192.0.2.100', '/etc/tandem/redis', '/health'])
    t.true(text.includes(kept), kept);
  for (const word of ['top-level-pw', 'unknown-field-pw', 'url-pw', 'send-pw', 'query-pw', 'script-pw'])
    t.true(secrets.includes(word), word);
});

test('a value that is a mistake goes, too: who knows what was pasted there', t => {
  const { text } = redactConfig('pair: Hunter-Two!\nrouters: {}\n', ['pair']);
  t.false(text.includes('Hunter-Two!'));
});

test('of a file that is no YAML nothing is kept, and its words are looked for everywhere', t => {
  const { text, secrets } = redactConfig('pair: [a\n  password: hunter2\n');
  t.false(text.includes('hunter2'));
  t.true(secrets.includes('hunter2'));
});

test('a secret is found plain, in JSON, by base64 wherever it stands, by hex and in URLs', t => {
  const secret = 'pä/s "w0rd"+';
  const clean = scrubber([secret]);
  for (const form of [...FORMS(secret), JSON.stringify({ a: secret })]) {
    const after = clean(`before ${form} after`);
    for (const one of FORMS(secret)) t.false(after.includes(one), form);
    t.regex(after, /^before .*\(removed\).* after$/, form);
  }
  for (const user of ['a', 'bc', 'def']) {
    const basic = Buffer.from(`${user}:${secret}`).toString('base64');
    const after = clean(basic);
    t.true(after.includes('(removed)'), user);
    t.false(Buffer.from(after.replace('(removed)', ''), 'base64').toString().includes('w0rd'), user);
  }
});

test('what looks like a password goes without being known', t => {
  const clean = scrubber([]);
  for (const [line, secret] of [
    ['redis://joe:hunter2@192.0.2.9:6379/0', 'hunter2'],
    ['"password":"hunter2","file":"x"', 'hunter2'],
    ['requirepass=hunter2', 'hunter2'],
    ['Authorization: Basic aHVudGVyMg==', 'aHVudGVyMg'],
    ['> PASS hunter2', 'hunter2'],
  ] as const)
    t.false(clean(line).includes(secret), line);
  t.is(clean('password_file: /etc/tandem/redis.pw'), 'password_file: /etc/tandem/redis.pw');
  t.is(clean('PASV announces 192.0.2.1'), 'PASV announces 192.0.2.1');
});

test('secret files count line by line, and of the environment what is named so or holds credentials', t => {
  t.deepEqual(secretsIn('one-key\n  another-key\n'), ['one-key\n  another-key', 'one-key', 'another-key']);
  const env = { REDIS_PASSWORD: 'env-pw', URL: 'https://joe:url-pw@example.net/', HOME: '/root', LANG: undefined };
  t.deepEqual(environmentSecrets(env), ['env-pw', 'joe:url-pw', 'url-pw']);
});
