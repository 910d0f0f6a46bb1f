import { type CommandSpec, pathKey, type ValueSpec } from './command-spec.ts';

/** https://fishshell.com/docs/current/cmds/complete.html */
export function fishScript(specs: readonly CommandSpec[]): string {
  const paths = specs.map(pathKey).filter((path) => path !== '');
  return `# Completion of secretbridge for fish. Made by \`secretbridge completion fish\`.

# Whether the words before the cursor name this command.
function __secretbridge_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        switch "$at/$word"
            case ${paths.join(' ')}
                set at "$at/$word"
        end
    end
    test "$at" = "$argv[1]"
end

complete -c secretbridge -f
${specs.flatMap(completeLines).join('\n')}
`;
}

function completeLines({ path, commands, options, words }: CommandSpec): readonly string[] {
  const start = `complete -c secretbridge -n '__secretbridge_at "${pathKey({ path })}"'`;
  return [
    ...commands.map(({ name, about }) => `${start} -a ${name} -d ${quoted(about)}`),
    ...options.map(({ flags, about, value }) =>
      [
        start,
        ...flags.map(flagOf),
        ...(value === undefined ? [] : [optionArgument(value)]),
        '-d',
        quoted(about),
      ].join(' '),
    ),
    ...(words === undefined || words.kind === 'free' ? [] : [`${start} ${candidates(words)}`]),
  ];
}

function flagOf(flag: string): string {
  return flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`;
}

function optionArgument(value: ValueSpec): string {
  return value.kind === 'files' ? '-r -F' : value.kind === 'choices' ? `-x ${candidates(value)}` : '-x';
}

function candidates(value: ValueSpec): string {
  return value.kind === 'choices' ? `-a ${quoted(value.choices.join(' '))}` : '-F';
}

/** In fish, single-quoted text allows the escapes \\' and \\\\. */
function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
