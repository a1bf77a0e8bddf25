// The config file on disk: bounds, digest, the shipped example, and that nothing in a file can throw.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { configDigest, differingParts, pulseDigest, restartParts } from '../../src/config/digest.ts';
import { MISTAKES_MAX, parseConfig } from '../../src/config/document.ts';
import { CONFIG_BYTES_MAX, loadConfig } from '../../src/config/io/load.ts';

const EXAMPLE = 'conf/tandem.yaml';
const directory = mkdtempSync(join(tmpdir(), 'tandem-load-'));
test.after.always(() => rmSync(directory, { recursive: true }));

function written(name: string, content: string | Buffer): string {
  const file = join(directory, name);
  writeFileSync(file, content);
  return file;
}

function problemOf(file: string): string | undefined {
  const loaded = loadConfig(file);
  return loaded.ok ? undefined : loaded.mistakes[0]?.problem;
}

test('the shipped example is used without a warning', t => {
  const loaded = loadConfig(EXAMPLE);
  t.true(loaded.ok);
  if (!loaded.ok) return;
  t.deepEqual(loaded.warnings, []);
  t.deepEqual(Object.keys(loaded.config.routers), ['router-a', 'router-b']);
  t.deepEqual(Object.keys(loaded.config.lans), ['client', 'servers', 'cross']);
  t.is(Object.keys(loaded.config.services.ftp?.servers ?? {}).length, 3);
});

test('the shipped example with its IPv6 lines and its other service in use is used without a warning', t => {
  const text = readFileSync(EXAMPLE, 'utf8')
    .replaceAll(/^( +)(router-[ab]): (192|198).*\n/gm, '')
    .replaceAll(/^( +)# (router-[ab]: \[|- 2001)/gm, '$1$2')
    .replace('  # ftp6:', '  ftp6:')
    .replace('  # web:', '  web:')
    .replaceAll(/^ {2}# {3}(.*)$/gm, '    $1');
  const parsed = parseConfig(text);
  t.true(parsed.ok);
  if (!parsed.ok) return;
  t.deepEqual(parsed.warnings, []);
  t.is(parsed.config.services.ftp6?.vip as string, '2001:db8:1::100');
  t.is(parsed.config.services.web?.kind, 'tcp');
  t.deepEqual(parsed.config.lans.client?.vips as string[], ['192.0.2.100', '2001:db8:1::100']);
});

test('the commented-out fields of the example show the defaults', t => {
  const text = readFileSync(EXAMPLE, 'utf8');
  const uncommented = text
    .replaceAll(
      /^( *)# (alone_keep|port|auto_failback|control_port|active|scheduler|persistence|timeout|stage_timeout|rise|fall|user|data|tls|key_file):/gm,
      '$1$2:',
    )
    .replaceAll(/^# (ipvs:| {2}tcp_timeout| {2}tcp_fin_timeout| {2}audit)/gm, '$1')
    .replaceAll(/^# (sync:| {2}enabled| {2}port| {2}store:| {4}type| {4}schedule| {4}connections| {4}max_age)/gm, '$1');
  const [shipped, explicit] = [parseConfig(text), parseConfig(uncommented)];
  t.not(uncommented, text);
  t.true(shipped.ok && explicit.ok);
  if (shipped.ok && explicit.ok) t.is(configDigest(explicit.config), configDigest(shipped.config));
});

test('the digest follows the meaning, not the spelling', t => {
  const text = readFileSync(EXAMPLE, 'utf8');
  const digest = (edited: string) => {
    const parsed = parseConfig(edited);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
    return configDigest(parsed.config);
  };
  const before = digest(text);
  t.regex(before, /^[0-9a-f]{16}$/);
  t.is(digest(`${text}\n# a comment\n`), before);
  t.is(digest(text.replace('interval: 5s', 'interval: 5000ms')), before);
  const swapped = text
    .replace('router-a: { priority: 110 }', 'router-z: 1')
    .replace('router-b: { priority: 100 }', 'router-a: { priority: 110 }');
  t.is(digest(swapped.replace('router-z: 1', 'router-b: {}')), before);
  t.not(digest(text.replace('dead: 300ms', 'dead: 301ms')), before);
  t.not(digest(text.replace('links: [client, servers, cross]', 'links: [client, cross, servers]')), before);
});

test('a file that is not there, is a directory, is a pipe, is too large or is not UTF-8 is told, not thrown', t => {
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  t.regex(problemOf(join(directory, 'none.yaml')) ?? '', /cannot be read.*no such file/);
  t.is(problemOf(directory), 'this is not a regular file');
  t.is(problemOf(pipe), 'this is not a regular file');
  t.regex(problemOf(written('large', Buffer.alloc(CONFIG_BYTES_MAX + 1, '#'))) ?? '', /larger than 1048576 bytes/);
  t.is(problemOf(written('limit', Buffer.alloc(CONFIG_BYTES_MAX, '#'))), 'the file is empty');
  t.is(problemOf(written('latin1', Buffer.from([0x70, 0xe4, 0x0a]))), 'the file is not UTF-8 text');
  const missing = loadConfig(join(directory, 'none.yaml'));
  t.is(missing.ok ? undefined : missing.unreadable, 'ENOENT');
});

const HOSTILE: readonly (readonly [title: string, text: string])[] = [
  ['brackets nested without end', '['.repeat(200_000)],
  ['lists nested without end', '- '.repeat(50_000)],
  [
    'aliases that multiply',
    'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]',
  ],
  ['an alias to what it is part of', 'pair: &a [*a]'],
  ['bytes by a tag', 'pair: !!binary aGk='],
  ['a key that is a list', '? [a, b]\n: 1'],
  ['the key __proto__', 'lans:\n  __proto__: { interface: eth0 }'],
];

for (const [title, text] of HOSTILE) {
  test(`${title}: refused with a mistake`, t => {
    const parsed = parseConfig(text);
    t.false(parsed.ok);
    if (!parsed.ok) t.true(parsed.mistakes.length > 0);
  });
}

test('thousands of mistakes are told up to a limit, and that there are more', t => {
  const many = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n');
  const parsed = parseConfig(many);
  t.false(parsed.ok);
  if (parsed.ok) return;
  t.is(parsed.mistakes.length, MISTAKES_MAX + 1);
  t.regex(parsed.mistakes.at(-1)?.problem ?? '', /more mistakes/);
});

test('parsing never throws on arbitrary text, and every mistake has a place and words', t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), text => {
      soundMistakes(text);
    }),
    { numRuns: 1_000, seed: 21 },
  );
  t.pass();
});

