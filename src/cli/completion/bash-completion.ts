// The completion of `tandem` for bash, as a script that needs no bash-completion package. Pure.
import type { CommandWords, OptionWords, ProgramWords, ValueWords } from './command-words.ts';

export function bashCompletion({ options, commands }: ProgramWords): string {
  const first = [...commands.map(({ name }) => name), ...options.flatMap(({ flags }) => flags)];
  return `# Completion of tandem for bash: made by \`tandem completion bash\`, do not edit.
_tandem() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]}
  local valued='' options='' words='' kind=choice at=0 i
  COMPREPLY=()
  # --option=value comes as three words.
  if [[ $cur == = ]]; then
    cur=''
  elif [[ $before == = ]]; then
    before=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W '${first.join(' ')}' -- "$cur")
    return
  fi
  case $command in
${commands.map(optionsCase).join('\n')}
    *) return ;;
  esac
  # How many arguments stand before this word.
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [[ " $valued " == *" \${COMP_WORDS[i]} "* ]]; then
      [[ \${COMP_WORDS[i + 1]} != = ]] || ((i++))
      ((i++))
    elif [[ \${COMP_WORDS[i]} != -* ]]; then
      ((at++))
    fi
  done
  if [[ " $valued " == *" $before "* ]]; then
    case "$command $before" in
${commands.flatMap(valueCases).join('\n')}
      *) kind=any ;;
    esac
  elif [[ $cur == -* ]]; then
    words=$options
  else
    case "$command $at" in
${commands.flatMap(argumentCases).join('\n')}
      *) kind=any ;;
    esac
  fi
  case $kind in
    choice) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
    file) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    directory) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
  esac
}
complete -F _tandem tandem
`;
}

function optionsCase({ name, options }: CommandWords): string {
  const flagsOf = (some: readonly OptionWords[]) => some.flatMap(({ flags }) => flags).join(' ');
  const valued = flagsOf(options.filter(({ value }) => value));
  return `    ${name}) valued='${valued}' options='${flagsOf(options)}' ;;`;
}

function valueCases({ name, options }: CommandWords): string[] {
  return options.flatMap(({ flags, value }) => {
    if (value === undefined || value.words.kind === 'any') return [];
    return [`      ${flags.map(flag => `'${name} ${flag}'`).join(' | ')}) ${assignment(value.words)} ;;`];
  });
}

function argumentCases({ name, arguments: places }: CommandWords): string[] {
  return places.flatMap(({ words }, at) =>
    words.kind === 'any' ? [] : [`      '${name} ${at}') ${assignment(words)} ;;`],
  );
}

function assignment(words: ValueWords): string {
  return words.kind === 'choice' ? `words='${words.choices.join(' ')}'` : `kind=${words.kind}`;
}
