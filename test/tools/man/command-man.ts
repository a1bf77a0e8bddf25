// tandem(8) from commander's tree: each command with its options, exit codes and example. Pure.
import type { Command } from 'commander';
import { RUN_DIR, STATE_DIR } from '../../../src/feed/files.ts';
import { example, heading, type ManHead, manHead, manPage, paragraph, seeAlso, subheading, tagged } from './roff.ts';

const FILES: readonly (readonly [path: string, about: string])[] = [
  ['/etc/tandem/tandem.yaml', 'The config, the same on both routers: see tandem.yaml(5).'],
  ['/etc/tandem/pair.key', "The pair's key, mode 0600: `tandem keygen` makes it."],
  [RUN_DIR, 'Sockets of the daemons. The group tandem may read status and feed.'],
  [STATE_DIR, 'What outlives a restart: reserved epochs, a hold, the last decisions, drains, sessions.'],
];

export function commandManual(program: Command, head: Pick<ManHead, 'version' | 'date'>): string {
  const help = program.createHelp();
  const commands = help.visibleCommands(program).filter(command => command.name() !== 'help');
  return manPage([
    ...manHead({ ...head, name: program.name(), section: '8', about: 'keeps an FTP service alive across two routers' }),
    heading('Synopsis'),
    ...commands.flatMap((command, at) => [...(at > 0 ? ['.br'] : []), synopsis(command)]),
    heading('Description'),
    ...paragraph(`${program.description()}.`),
    ...paragraph(
      'Members of the group `tandem` may read; only root may change anything. `tandem COMMAND --help` says what is here, too.',
    ),
    heading('Commands'),
    ...commands.flatMap(commandSection),
    heading('Exit status'),
    ...exitCodes(after(program)),
    heading('Files'),
    ...FILES.flatMap(([path, about]) => tagged(path, about)),
    ...seeAlso('tandem.yaml(5)', 'tandem-events(7)', 'ipvsadm(8)', 'nft(8)', 'conntrack(8)', 'journalctl(1)'),
  ]);

  function commandSection(command: Command): string[] {
    const usage = help.commandUsage(command).replace(/^tandem /, '');
    return [
      subheading(usage),
      ...paragraph(sentence(command.description())),
      ...command.registeredArguments
        .filter(({ description }) => description !== '')
        .flatMap(argument => tagged(argument.name(), sentence(help.argumentDescription(argument)))),
      ...help
        .visibleOptions(command)
        .filter(({ long }) => long !== '--help')
        .flatMap(option => tagged(option.flags, sentence(help.optionDescription(option)))),
      ...afterwards(after(command)),
    ];
  }
}

function synopsis(command: Command): string {
  const [, name, rest] = /^(\S+) ?(.*)$/.exec(`${command.name()} ${command.usage()}`) ?? [];
  return `.B tandem ${escapeDashes(name ?? '')}\n${escapeDashes(rest ?? '')}`;
}

function escapeDashes(words: string): string {
  return words.replaceAll('-', '\\-');
}

/** What a command's --help says below its options. */
function after(command: Command): string {
  let said = '';
  const writeOut = (text: string) => {
    said += text;
  };
  command.configureOutput({ writeOut }).outputHelp();
  return said.slice(command.helpInformation().length).trim();
}

/** Paragraphs; lines from "Example: " on are an example, as far as they are indented like it. */
function afterwards(said: string): string[] {
  const lines = said === '' ? [] : said.split('\n');
  const out: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] as string;
    const shown = /^Example: (.*)$/.exec(line)?.[1];
    if (shown === undefined) {
      if (line !== '') out.push(...paragraph(line));
      continue;
    }
    const block = [shown];
    while (/^\s+\S/.test(lines[at + 1] ?? '')) block.push((lines[++at] as string).trim());
    out.push(...example(block));
  }
  return out;
}

/** "Exit codes: 0 done, 1 not so (mistakes, refused, failed), 2 usage …" */
function exitCodes(said: string): string[] {
  const codes = said.replace(/^Exit codes: /, '').split(/, (?=\d+ )/);
  return codes.flatMap(code => {
    const [, number = '', means = ''] = /^(\d+) (.*)$/.exec(code) ?? [];
    return tagged(number, sentence(means));
  });
}

/** With a capital and a stop. */
function sentence(said: string): string {
  return said === '' ? '' : `${said[0]?.toUpperCase()}${said.slice(1)}${/[.?]$/.test(said) ? '' : '.'}`;
}
