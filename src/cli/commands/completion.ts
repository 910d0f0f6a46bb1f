import { Argument, type Command, type Option } from 'commander';
import type { Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import type { Run } from '../options.ts';
import { pathOf, withHelp } from '../texts/help.ts';

export function addCompletion(program: Command, context: Context, run: Run): void {
  withHelp(program.command('completion'), {
    examples: [
      'source <(secretbridge completion bash)',
      'secretbridge completion fish > ~/.config/fish/completions/secretbridge.fish',
    ],
    more: 'bash: add `source <(secretbridge completion bash)` to ~/.bashrc. zsh: save the script as _secretbridge in a folder of $fpath. fish: save it as ~/.config/fish/completions/secretbridge.fish.',
    see: ['docs/reference/cli.md'],
  })
    .description('Print a shell completion script.')
    .addArgument(new Argument('<shell>', 'name of the shell').choices(Object.keys(SCRIPTS)))

    .action((shell: keyof typeof SCRIPTS) =>
      run(async () => {
        const all = specsOf(program).filter(({ path }) => path !== '/help');
        // The arguments of `help` are the names of the other commands.
        const help = all.map(({ path, commands }) => ({ path: `/help${path}`, commands, options: [] }));
        context.stdout.write(SCRIPTS[shell]([...all, ...help]));
        return EXIT.ok;
      }),
    );
}

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/**
 * The kind of value that an option or argument accepts. The shell cannot complete a `free` value, such as a mapping
 * name.
 */
type ValueSpec =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'files' }
  | { readonly kind: 'free'; readonly name: string };

interface OptionSpec {
  /** The long form, such as `--output`, and the short form if there is one, such as `-o`. */
  readonly flags: readonly string[];
  readonly about: string;
  /** Undefined for an option without a value. */
  readonly value?: ValueSpec;
}

interface CommandSpec {
  /** The names after the program name, such as `/audit/list`. Empty for the program itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly OptionSpec[];
  /** The first positional argument. */
  readonly words?: ValueSpec;
}

/** Returns every command in the order of the help, parents before their children. */
function specsOf(command: Command): readonly CommandSpec[] {
  const helper = command.createHelp();
  const children = helper.visibleCommands(command);
  const [argument] = command.registeredArguments;
  const path = pathOf(command);
  return [
    {
      path: path === '' ? '' : `/${path.replaceAll(' ', '/')}`,
      commands: children.map((child) => ({ name: child.name(), about: child.description() })),
      options: helper.visibleOptions(command).map(optionSpec),
      ...(argument === undefined ? {} : { words: valueSpec(argument.name(), argument.argChoices) }),
    },
    ...children.flatMap(specsOf),
  ];
}

function optionSpec({ short, long, description, required, optional, argChoices, flags }: Option): OptionSpec {
  const name = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? '';
  return {
    flags: [long, short].filter((flag) => flag != null),
    about: description,
    ...(required || optional ? { value: valueSpec(name, argChoices) } : {}),
  };
}

function valueSpec(name: string, choices: readonly string[] | undefined): ValueSpec {
  if (choices !== undefined) return { kind: 'choices', choices };
  return /\b(?:path|files?)\b/.test(name) ? { kind: 'files' } : { kind: 'free', name };
}

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

_secretbridge() {
  local at=
  local -a commands
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
    value.kind === 'choices' ? `-a ${quoted(value.choices.join(' '))}` : '-F';
  const argument = (value: ValueSpec): string =>
    value.kind === 'files' ? '-r -F' : value.kind === 'choices' ? `-x ${action(value)}` : '-x';
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

complete -c secretbridge -f
${lines.join('\n')}
`;
}