test('parsing never throws on an example with pieces cut, doubled or replaced', t => {
  const text = readFileSync(EXAMPLE, 'utf8');
  const piece = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom(':', '- ', '{', '}', '[', ']', '*a', '&a', '\n', '\t', '!!set ', '? '),
  );
  const place = fc.nat({ max: text.length });
  fc.assert(
    fc.property(place, fc.nat({ max: 200 }), piece, place, piece, (from, length, first, at, other) => {
      const cut = text.slice(0, from) + first + text.slice(from + length);
      soundMistakes(cut.slice(0, at) + other + cut.slice(at));
    }),
    { numRuns: 400, seed: 21 },
  );
  t.pass();
});

test('parsing never throws on arbitrary structures with the right keys', t => {
  const leaf = fc.oneof(
    fc.constant(null),
    fc.integer(),
    fc.string({ maxLength: 8 }),
    fc.boolean(),
    fc.constantFrom('192.0.2.1', '192.0.2.1/24', '2001:db8::1/64', '5s', 'client'),
  );
  const keys = fc.constantFrom(
    'pair',
    'routers',
    'lans',
    'heartbeat',
    'links',
    'services',
    'servers',
    'vip',
    'vips',
    'client',
    'a',
    'b',
    'addresses',
    'interface',
    'address',
    'mark',
    'check',
    'sync',
    'store',
    'redis',
    'tls',
    'witness',
    'lease',
    'timeout',
  );
  const { tree } = fc.letrec(tie => ({
    tree: fc.oneof(
      { depthSize: 'medium' },
      leaf,
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(keys, tie('tree'), { maxKeys: 6 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(keys, tree, { maxKeys: 8 }), value => {
      soundMistakes(JSON.stringify(value));
    }),
    { numRuns: 1_000, seed: 21 },
  );
  t.pass();
});

/** Throws when a mistake lacks its place or its words. */
function soundMistakes(text: string): void {
  const parsed = parseConfig(text);
  const mistakes = parsed.ok ? parsed.warnings : parsed.mistakes;
  const lines = text.split('\n').length + 1;
  for (const { line, column, problem, remedy } of mistakes) {
    if (line < 1 || line > lines || column < 1 || problem === '' || remedy === '')
      throw new Error(JSON.stringify(mistakes));
    if (problem.startsWith('the file is not usable') && !/alias|nested/.test(problem)) throw new Error(problem);
  }
  if (!parsed.ok && !mistakes.some(mistake => mistake.severity === 'error'))
    throw new Error('refused without an error');
}

test('what only the director uses does not make pulse wait for a restart; what pulse uses does', t => {
  const shipped = loadConfig('conf/tandem.yaml');
  t.true(shipped.ok);
  if (!shipped.ok) return;
  const { config } = shipped;
  const [router = ''] = Object.keys(config.routers);
  const own = pulseDigest(config, router);
  const changed = (part: object) => pulseDigest({ ...config, ...part }, router);
  const [[name, service]] = Object.entries(config.services) as [[string, object]];
  t.is(changed({ services: { ...config.services, [name]: { ...service, scheduler: 'rr', mark: 77 } } }), own);
  t.is(changed({ ipvs: { ...config.ipvs, tcp_timeout: 7_200_001 } }), own);
  t.not(changed({ heartbeat: { ...config.heartbeat, lease: config.heartbeat.lease + 10 } }), own);
  t.not(changed({ services: {} }), own, 'real servers are targets');
});

test('what waits for a restart of pulse is named as in the file; times, priorities and policies do not', t => {
  const shipped = loadConfig('conf/tandem.yaml');
  t.true(shipped.ok);
  if (!shipped.ok) return;
  const { config } = shipped;
  const [router = ''] = Object.keys(config.routers);
  const waits = (part: object) =>
    differingParts(restartParts(config, router), restartParts({ ...config, ...part } as typeof config, router));
  const { heartbeat, routers, lans } = config;
  const policies = { auto_failback: !heartbeat.auto_failback, on_isolation: 'keep', on_conflict: 'stand-down' };
  t.deepEqual(waits({ heartbeat: { ...heartbeat, ...policies, interval: 50, lease: 500, dead: 900 } }), []);
  t.deepEqual(waits({ routers: Object.fromEntries(Object.keys(routers).map(name => [name, { priority: 7 }])) }), []);
  t.deepEqual(waits({ heartbeat: { ...heartbeat, port: 7_694, alone_keep: 9_000 } }), [
    'heartbeat.alone_keep',
    'heartbeat.port',
  ]);
  t.deepEqual(waits({ witness: undefined }), config.witness ? ['witness'] : []);
  const [[name, lan]] = Object.entries(lans) as [[string, object]];
  t.deepEqual(waits({ lans: { ...lans, [name]: { ...lan, interface: 'other0' } } }), [`lans.${name}`]);
});
