// The completion of `tandem` for fish: a file of vendor_completions.d, or to be sourced. Pure.
import type { CommandWords, OptionWords, ProgramWords, ValueWords } from './command-words.ts';

export function fishCompletion({ options, commands }: ProgramWords): string {
  return [
    '# Completion of tandem for fish: made by `tandem completion fish`, do not edit.',
    'complete -c tandem -f',
    ...options.map(option => `complete -c tandem -n __fish_use_subcommand ${optionSwitches(option)}`),
    ...commands.flatMap(commandLines),
    '',
  ].join('\n');
}

function commandLines({ name, about, options, arguments: places }: CommandWords): string[] {
  const within = `complete -c tandem -n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
  return [
    `complete -c tandem -n __fish_use_subcommand -a ${name} -d ${quoted(about)}`,
    ...options.map(option => `${within} ${optionSwitches(option)}`),
    ...places.flatMap(({ words }) => (words.kind === 'any' ? [] : [`${within} ${argumentSwitches(words)}`])),
  ];
}

function optionSwitches({ flags, about, value }: OptionWords): string {
  const names = flags.map(flag => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  return [...names, `-d ${quoted(about)}`, ...(value === undefined ? [] : [valueSwitches(value.words)])].join(' ');
}

function valueSwitches(words: ValueWords): string {
  if (words.kind === 'any') return '-x';
  return words.kind === 'file' ? '-r -F' : `-x ${argumentSwitches(words)}`;
}

function argumentSwitches(words: ValueWords): string {
  if (words.kind === 'choice') return `-a ${quoted(words.choices.join(' '))}`;
  return words.kind === 'directory' ? `-a '(__fish_complete_directories)'` : '-F';
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
