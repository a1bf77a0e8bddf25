// What can be written on `tandem`'s command line, as plain data read from commander's tree: for the
// completion of each shell. Pure.
import type { Argument, Command, Option } from 'commander';

/** What may stand for a value. `any`: nothing that could be known here. */
export type ValueWords =
  | { readonly kind: 'file' | 'directory' | 'any' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] };

export interface OptionWords {
  /** As written: `-n`, `--last`. */
  readonly flags: readonly string[];
  readonly about: string;
  /** Absent: it takes no value. */
  readonly value?: { readonly name: string; readonly words: ValueWords };
}

export interface CommandWords {
  readonly name: string;
  readonly about: string;
  readonly options: readonly OptionWords[];
  /** Its arguments in their order. */
  readonly arguments: readonly { readonly name: string; readonly words: ValueWords }[];
}

export interface ProgramWords {
  /** Of `tandem` itself. */
  readonly options: readonly OptionWords[];
  readonly commands: readonly CommandWords[];
}

export function programWords(program: Command): ProgramWords {
  const help = program.createHelp();
  const commands = help.visibleCommands(program);
  const names = commands.map(command => command.name());
  return {
    options: help.visibleOptions(program).map(optionWords),
    commands: commands.map(command => ({
      name: command.name(),
      about: command.description(),
      options: command.name() === 'help' ? [] : help.visibleOptions(command).map(optionWords),
      arguments: command.registeredArguments.map(argument => ({
        name: argument.name(),
        words: command.name() === 'help' ? { kind: 'choice', choices: names } : valueWords(argument.name(), argument),
      })),
    })),
  };
}

function optionWords(option: Option): OptionWords {
  const flags = [option.short, option.long].filter(flag => flag !== undefined);
  const { description: about } = option;
  if (!option.required && !option.optional) return { flags, about };
  const name = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? 'value';
  return { flags, about, value: { name, words: valueWords(name, option) } };
}

/** The names of placeholders say what they stand for: `<file>`, `[peer-file]`, `<dir>`. */
function valueWords(name: string, { argChoices: choices }: Option | Argument): ValueWords {
  if (choices !== undefined) return { kind: 'choice', choices };
  if (/(^|-)file$/.test(name)) return { kind: 'file' };
  return { kind: /(^|-)dir$/.test(name) ? 'directory' : 'any' };
}
