// How pulse answers who asks it to read its config again, with the process that reads it.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pulseDigest, restartParts } from '../../src/config/digest.ts';
import { loadConfig } from '../../src/config/io/load.ts';
import { nodeView } from '../../src/config/node.ts';
import type { Log } from '../../src/log/log.ts';
import type { Reloadable } from '../../src/pulse/election/machine.ts';
import { openReload } from '../../src/pulse/io/config-reader.ts';
import { reloadableOf } from '../../src/pulse/settings.ts';

const CONFIG = `pair: test
routers: { r1: {}, r2: {} }
lans:
  client: { interface: lo, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
`;

function running(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-reader-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'tandem.yaml');
  writeFileSync(file, CONFIG);
  const loaded = loadConfig(file);
  if (!loaded.ok) throw new Error('the config has mistakes');
  const { config } = loaded;
  const codes: string[] = [];
  const taken: Reloadable[] = [];
  const keyFile = join(directory, 'pair.key');
  writeFileSync(keyFile, `${'aa'.repeat(32)}\n`, { mode: 0o600 });
  const keys: { firsts: string[]; isDry: boolean }[] = [];
  const rules: { why: string | undefined } = { why: undefined };
  const reload = openReload({
    file,
    node: 'r1',
    log: { event: (code: string) => codes.push(code) } as unknown as Log,
    inUse: { taken: reloadableOf(config, nodeView(config, 'r1')), parts: restartParts(config, 'r1') },
    digest: pulseDigest(config, 'r1'),
    onNext: next => taken.push(next),
    keyFile,
    onKeys: ({ accept }, isDry) => {
      keys.push({ firsts: accept.map(key => key.toString('hex', 0, 1)), isDry });
      return rules.why;
    },
  });
  t.teardown(() => reload.close());
  return { file, keyFile, reload, codes, taken, keys, rules, before: reload.running() };
}

test.serial('a dry run says what would wait, and takes nothing; then it is taken', async t => {
  const { file, reload, codes, taken, before } = running(t);
  writeFileSync(file, CONFIG.replace('links: [client]', 'links: [client], dead: 900ms, port: 7777'));
  const looked = await reload.ask(true);
  t.deepEqual(looked.reading?.waiting, ['heartbeat.port']);
  t.true(looked.ok);
  t.deepEqual([reload.running(), codes, taken], [before, [], []]);
  const took = await reload.ask(false);
  t.deepEqual(took.reading, looked.reading);
  t.deepEqual(codes, ['CONFIG_LOADED', 'CONFIG_WAITS']);
  t.like(taken[0], { deadMs: 900 });
  t.is(took.reading?.runningDigest, reload.running().digest);
});

test.serial('a mistake is refused with its place, by a dry run without a word in the log', async t => {
  const { file, reload, codes, taken } = running(t);
  writeFileSync(file, CONFIG.replace('links: [client]', 'links: [client], dead: 5ms, nonsense: 1'));
  for (const dryRun of [true, false]) {
    const { ok, code, message, reading } = await reload.ask(dryRun);
    t.deepEqual([ok, code, reading], [false, 'refused', undefined]);
    t.regex(message, /tandem\.yaml:\d+:\d+: heartbeat\.\S+: .* \(and 1 more\)$/);
  }
  t.deepEqual([codes, taken], [['CONFIG_REFUSED'], []]);
});

test.serial('who asks while the file is read shares the next reading, and too many are sent away', async t => {
  const { reload, codes } = running(t);
  const first = reload.ask(true);
  reload.read();
  reload.read();
  const more = await Promise.all(Array.from({ length: 20 }, () => reload.ask(true)));
  t.is(more.filter(({ ok }) => ok).length, 15, 'beside the signal');
  t.true((await first).ok);
  t.deepEqual(codes, ['CONFIG_LOADED'], 'the signals were one');
});

test.serial('keys are read with the config, and alone whatever the config is like', async t => {
  const { file, keyFile, reload, codes, taken, keys } = running(t);
  writeFileSync(keyFile, `${'aa'.repeat(32)}\n# next: of the two\n${'bb'.repeat(32)}\n`);
  t.is((await reload.ask(true)).reading?.keysProblem, '');
  await reload.ask(false);
  writeFileSync(file, 'nonsense');
  t.deepEqual(await reload.askKeys(), { ok: true, code: 'ok', message: 'the keys of the file are in use' });
  const firsts = ['aa', 'bb'];
  t.deepEqual(keys, [
    { firsts, isDry: true },
    { firsts, isDry: false },
    { firsts, isDry: false },
  ]);
  t.is(taken.length, 1);
  t.deepEqual(codes, ['CONFIG_LOADED']);
});

test.serial('keys that cannot be used stay out, are told of, and do not keep the config out', async t => {
  const { keyFile, reload, codes, taken, keys, rules } = running(t);
  rules.why = 'r2 does not accept it';
  t.deepEqual(await reload.askKeys(), { ok: false, code: 'refused', message: 'r2 does not accept it' });
  chmodSync(keyFile, 0o644);
  const { ok, reading } = await reload.ask(false);
  t.true(ok);
  t.regex(reading?.keysProblem ?? '', /its mode is 0644/);
  t.is(keys.length, 1);
  t.is(taken.length, 1);
  t.deepEqual(codes, ['KEYS_REFUSED', 'KEYS_REFUSED', 'CONFIG_LOADED']);
  writeFileSync(keyFile, 'deadbeef\n');
  chmodSync(keyFile, 0o600);
  const refused = await reload.askKeys();
  t.false(refused.ok);
  t.notRegex(refused.message, /deadbeef/, 'no key is told');
});
