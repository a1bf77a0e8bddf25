// `tandem support-bundle` as a user runs it, beside a director that says what it should not: secrets
// are planted wherever a config, a file, the environment or a daemon's word can have one, and none
// of them is in the archive.
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { startStatusServer } from '../../src/status/io/server.ts';
import { keptLog, statusReport, testSource } from '../status/fixture.ts';

const PROGRAM = fileURLToPath(new URL('../../program/tandem.js', import.meta.url));
const run = promisify(execFile);

/** Each has a blank or a sign that its encodings change. */
const SECRET = {
  key: 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90',
  redis: 'redis/pass+word=1',
  sentinel: 'sentinel&pass?2',
  tlsKey: 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj/planted',
  ftp: 'ftp pässword 3',
  sent: 'AUTH-sent "text" 4',
  sentHex: 'deadbeefcafe0005',
  sentFile: 'sent-by-file <6>',
  expected: 'expected/answer 7',
  query: 'query~token 8'.replace(' ', '-'),
  script: '--token=script 9',
  fitness: 'fitness:token/10',
  url: 'joe:url-pass-11',
  comment: 'comment-pass-12',
  unknown: 'unknown field pass 13',
  unknownNumber: '9071456214',
  environment: 'env pass/14',
  environmentUrl: 'joe:env-url-15',
  command: '--page=command 16',
  variable: 'variable/pass 17',
  hookUrl: 'services/T18/hook-url-18',
  hookUrlFile: 'services/T19/url-file-19',
  header: 'header.token-20',
} as const;

function configText(directory: string, more: string): string {
  const file = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    return path;
  };
  return `# ${SECRET.comment}
pair: ftp-pair
routers: { r1: { priority: 110 }, r2: { priority: 100 } }
lans:
  client:
    interface: lo
    addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }
    vips: [192.0.2.100, 192.0.2.101, 192.0.2.102]
  servers: { interface: lo, addresses: { r1: 198.51.100.2/24, r2: 198.51.100.3/24 }, gateways: [198.51.100.1] }
heartbeat: { links: [client, servers], key_file: ${file('pair.key', SECRET.key)} }
sync:
  store:
    type: redis
    redis:
      sentinels: ['192.0.2.9:26379']
      master: tandem
      password_file: ${file('redis.pw', SECRET.redis)}
      sentinel_password_file: ${file('sentinel.pw', SECRET.sentinel)}
      tls: { cert_file: ${file('redis.crt', 'no secret')}, key_file: ${file('redis.pem', SECRET.tlsKey)} }
fitness: { checks: { uplink: { script: [/usr/local/bin/uplink, '${SECRET.fitness}'] } } }
hooks:
  page: { severity: err, command: [/usr/local/bin/page, '${SECRET.command}'], environment: { WORD: '${SECRET.variable}' } }
  chat: { severity: err, webhook: { url: 'https://chat.example/${SECRET.hookUrl}' } }
  other:
    severity: err
    webhook:
      url_file: ${file('hook.url', `https://chat.example/${SECRET.hookUrlFile}`)}
      header_file: ${file('hook.header', `Authorization: Bearer ${SECRET.header}`)}
services:
  ftp:
    vip: 192.0.2.100
    servers_lan: servers
    mark: 21
    check: { user: tandem, password_file: ${file('ftp.pw', SECRET.ftp)}, script: [/usr/local/bin/probe, '${SECRET.script}'] }
    servers: { ftp1: { address: 198.51.100.11 } }
  mail:
    kind: tcp
    vip: 192.0.2.101
    ports: 25
    servers_lan: servers
    mark: 25
    check: { type: send_expect, send: '${SECRET.sent}', expect: '${SECRET.expected}' }
    servers: { mail1: { address: 198.51.100.12 } }
  hexed:
    kind: tcp
    vip: 192.0.2.101
    ports: 26
    servers_lan: servers
    mark: 26
    check: { type: send_expect, send_hex: '${SECRET.sentHex}' }
    servers: { mail1: { address: 198.51.100.12 } }
  filed:
    kind: tcp
    vip: 192.0.2.101
    ports: 27
    servers_lan: servers
    mark: 27
    check: { type: send_expect, send_file: ${file('sent.bin', SECRET.sentFile)} }
    servers: { mail1: { address: 198.51.100.12 } }
  web:
    kind: tcp
    vip: 192.0.2.102
    ports: 80
    servers_lan: servers
    mark: 80
    check: { type: http, path: '/health?${SECRET.query}' }
    servers: { web1: { address: 198.51.100.13 } }
