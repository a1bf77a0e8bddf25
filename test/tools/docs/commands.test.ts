// Every command block of README and of docs/operating: parsed by the command line's own tree, or run, or listed here with the reason why
// it cannot be run in this test and with the test that does. Every config of the cookbook is checked, and its servers' settings are made.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { Command } from 'commander';
import { commands } from '../../../src/cli/main.ts';
import { loadConfig } from '../../../src/config/io/load.ts';
import { serverConfig } from '../../../src/real-server/whole.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const CLI = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const OPERATING = join(ROOT, 'docs/operating');
const PAGES = [join(ROOT, 'README.md'), ...readdirSync(OPERATING).map(name => join(OPERATING, name))];

const page = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const blocksOf = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, block]) => block as string);

/** The commands of a block, each as its words. What stands behind a comment, in quotes or behind > is no command. */
function commandsOf(block: string): string[][] {
  const found: string[][] = [[]];
  const token =
    /\\\n|#[^\n]*|(&&|\|\||[;|\n])|>\s*[^\s;|&]+|((?:"[^"]*"|'[^']*'|<[^>\n]*>|[^\s"';|&>#]|(?<=\S)#)+)|[\s\S]/g;
  for (const [, end, word] of block.matchAll(token)) {
    if (end !== undefined) found.push([]);
    else if (word !== undefined) found.at(-1)?.push(word.replace(/^(["'])(.*)\1$/, '$2'));
  }
  return found.filter(words => words.length > 0 && words[0] !== '…');
}

/** Scripts that are shown whole are not commands to type. */
const typed = PAGES.flatMap(file =>
  blocksOf(readFileSync(file, 'utf8'), 'sh')
    .filter(block => !block.startsWith('#!'))
    .flatMap(commandsOf)
    .map(words => ({ file, words: words[0] === 'ssh' && words[2] === 'tandem' ? words.slice(2) : words })),
);

/** Not run here: why, and the test that runs it; undefined: none can. */
const ELSEWHERE: Readonly<Record<string, readonly [why: string, test: string | undefined]>> = {
  'apt-get': ['installs packages', 'test/install/scenarios.ts'],
  tar: ['unpacks Node.js into /usr/local', 'test/install/scenarios.ts'],
  git: ['fetches the repository', 'test/install/scenarios.ts'],
  cd: ['into it', 'test/install/scenarios.ts'],
  npm: ['fetches packages', 'test/install/scenarios.ts'],
  'scripts/build': ['builds', 'test/install/scenarios.ts'],
  'scripts/install': ['installs into /usr/local', 'test/install/scenarios.ts'],
  systemctl: ['needs systemd as process 1', 'test/install/scenarios.ts'],
  editor: ['needs a person', undefined],
  'scripts/demo': ['takes minutes and both processors', 'test/scripts.test.ts'],
  'scripts/test': ['is what runs this', 'test/scripts.test.ts'],
  curl: ['asks a daemon', 'test/netns/io/plane.ts'],
  journalctl: ['needs the journal of units', undefined],
  ping: ['needs the other router', 'test/netns/io/act.ts'],
  scp: ['needs the other router', undefined],
  ssh: ['needs another machine', undefined],
  install: ['writes to /etc', undefined],
  'systemd-run': ['needs systemd as process 1', undefined],
  sed: ['reads vsftpd’s unit', undefined],
  iptables: ['needs docker’s chain', undefined],
  jq: ['is no part of Tandem', undefined],
  sleep: ['waits', undefined],
};

test('every command of the pages is known here, and nothing is listed that no page has', t => {
  const first = [...new Set(typed.map(({ words }) => words[0] as string))].filter(word => word !== 'tandem');
  t.deepEqual(
    first.filter(word => !Object.hasOwn(ELSEWHERE, word)),
    [],
    'run it here, or say why not',
  );
  t.deepEqual(
    Object.keys(ELSEWHERE).filter(word => !first.includes(word)),
    [],
  );
  for (const [word, [, where]] of Object.entries(ELSEWHERE))
    t.true(where === undefined || existsSync(join(ROOT, where)), `${word}: ${where}`);
});

/** The command line's tree, doing nothing. */
function idle(): Command {
  const terminal = { out: () => undefined, err: () => undefined };
  const program = commands(terminal as never, () => undefined);
  const still = (command: Command): void => {
    command.action(() => undefined);
    command.commands.forEach(still);
  };
  program.commands.forEach(still);
  return program;
}

test('every tandem command of the pages has options and arguments that there are', async t => {
  const tandem = typed.filter(({ words }) => words[0] === 'tandem');
  t.true(tandem.length > 40, `${tandem.length}`);
  for (const { file, words } of tandem)
    await t.notThrowsAsync(idle().parseAsync(words.slice(1), { from: 'user' }), `${file}: ${words.join(' ')}`);
  await t.throwsAsync(idle().parseAsync(['status', '--colour'], { from: 'user' }));
  await t.throwsAsync(idle().parseAsync(['rotate-key', 'stop'], { from: 'user' }));
});

test('the words of a block are what a shell makes of them', t => {
  t.deepEqual(commandsOf('a --b "c d" \'e|f\' # g; h\ni <j k> && l \\\n  m > n; o\n…\n'), [
    ['a', '--b', 'c d', 'e|f'],
    ['i', '<j k>'],
    ['l', 'm'],
    ['o'],
  ]);
});

test('the config of the first failover is made, is right, and says what its servers need', t => {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-pages-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const [config, key] = [join(directory, 'tandem.yaml'), join(directory, 'pair.key')];
  const where: Readonly<Record<string, readonly string[]>> = {
    init: [config],
    keygen: [key],
    check: [config],
    'server-config': ['--config', config],
  };
  const ran = blocksOf(page('docs/operating/first-failover.md'), 'sh')
    .flatMap(commandsOf)
    .filter(([program, name]) => program === 'tandem' && Object.hasOwn(where, name as string))
    .map(([, name, ...args]) => {
      const out = execFileSync(process.execPath, [CLI, name as string, ...args, ...(where[name as string] ?? [])], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      return [name, String(out)] as const;
    });
  t.deepEqual(
    ran.map(([name]) => name),
    ['init', 'keygen', 'check', 'server-config'],
  );
  t.regex(ran[2]?.[1] ?? '', /: ok, router-a and router-b, 1 service, 0 warnings/);
  t.regex(ran[3]?.[1] ?? '', /pasv_min_port=10000/);
});

const recipes = page('docs/operating/cookbook.md')
  .split(/^## /m)
  .flatMap(section => blocksOf(section, 'yaml').map(yaml => [section.split('\n')[0] as string, yaml] as const));

for (const [title, yaml] of recipes)
  test(`cookbook, ${title}: without a mistake or a warning, and every server can be set up`, t => {
    const directory = mkdtempSync(join(tmpdir(), 'tandem-recipe-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'tandem.yaml');
    writeFileSync(file, yaml);
    const loaded = loadConfig(file);
    t.deepEqual(loaded.ok ? loaded.warnings : loaded.mistakes, []);
    if (!loaded.ok) return;
    for (const [service, { servers }] of Object.entries(loaded.config.services))
      for (const server of Object.keys(servers)) {
        const made = serverConfig(loaded.config, { service, daemon: 'proftpd', server });
        t.true(made.ok, `${service}/${server}: ${made.ok ? '' : made.problems}`);
      }
  });

test('the cookbook has a config for each kind of network', t => {
  t.is(recipes.length, 7);
});
