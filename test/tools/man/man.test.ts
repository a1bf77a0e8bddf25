// The man pages: what man and mandoc make of them, and that they say all that the code says. Both programs come by scripts/setup.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { processTerminal } from '../../../src/cli/io/terminal.ts';
import { commands } from '../../../src/cli/main.ts';
import { EVENTS } from '../../../src/log/catalogue.ts';
import { configSections } from '../docs/config-page.ts';
import { manualPages } from './main.ts';

const run = promisify(execFile);
const PAGES = manualPages('.', Date.UTC(2026, 0, 31));
const directory = mkdtempSync(join(tmpdir(), 'tandem-man-'));
for (const [name, page] of Object.entries(PAGES)) writeFileSync(join(directory, name), page);
test.after.always(() => rmSync(directory, { recursive: true }));

/** As a reader sees it, in lines that are not broken. */
async function shown(name: string): Promise<string> {
  const { stdout } = await run('mandoc', ['-T', 'utf8', '-O', 'width=1000', join(directory, name)]);
  // Bold is a letter over itself.
  return stdout.replace(/.[\b]/g, '');
}

for (const name of Object.keys(PAGES)) {
  test(`${name}: neither man nor mandoc has anything to complain of`, async t => {
    const file = join(directory, name);
    const lint = await run('mandoc', ['-T', 'lint', '-W', 'warning', file]);
    t.is(lint.stdout, '');
    const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80', MANPAGER: 'cat' };
    const man = await run('man', ['--warnings', '-l', file], { env, maxBuffer: 8_388_608 });
    t.is(man.stderr, '');
    t.true(man.stdout.length > 2_000);
  });
}

test('a page that is wrong is complained of', async t => {
  const file = join(directory, 'wrong.8');
  writeFileSync(file, `${PAGES['tandem.8']}.SH\n.FROB\n`);
  const error = await t.throwsAsync(run('mandoc', ['-T', 'lint', '-W', 'warning', file]));
  t.regex((error as Error & { stdout: string }).stdout, /FROB/);
});

test('tandem(8) has every command with every option, its exit codes and its example', async t => {
  const page = await shown('tandem.8');
  for (const command of commands(processTerminal(), () => undefined).commands) {
    t.regex(page, new RegExp(`^   ${command.name()} \\[options\\]`, 'm'));
    for (const { flags } of command.options) t.true(page.includes(`\n       ${flags}`), `${command.name()} ${flags}`);
  }
  t.regex(page, /^ +tandem hold --for 30m$/m);
  t.regex(page, /^ {7}78 +A daemon cannot use its config or key\.$/m);
  t.regex(page, /Tandem \d+\.\d+\.\d+ +2026-01-31/);
});

test('tandem.yaml(5) has every field, and the example as it is', async t => {
  const page = await shown('tandem.yaml.5');
  const fields = configSections().flatMap(({ rows }) => rows.map(({ field }) => field));
  t.true(fields.length > 100);
  for (const field of fields) t.true(page.includes(`\n       ${field}`), field);
  t.true(page.includes('duration; 30ms to 30s; default "300ms"'));
  for (const line of readFileSync('conf/tandem.yaml', 'utf8').split('\n')) t.true(page.includes(line.trim()), line);
});

test('tandem-events(7) has every event with its severity and fields', async t => {
  const page = await shown('tandem-events.7');
  for (const [code, event] of Object.entries(EVENTS)) {
    t.true(page.includes(`\n   ${code} (${event.severity})\n`), code);
    for (const field of Object.keys(event.fields)) t.true(page.includes(`\n       ${field}`), `${code}.${field}`);
  }
});
