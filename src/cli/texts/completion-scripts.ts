/** Names in the configuration, which `secretbridge complete` prints. */
export type NameKind = 'mappings' | 'namespaces' | 'stores';

/** The kind of value that an option or argument accepts. The shell cannot complete a `free` value, such as a time. */
export type ValueSpec =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'names'; readonly of: NameKind }
  | { readonly kind: 'files' }
  | { readonly kind: 'free'; readonly name: string };

export interface OptionSpec {
  /** The long form, such as `--output`, and the short form if there is one, such as `-o`. */
  readonly flags: readonly string[];
  readonly about: string;
  /** Undefined for an option without a value. */
  readonly value?: ValueSpec;
}

export interface CommandSpec {
  /** The names after the program name, such as `/audit/list`. Empty for the program itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly OptionSpec[];
  /** The first positional argument. */
  readonly words?: ValueSpec;
}

export const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** Returns the paths of all commands as alternatives of a shell pattern. */
function pathPattern(specs: readonly CommandSpec[], separator: string): string {
  return specs
    .map(({ path }) => path)
    .filter((path) => path !== '')
    .join(separator);
}

/**
 * Returns a completion script for bash 3.2 (macOS) and newer. The script uses neither associative arrays nor `mapfile`,
 * because bash 3.2 has neither.
 */
function bashScript(specs: readonly CommandSpec[]): string {
  const { valueCases, wordCases } = bashCases(specs);
  return `# Completion of secretbridge for bash. Made by \`secretbridge completion bash\`.

_secretbridge_words() {
  local word
  while IFS= read -r word; do
    [[ -n $word ]] && COMPREPLY+=("$word")
  done < <(compgen -W "$1" -- "$cur")
}

_secretbridge_names() {
  _secretbridge_words "$("\${COMP_WORDS[0]/#\\~/$HOME}" complete "$1" -- "\${COMP_WORDS[@]:1}" 2>/dev/null)"
}

_secretbridge_files() {
  local file
  while IFS= read -r file; do
    COMPREPLY+=("$file")
  done < <(compgen -f -- "$cur")
  # It quotes what needs quotes, and puts a slash behind folders. Bash 3.2 has none.
  type compopt >/dev/null 2>&1 && compopt -o filenames 2>/dev/null
}

_secretbridge() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} at= i
  COMPREPLY=()
  # Bash makes three words of --option=value.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $before == = ]]; then
    before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at/\${COMP_WORDS[i]}" in
      ${pathPattern(specs, ' | ')})
        at+="/\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $before" in
${valueCases.join('\n')}
  esac
  case "$at" in
${wordCases.join('\n')}
  esac
}

complete -F _secretbridge secretbridge
`;
}

function bashCases(specs: readonly CommandSpec[]) {
  const action = (value: ValueSpec): string =>
    value.kind === 'choices'
      ? `_secretbridge_words '${value.choices.join(' ')}'; `
      : value.kind === 'names'
        ? `_secretbridge_names ${value.of}; `
        : value.kind === 'files'
          ? '_secretbridge_files; '
          : '';
  const valueCases = specs.flatMap(({ path, options }) =>
    options.flatMap(({ flags, value }) => {
      const places = flags.map((flag) => `'${path} ${flag}'`).join(' | ');
      return value === undefined ? [] : [`    ${places}) ${action(value)}return ;;`];
    }),
  );
  const wordCases = specs.map(({ path, commands, options, words }) => {
    const names = commands.map(({ name }) => name).join(' ');
    const others = names === '' ? words && action(words) : `_secretbridge_words '${names}'`;
    const flags = options.flatMap((option) => option.flags).join(' ');
    const otherwise = others ? `; else ${others.replace(/; $/, '')}` : '';
    return `    '${path}') if [[ $cur == -* ]]; then _secretbridge_words '${flags}'${otherwise}; fi ;;`;
  });
  return { valueCases, wordCases };
}

/**
 * Returns a completion script for zsh. The script uses `_describe` for commands and `_arguments` for options:
 * https://zsh.sourceforge.io/Doc/Release/Completion-System.html
 */
