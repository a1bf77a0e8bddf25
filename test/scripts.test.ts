// Every script says how it is used, and refuses what it does not know before it does anything.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'ava';

const BENCHMARKS = ['failover', 'gate', 'stall', 'nanny', 'scale', 'sync', 'lab'];
const SCRIPTS = readdirSync('scripts', { withFileTypes: true })
  .filter(entry => entry.isFile() && entry.name !== 'lib.sh')
  .map(({ name }) => name);
const COMMANDS = [...SCRIPTS.map(name => [name]), ...BENCHMARKS.map(name => ['bench', name])];
/** Their programs judge what they are given: one is built first, the other wants root. */
const JUDGED_LATER = ['fuzz', 'bench failover'];

function run([script, ...args]: readonly string[], option: string) {
  const { status, stdout, stderr } = spawnSync(`scripts/${script}`, [...args, option], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

for (const command of COMMANDS)
  test(`scripts/${command.join(' ')} --help says how it is used`, t => {
    const { status, stdout, stderr } = run(command, '--help');
    t.is(status, 0);
    t.regex(stdout, new RegExp(`^usage: scripts/${command.join(' ')}\\b`, 'i'));
    t.is(stderr, '');
  });

for (const command of COMMANDS.filter(command => !JUDGED_LATER.includes(command.join(' '))))
  test(`scripts/${command.join(' ')} ends with 64 on an option that it does not know`, t => {
    const { status, stdout, stderr } = run(command, '--nonsense');
    t.is(status, 64);
    t.is(stdout, '');
    t.regex(stderr, /usage|--nonsense/);
  });

test('an option without its value ends with 64', t => {
  const { status, stderr } = run(['test'], '--only');
  t.is(status, 64);
  t.regex(stderr, /--only needs a value/);
});

test('scripts/bench --help names the seven, and without a name it is not content', t => {
  const { stdout } = run(['bench'], '--help');
  t.deepEqual(
    [...stdout.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(match => match[1]),
    BENCHMARKS,
  );
  t.is(spawnSync('scripts/bench').status, 64);
});

test('every program that a script starts is there', t => {
  const texts = [...SCRIPTS.map(name => `scripts/${name}`), 'test/lab/lab'].map(file => readFileSync(file, 'utf8'));
  const programs = texts.flatMap(text => [...text.matchAll(/dist\/((?:src|test)\/[\w/-]+)\.js/g)]);
  t.true(programs.length > 10);
  t.deepEqual(
    programs.map(([, path]) => `${path}.ts`).filter(file => !existsSync(file)),
    [],
  );
});