${more}`;
}

const WRONG = `password: '${SECRET.unknown}'
pin: ${SECRET.unknownNumber}
redis_url: 'redis://${SECRET.url}@192.0.2.9:6379'
`;

/** All that must not be there, in every form that it may have taken. */
function forms(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString('base64'),
    bytes.toString('base64url'),
    encodeURIComponent(secret),
    bytes.toString('hex'),
  ];
}

interface Bundle {
  readonly mode: number;
  readonly files: ReadonlyMap<string, string>;
  readonly said: string;
}

async function bundleOf(t: ExecutionContext, directory: string): Promise<Bundle> {
  const target = join(directory, 'bundle.tar.gz');
  const where = ['--config', join(directory, 'tandem.yaml'), '--node', 'r1', '--run-dir', join(directory, 'run')];
  const env = {
    ...process.env,
    REDIS_PASSWORD: SECRET.environment,
    PROXY: `http://${SECRET.environmentUrl}@192.0.2.8/`,
  };
  const args = [PROGRAM, 'support-bundle', target, ...where, '--state-dir', directory];
  const { stdout } = await run(process.execPath, args, { env, timeout: 120_000 });
  const open = join(directory, 'open');
  mkdirSync(open);
  await run('tar', ['-xzf', target, '-C', open]);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const names = readdirSync(open, { recursive: true, encoding: 'utf8' }).filter(name =>
    statSync(join(open, name)).isFile(),
  );
  const files = new Map(names.map(name => [name.replace(/^[^/]*\//, ''), readFileSync(join(open, name), 'utf8')]));
  return { mode: statSync(target).mode & 0o777, files, said: stdout };
}

function place(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-bundle-'));
  chmodSync(directory, 0o700);
  mkdirSync(join(directory, 'run'));
  return directory;
}

function assertClean(t: ExecutionContext, { files }: Bundle): void {
  for (const [name, secret] of Object.entries(SECRET))
    for (const form of forms(secret))
      for (const [file, text] of files) t.false(text.includes(form), `${name} as ${form} in ${file}`);
}

/** A director and its plan that say every secret that the config has, in every form. */
async function talkative(t: ExecutionContext, directory: string, unplanted: readonly string[]): Promise<void> {
  const planted = Object.entries(SECRET).filter(([name]) => !unplanted.includes(name));
  const words = planted.flatMap(([, secret]) => forms(secret));
  const report = statusReport({ problems: words, notices: words.map(word => `530 PASS ${word}`) });
  const socketPath = join(directory, 'run', 'status.sock');
  const server = await startStatusServer({ socketPath, source: testSource(report), log: keptLog() });
  const plan = { changes: [], rules: words, problems: words };
  const control = createServer((_, response) => response.end(JSON.stringify(plan)));
  await new Promise<void>(resolve => control.listen(join(directory, 'run', 'director-control.sock'), resolve));
  t.teardown(async () => {
    control.close();
    await server.close();
  });
}

test.serial('no secret of config, files, environment or daemons is in the archive, and it is root’s alone', async t => {
  t.timeout(120_000);
  const directory = place();
  writeFileSync(join(directory, 'tandem.yaml'), configText(directory, ''), { mode: 0o600 });
  await run(process.execPath, [PROGRAM, 'check', join(directory, 'tandem.yaml')]);
  const unplanted = ['comment', 'url', 'unknown', 'unknownNumber'];
  await talkative(t, directory, unplanted);
  const planted = Object.entries(SECRET).filter(([name]) => !unplanted.includes(name));
  const words = `${JSON.stringify({ said: planted.map(([, secret]) => secret) })}\n`;
  mkdirSync(join(directory, 'journal'));
  for (const day of [1, 2, 3, 4])
    writeFileSync(join(directory, 'journal', `2026-11-0${day}T100000.000Z-active.jsonl.gz`), gzipSync(words));
  writeFileSync(join(directory, 'history.jsonl'), words);
  const bundle = await bundleOf(t, directory);
  t.is(bundle.mode, 0o600);
  t.regex(bundle.said, /^wrote .*bundle\.tar\.gz \(mode 0600\)/);
  assertClean(t, bundle);
  const { files } = bundle;
  for (const name of [
    'doctor.txt',
    'doctor.json',
    'status.json',
    'plan.json',
    'why.json',
    'nft.txt',
    'ipvsadm.txt',
    'ip-address.json',
    'journal-tandem-pulse.txt',
    'history.jsonl',
    'director-hooks.json',
    'journal/2026-11-04T100000.000Z-active.jsonl',
    'versions/tandem.txt',
  ])
    t.true(files.has(name), name);
  t.regex(files.get('tandem.yaml') ?? '', /pair: ftp-pair/);
  t.regex(files.get('tandem.yaml') ?? '', /198\.51\.100\.13/);
  t.regex(files.get('status.json') ?? '', /\(removed\)/, 'what the daemon said was looked through');
  t.is((JSON.parse(files.get('status.json') ?? '') as { pair: string }).pair, 'ftp-pair', 'and is JSON still');
  t.regex(files.get('why.json') ?? '', /could not look/);
  t.false(files.has('journal/2026-11-01T100000.000Z-active.jsonl'), 'the newest three journals');
  t.regex(files.get('journal/2026-11-04T100000.000Z-active.jsonl') ?? '', /^\{"said":/);
});

test.serial('a config with mistakes gives away as little, in what is said of them either', async t => {
  t.timeout(120_000);
  const directory = place();
  writeFileSync(join(directory, 'tandem.yaml'), configText(directory, WRONG), { mode: 0o600 });
  await talkative(t, directory, ['comment']);
  const bundle = await bundleOf(t, directory);
  assertClean(t, bundle);
  t.regex(bundle.files.get('doctor.txt') ?? '', /PROBLEM .*tandem\.yaml:\d+:\d+/);
});

test.serial('a config that is no YAML, too', async t => {
  t.timeout(120_000);
  const directory = place();
  writeFileSync(join(directory, 'tandem.yaml'), `pair: [x\n  password: ${SECRET.redis}\n`, { mode: 0o600 });
  assertClean(t, await bundleOf(t, directory));
});

test.serial('the files that a config names are looked through for, though it is no YAML', async t => {
  t.timeout(120_000);
  const directory = place();
  writeFileSync(join(directory, 'tandem.yaml'), configText(directory, 'broken: [x\n'), { mode: 0o600 });
  const inFiles = ['key', 'redis', 'sentinel', 'tlsKey', 'ftp', 'sentFile'];
  await talkative(
    t,
    directory,
    Object.keys(SECRET).filter(name => !inFiles.includes(name)),
  );
  assertClean(t, await bundleOf(t, directory));
});

test.serial('nor does the first of two equal keys give away its value or its file', async t => {
  t.timeout(120_000);
  const directory = place();
  const text = configText(directory, 'services: {}\nsync: {}\nfitness: {}\n');
  writeFileSync(join(directory, 'tandem.yaml'), text, { mode: 0o600 });
  await talkative(t, directory, ['comment', 'url', 'unknown', 'unknownNumber']);
  assertClean(t, await bundleOf(t, directory));
});

test.serial('a file that is there is not written over', async t => {
  const directory = place();
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const target = join(directory, 'there.tar.gz');
  writeFileSync(target, 'mine');
  const args = [PROGRAM, 'support-bundle', target, '--config', join(directory, 'none.yaml'), '--run-dir', directory];
  const error = await t.throwsAsync(run(process.execPath, args, { timeout: 60_000 }));
  t.regex(String((error as unknown as { stderr: string }).stderr), /is there already/);
  t.is(readFileSync(target, 'utf8'), 'mine');
});