function zshScript(specs: readonly CommandSpec[]): string {
  const cases = specs.map(zshCase).join('\n');
  return `#compdef secretbridge
# Completion of secretbridge for zsh. Made by \`secretbridge completion zsh\`.

_secretbridge_names() {
  local -a names
  names=(\${(f)"$("\${(Q)secretbridge_words[1]}" complete "$1" -- "\${(Q)secretbridge_words[@]:1}" 2>/dev/null)"})
  compadd -a names
}

_secretbridge() {
  local at=
  local -a commands secretbridge_words
  secretbridge_words=("\${words[@]}")
  while (( CURRENT > 2 )); do
    case "$at/$words[2]" in
      (${pathPattern(specs, '|')})
        at+="/$words[2]"
        shift words
        (( CURRENT-- ))
        ;;
      (*)
        break
        ;;
    esac
  done
  case "$at" in
${cases}
  esac
}

# Autoloaded from a folder of $fpath, or sourced.
if [[ $funcstack[1] == _secretbridge ]]; then
  _secretbridge "$@"
else
  compdef _secretbridge secretbridge
fi
`;
}

function zshCase(spec: CommandSpec): string {
  return [`    ('${spec.path}')`, ...zshBody(spec).map((line) => `      ${line}`), '      ;;'].join('\n');
}

function zshBody({ commands, options, words }: CommandSpec): readonly string[] {
  const parts = [
    ...options.map(zshOption),
    ...(words === undefined ? [] : [zshQuoted(`*${zshAction(words)}`)]),
  ];
  const argumentsLine = `_arguments -s -S ${parts.join(' ')}`;
  if (commands.length === 0) return [parts.length === 0 ? 'true' : argumentsLine];
  const list = commands
    .map(({ name, about }) => zshQuoted(`${zshEscaped(name)}:${zshEscaped(about)}`))
    .join(' ');
  const describe = "_describe -t commands 'command' commands";
  return options.length === 0
    ? [`commands=(${list})`, describe]
    : [
        `commands=(${list})`,
        `if [[ $words[CURRENT] == -* ]]; then ${argumentsLine}`,
        `else ${describe}`,
        'fi',
      ];
}

/**
 * Returns an option in the syntax of `_arguments`, for example `'*'{-o,--output=}'[output format]:format:(human json
 * yaml)'`. `*` allows repetition.
 */
function zshOption({ flags, about, value }: OptionSpec): string {
  const shown = flags.map((flag) => (value !== undefined && flag.startsWith('--') ? `${flag}=` : flag));
  const names = shown.length === 1 ? `${shown[0]}` : `{${shown.join(',')}}`;
  return `'*'${names}${zshQuoted(`[${about.replace(/[[\]\\]/g, '\\$&')}]${value === undefined ? '' : zshAction(value)}`)}`;
}

function zshAction(value: ValueSpec): string {
  return value.kind === 'choices'
    ? `:value:(${value.choices.map(zshEscaped).join(' ')})`
    : value.kind === 'names'
      ? // Because of the space, zsh adds no arguments of its own.
        `:name: _secretbridge_names ${value.of}`
      : value.kind === 'files'
        ? ':file:_files'
        : `:${zshEscaped(value.name)}: `;
}

function zshQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function zshEscaped(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}

/** https://fishshell.com/docs/current/cmds/complete.html */
function fishScript(specs: readonly CommandSpec[]): string {
  /** In fish, single-quoted text allows only the escapes \\' and \\\\. */
  const quoted = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const action = (value: ValueSpec): string =>
    value.kind === 'choices'
      ? `-a ${quoted(value.choices.join(' '))}`
      : value.kind === 'names'
        ? `-a '(__secretbridge_names ${value.of})'`
        : '-F';
  const argument = (value: ValueSpec): string =>
    value.kind === 'files' ? '-r -F' : value.kind === 'free' ? '-x' : `-x ${action(value)}`;
  const flag = (name: string) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`);
  const lines = specs.flatMap(({ path, commands, options, words }) => {
    const start = `complete -c secretbridge -n '__secretbridge_at "${path}"'`;
    return [
      ...commands.map(({ name, about }) => `${start} -a ${name} -d ${quoted(about)}`),
      ...options.map(({ flags, about, value }) => {
        const parts = [...flags.map(flag), ...(value === undefined ? [] : [argument(value)])];
        return [start, ...parts, '-d', quoted(about)].join(' ');
      }),
      ...(words === undefined || words.kind === 'free' ? [] : [`${start} ${action(words)}`]),
    ];
  });
  return `# Completion of secretbridge for fish. Made by \`secretbridge completion fish\`.

# Whether the words before the cursor name this command.
function __secretbridge_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        switch "$at/$word"
            case ${pathPattern(specs, ' ')}
                set at "$at/$word"
        end
    end
    test "$at" = "$argv[1]"
end

function __secretbridge_names
    set -l words (commandline -opc)
    $words[1] complete $argv[1] -- $words[2..-1] 2>/dev/null
end

complete -c secretbridge -f
${lines.join('\n')}
`;
}
