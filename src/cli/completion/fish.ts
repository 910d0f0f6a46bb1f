import { type CommandShape, place, type Value } from './shape.ts';

/** https://fishshell.com/docs/current/cmds/complete.html */
export function fishScript(shapes: readonly CommandShape[]): string {
  const places = shapes.map(place).filter((it) => it !== '');
  return `# Completion of secretbridge for fish. Made by \`secretbridge completion fish\`.

# Whether the words before the cursor name this command.
function __secretbridge_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        switch "$at/$word"
            case ${places.join(' ')}
                set at "$at/$word"
        end
    end
    test "$at" = "$argv[1]"
end

complete -c secretbridge -f
${shapes.flatMap(linesOf).join('\n')}
`;
}

function linesOf({ path, commands, options, words }: CommandShape): readonly string[] {
  const start = `complete -c secretbridge -n '__secretbridge_at "${place({ path })}"'`;
  return [
    ...commands.map(({ name, about }) => `${start} -a ${name} -d ${quoted(about)}`),
    ...options.map(({ flags, about, value }) =>
      [
        start,
        ...flags.map(flagOf),
        ...(value === undefined ? [] : [taking(value)]),
        '-d',
        quoted(about),
      ].join(' '),
    ),
    ...(words === undefined || words.kind === 'free' ? [] : [`${start} ${following(words)}`]),
  ];
}

function flagOf(flag: string): string {
  return flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`;
}

function taking(value: Value): string {
  return value.kind === 'files' ? '-r -F' : value.kind === 'choices' ? `-x ${following(value)}` : '-x';
}

function following(value: Value): string {
  return value.kind === 'choices' ? `-a ${quoted(value.choices.join(' '))}` : '-F';
}

/** In single quotes fish knows \\' and \\\\. */
function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
