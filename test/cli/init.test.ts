// `tandem init`: a first config from options or answers, never over another file.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { CliError } from '../../src/cli/exit.ts';
import { init } from '../../src/cli/init.ts';
import type { Asker } from '../../src/cli/io/ask.ts';
import type { Terminal } from '../../src/cli/io/terminal.ts';
import { parseConfig } from '../../src/config/document.ts';
import { type Answers, firstConfig, QUESTIONS } from '../../src/config/first-config.ts';

const EXAMPLES = Object.fromEntries(QUESTIONS.map(({ name, example }) => [name, example]));
const NAT: Answers = { ...EXAMPLES, forwarding: 'nat' };

function listening(): { terminal: Terminal; heard: { out: string; err: string } } {
  const heard = { out: '', err: '' };
  const terminal: Terminal = {
    out: text => {
      heard.out += text;
    },
    err: text => {
      heard.err += text;
    },
    screen: false,
    size: () => ({ columns: 80, rows: 24 }),
    takeScreen: () => undefined,
    colour: false,
    now: () => 0,
    monotonicNow: () => 0,
    pause: async () => true,
  };
  return { terminal, heard };
}

function place(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-init-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'tandem.yaml');
}

/** Gives these lines, one after the other. */
function person(lines: readonly string[]): Asker {
  const left = [...lines];
  return { ask: async () => left.shift(), close: () => undefined };
}

test('the examples of its questions make a config that tandem check takes, by nat, dr and tun', t => {
  for (const forwarding of ['nat', 'dr', 'tun']) {
    const servers = forwarding === 'dr' ? '192.0.2.11,192.0.2.12' : NAT.servers;
    const parsed = parseConfig(firstConfig({ ...NAT, forwarding, servers: `${servers}` }));
    t.true(parsed.ok, JSON.stringify(parsed));
    if (parsed.ok) t.is(parsed.config.services.ftp?.forwarding as string, forwarding);
  }
});

test('it writes a file, says what comes next, and replaces none without --force', async t => {
  const file = place(t);
  const { terminal, heard } = listening();
  t.is(await init(terminal, file, { answers: NAT }, undefined), 0);
  t.regex(heard.err, /tandem keygen/);
  t.true(parseConfig(readFileSync(file, 'utf8')).ok);
  writeFileSync(file, 'mine');
  const refused = await t.throwsAsync(init(terminal, file, { answers: NAT }, undefined), { instanceOf: CliError });
  t.regex(refused?.message ?? '', /--force/);
  t.is(readFileSync(file, 'utf8'), 'mine');
  t.is(await init(terminal, file, { answers: NAT, force: true }, undefined), 0);
  t.not(readFileSync(file, 'utf8'), 'mine');
});

test('it asks for what no option says, again after a wrong answer, and takes what is usual for none', async t => {
  const { terminal, heard } = listening();
  const { vip: _, forwarding: __, ...said } = NAT;
  t.is(await init(terminal, '-', { answers: said }, person(['300.1.1.1', '192.0.2.77', ''])), 0);
  t.regex(heard.err, /"300\.1\.1\.1" is not one address/);
  t.regex(heard.out, /vip: 192\.0\.2\.77\n {4}servers_lan: servers/);
});

test('with nobody to ask, all that is missing is named as options', async t => {
  const { vip: _, gateway: __, ...said } = NAT;
  const error = await t.throwsAsync(init(listening().terminal, '-', { answers: said }, undefined), {
    instanceOf: CliError,
  });
  t.is(error?.exitCode, 2);
  t.regex(error?.message ?? '', /--vip 192\.0\.2\.100 --gateway 198\.51\.100\.1$/);
});

test('answers that do not fit together are told in the words of tandem check, and nothing is written', async t => {
  const { terminal, heard } = listening();
  t.is(await init(terminal, '-', { answers: { ...NAT, gateway: '203.0.113.1' } }, undefined), 1);
  t.regex(heard.err, /gateway 203\.0\.113\.1 is in no network/);
  t.is(heard.out, '');
});

test('each of its questions is an option of the command', t => {
  const program = fileURLToPath(new URL('../../program/tandem.js', import.meta.url));
  const help = execFileSync(process.execPath, [program, 'init', '--help'], { encoding: 'utf8', timeout: 60_000 });
  for (const { name } of QUESTIONS) t.regex(help, new RegExp(`--${name} <value>`));
});

test('an option that the other answers leave no place for is refused, not dropped', async t => {
  const { terminal, heard } = listening();
  const { 'servers-interface': _, 'servers-addresses': __, ...rest } = NAT;
  const answers = { ...rest, forwarding: 'dr', servers: '192.0.2.11,192.0.2.12' };
  const error = await t.throwsAsync(init(terminal, '-', { answers }, undefined), { instanceOf: CliError });
  t.is((error as CliError).exitCode, 2);
  t.regex(error?.message ?? '', /--gateway has no meaning with --forwarding dr/);
  t.is(heard.out, '');
});

test('a file that is there is told before the first question', async t => {
  const file = place(t);
  writeFileSync(file, 'mine');
  const asked: string[] = [];
  const asker: Asker = {
    ask: async question => {
      asked.push(question);
      return undefined;
    },
    close: () => undefined,
  };
  await t.throwsAsync(init(listening().terminal, file, { answers: {} }, asker), {
    message: /is there already; --force/,
  });
  t.deepEqual(asked, []);
});
