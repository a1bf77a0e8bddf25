// `tandem completion`: prints the script by which a shell completes `tandem`'s own words.
import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../exit.ts';
import type { Terminal } from '../io/terminal.ts';
import { bashCompletion } from './bash-completion.ts';
import { programWords } from './command-words.ts';
import { fishCompletion } from './fish-completion.ts';
import { zshCompletion } from './zsh-completion.ts';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
export type Shell = keyof typeof SCRIPTS;

export function printCompletion(terminal: Terminal, program: Command, shell: Shell): ExitCode {
  terminal.out(SCRIPTS[shell](programWords(program)));
  return EXIT.ok;
}
