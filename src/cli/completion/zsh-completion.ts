// The completion of `tandem` for zsh: a file of fpath, or to be sourced after compinit. Pure.
import type { CommandWords, OptionWords, ProgramWords, ValueWords } from './command-words.ts';

export function zshCompletion({ options, commands }: ProgramWords): string {
  return `#compdef tandem
# Completion of tandem for zsh: made by \`tandem completion zsh\`, do not edit.
_tandem() {
  local curcontext=$curcontext state line
  local -a commands
  typeset -A opt_args
  _arguments -C \\
${options.flatMap(optionSpecs).map(indented).join('\n')}
    '1: :->command' \\
    '*:: :->rest'
  case $state in
    command)
      commands=(
${commands.map(({ name, about }) => `        '${name}:${quoted(about)}'`).join('\n')}
      )
      _describe -t commands 'tandem command' commands
      ;;
    rest)
      case $words[1] in
${commands.map(commandCase).join('\n')}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _tandem ]]; then
  _tandem "$@"
else
  compdef _tandem tandem
fi
`;
}

function commandCase({ name, options, arguments: places }: CommandWords): string {
  const specs = [
    ...options.flatMap(optionSpecs),
    ...places.map(place => `':${quoted(escaped(place.name))}:${action(place.words)}'`),
  ];
  return `        ${name}) _arguments ${specs.map(spec => `\\\n          ${spec}`).join(' ')} ;;`;
}

/** One for each way to write it; one of them rules the others out. */
function optionSpecs({ flags, about, value }: OptionWords): string[] {
  const others = flags.length > 1 ? `(${flags.join(' ')})` : '';
  const ending = value === undefined ? '' : `:${quoted(escaped(value.name))}:${action(value.words)}`;
  // --option VALUE and --option=VALUE
  const joined = (flag: string) => (value !== undefined && flag.startsWith('--') ? '=' : '');
  return flags.map(flag => `'${others}${flag}${joined(flag)}[${quoted(escaped(about))}]${ending}'`);
}

function action(words: ValueWords): string {
  if (words.kind === 'choice') return `(${words.choices.join(' ')})`;
  return words.kind === 'any' ? ' ' : words.kind === 'file' ? '_files' : '_files -/';
}

function escaped(text: string): string {
  return text.replace(/[\\[\]:]/g, '\\$&');
}

function quoted(text: string): string {
  return text.replaceAll("'", `'\\''`);
}

function indented(spec: string): string {
  return `    ${spec} \\`;
}
