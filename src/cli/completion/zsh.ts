import { type CommandSpec, type OptionSpec, pathKey, type ValueSpec } from './command-spec.ts';

/**
 * Returns the completion script. It uses `_describe` for commands and `_arguments` for options:
 * https://zsh.sourceforge.io/Doc/Release/Completion-System.html
 */
export function zshScript(commands: readonly CommandSpec[]): string {
  const paths = commands.map(pathKey).filter((path) => path !== '');
  return `#compdef secretbridge
# Completion of secretbridge for zsh. Made by \`secretbridge completion zsh\`.

_secretbridge() {
  local at=
  local -a commands
  while (( CURRENT > 2 )); do
    case "$at/$words[2]" in
      (${paths.join('|')})
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
${commands.map(caseOf).join('\n')}
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

function caseOf({ path, commands, options, words }: CommandSpec): string {
  const specs = [...options.map(optionSpec), ...(words === undefined ? [] : [quoted(`*${actionOf(words)}`)])];
  const argumentsLine = `_arguments -s -S ${specs.join(' ')}`;
  const lines =
    commands.length === 0
      ? [argumentsLine]
      : [
          `commands=(${commands.map(({ name, about }) => quoted(`${colons(name)}:${colons(about)}`)).join(' ')})`,
          ...(options.length === 0
            ? ["_describe -t commands 'command' commands"]
            : [
                `if [[ $words[CURRENT] == -* ]]; then ${argumentsLine}`,
                "else _describe -t commands 'command' commands",
                'fi',
              ]),
        ];
  const body = specs.length === 0 && commands.length === 0 ? ['true'] : lines;
  return [`    ('${pathKey({ path })}')`, ...body.map((line) => `      ${line}`), '      ;;'].join('\n');
}

/**
 * Returns a specification such as `'*'{-o,--output=}'[output format]:format:(human json yaml)'`. `*` allows repetition,
 * which some options need.
 */
function optionSpec({ flags, about, value }: OptionSpec): string {
  const shown = flags.map((flag) => (value !== undefined && flag.startsWith('--') ? `${flag}=` : flag));
  const names = shown.length === 1 ? `${shown[0]}` : `{${shown.join(',')}}`;
  const text = `[${about.replace(/[[\]\\]/g, '\\$&')}]${value === undefined ? '' : actionOf(value)}`;
  return `'*'${names}${quoted(text)}`;
}

function actionOf(value: ValueSpec): string {
  switch (value.kind) {
    case 'choices':
      return `:value:(${value.choices.map(colons).join(' ')})`;
    case 'files':
      return ':file:_files';
    case 'free':
      return `:${colons(value.name)}: `;
  }
}

function colons(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
