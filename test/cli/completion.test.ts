// The completion scripts, loaded into the shells that they are for, and asked as a key press would: bash, zsh and fish
// (scripts/setup installs them).
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { bashCompletion } from '../../src/cli/completion/bash-completion.ts';
import { programWords } from '../../src/cli/completion/command-words.ts';
import { fishCompletion } from '../../src/cli/completion/fish-completion.ts';
import { zshCompletion } from '../../src/cli/completion/zsh-completion.ts';
import { processTerminal } from '../../src/cli/io/terminal.ts';
import { commands } from '../../src/cli/main.ts';

const run = promisify(execFile);
const PROGRAM = programWords(commands(processTerminal(), () => undefined));

/** A directory with a file and a directory to be found, and the script of one shell. */
function place(t: ExecutionContext, name: string, script: string): { directory: string; file: string } {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-completion-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const cwd = join(directory, 'here');
  mkdirSync(join(cwd, 'subdirectory'), { recursive: true });
  writeFileSync(join(cwd, 'some file.yaml'), '');
  const file = join(directory, name);
  writeFileSync(file, script);
  return { directory: cwd, file };
}

/** Words after `tandem`, the last one being completed, and all that is offered for it. */
const OFFERED: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
  [['hand'], ['handover']],
  [['re'], ['release', 'reload', 'replay']],
  [['why', '--l'], ['--last']],
  [
    ['server-config', 'ftp', '--for', ''],
    ['proftpd', 'pure-ftpd', 'vsftpd'],
  ],
  [
    ['import', 'l'],
    ['ldirectord.cf', 'lvs.cf'],
  ],
  [
    ['import', '--node', 'keepalived.conf', 'l'],
    ['ldirectord.cf', 'lvs.cf'],
  ],
  [['check', 'so'], ['some file.yaml']],
  [['status', '--run-dir', 's'], ['subdirectory']],
  [['hold', '--for', ''], []],
  [
    ['completion', ''],
    ['bash', 'fish', 'zsh'],
  ],
  [['help', 'drai'], ['drain']],
];

test('every command, option and choice of the program is known to the completion', t => {
  const names = PROGRAM.commands.map(({ name }) => name);
  t.true(names.length > 20);
  const drain = PROGRAM.commands.find(({ name }) => name === 'drain');
  t.deepEqual(
    drain?.options.flatMap(({ flags }) => flags).filter(flag => flag.startsWith('--d') || flag === '-h'),
    ['--deadline', '-h'],
  );
  for (const script of [bashCompletion(PROGRAM), zshCompletion(PROGRAM), fishCompletion(PROGRAM)]) {
    for (const { name, options } of PROGRAM.commands) {
      t.regex(script, new RegExp(`\\b${name}\\b`));
      for (const flag of options.flatMap(({ flags }) => flags)) t.true(script.includes(flag.replace(/^-+/, '')), flag);
    }
  }
});

test('bash offers commands, options, choices, files and directories', async t => {
  const { directory, file } = place(t, 'tandem.bash', bashCompletion(PROGRAM));
  const ask = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tandem 2> /dev/null
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const offered = async (words: readonly string[]) => {
    const { stdout } = await run('bash', ['--norc', '-c', ask, 'bash', file, 'tandem', ...words], { cwd: directory });
    return stdout
      .split('\n')
      .filter(line => line !== '')
      .sort();
  };
  for (const [words, wanted] of OFFERED) t.deepEqual(await offered(words), wanted, words.join(' '));
  // As bash itself parts these words.
  t.deepEqual(await offered(['status', '--run-dir', '=', 's']), ['subdirectory']);
  t.deepEqual(await offered(['server-config', '--for', '=']), ['proftpd', 'pure-ftpd', 'vsftpd']);
  t.deepEqual(await offered(['import', '--node', '=', 'x', 'l']), ['ldirectord.cf', 'lvs.cf']);
  t.deepEqual(await offered(['nonsense', '']), []);
});

test('fish offers the same, with what each is for', async t => {
  const { directory, file } = place(t, 'tandem.fish', fishCompletion(PROGRAM));
  const ask = async (line: string) => {
    const script = 'source $argv[1]; complete -C $argv[2]';
    const { stdout } = await run('fish', ['--no-config', '-c', script, file, line], {
      cwd: directory,
      env: { ...process.env, HOME: directory },
    });
    return stdout
      .split('\n')
      .filter(line => line !== '')
      .sort();
  };
  for (const [words, wanted] of OFFERED) {
    const lines = await ask(`tandem ${words.join(' ')}`);
    t.deepEqual(
      lines.map(line => (line.split('\t')[0] as string).replace(/\/$/, '')),
      wanted,
      words.join(' '),
    );
  }
  t.deepEqual(await ask('tandem releas'), ['release\tend a hold']);
});

/** Types each line of a file into an interactive zsh, presses Tab, and prints what stands there then. */
const ZSH = `
zmodload zsh/zpty zsh/zselect
export OUT=$2/line
zpty shell zsh -f -i
zpty -w shell "autoload -U compinit; compinit -u -D; source $1; cd $2/here; PS1=; unsetopt zle_bracketed_paste 2> /dev/null"
zpty -w shell 'tell() { print -r -- "$BUFFER|" > $OUT.next; mv $OUT.next $OUT; BUFFER=; }; zle -N tell; bindkey "^X^T" tell; bindkey "^I" complete-word'
for line in "\${@:3}"; do
  rm -f $OUT
  zpty -w -n shell "$line"$'\\t\\C-x\\C-t'
  for ((i = 0; i < 1000; i++)); do
    [[ ! -e $OUT ]] || break
    zpty -r -t shell said > /dev/null 2>&1
    zselect -t 3
  done
  cat $OUT
done
zpty -d shell
`;

test('zsh completes a command, an option, a choice, a file and a directory at a Tab', async t => {
  const { directory, file } = place(t, '_tandem', zshCompletion(PROGRAM));
  const lines = {
    'tandem hando': 'tandem handover |',
    'tandem why --la': 'tandem why --last=|',
    'tandem server-config ftp --for vs': 'tandem server-config ftp --for vsftpd |',
    'tandem import lv': 'tandem import lvs.cf |',
    'tandem check so': 'tandem check some\\ file.yaml |',
    'tandem status --run-dir=su': 'tandem status --run-dir=subdirectory/|',
    'tandem help dra': 'tandem help drain |',
    'tandem hold --for x': 'tandem hold --for x|',
  };
  const args = ['-f', '-c', ZSH, 'zsh', file, join(directory, '..'), ...Object.keys(lines)];
  const { stdout } = await run('zsh', args, { timeout: 50_000 });
  t.deepEqual(stdout.trimEnd().split('\n'), Object.values(lines));
});
