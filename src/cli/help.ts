import { styleText } from 'node:util';
import type { AddHelpTextContext, Command, Help, HelpConfiguration, Option } from 'commander';
import { NOTES, type Notes } from './help-notes.ts';

/** Of the options that nearly every command has: they come after the command's own. */
export const COMMON = 'Common options:';

/** The commands as a person looks for them, in this order; what stands in no group comes last, under `Commands:`. */
export const GROUPS: readonly (readonly [heading: string, commands: readonly string[]])[] = [
  ['Start:', ['init', 'validate', 'doctor']],
  ['Look:', ['plan', 'status', 'explain']],
  ['Change:', ['sync', 'serve', 'release', 'prune', 'rollback', 'unpin']],
  ['Audit:', ['audit']],
  ['Install and move:', ['rbac', 'import']],
  ['About the program:', ['completion', 'config-schema', 'version', 'help']],
];

/** Longer terms stand on a line of their own, so that descriptions keep their room. */
const WIDEST_TERM = 26;
/** Lines that are longer are hard to read, however wide the terminal is. */
const WIDEST = 120;

export function helpWidth(terminal: number): number {
  return Math.min(terminal, WIDEST);
}

/** What commander's help looks like here. It is painted always: commander takes colours out where there are none. */
export function helpFormat(): HelpConfiguration {
  return {
    minWidthToWrap: 20,
    styleTitle: heading,
    styleOptionTerm: term,
    styleArgumentTerm: term,
    styleSubcommandTerm: term,
    subcommandTerm: (command) =>
      [command.name(), ...command.registeredArguments.map((argument) => usageOf(argument))].join(' '),
    commandDescription: (command) =>
      [command.description(), notesOf(command)?.more].filter((part) => part !== undefined).join('\n\n'),
    optionDescription,
    argumentDescription: ({ description, argChoices = [] }) =>
      explained(description, argChoices.length === 0 ? [] : [argChoices.join(', ')]),
    padWidth: (command, helper) =>
      Math.max(...termsOf(command, helper).map((one) => (one.length > WIDEST_TERM ? 0 : one.length)), 0),
    formatItem(item, width, description, helper) {
      const indent = width + 4;
      const room = Math.max((helper.helpWidth ?? 80) - indent, 20);
      const lines = helper.boxWrap(description, room).split('\n');
      const shown = helper.displayWidth(item);
      const [first = '', ...rest] = shown > width ? ['', ...lines] : lines;
      const head = `  ${item}${' '.repeat(Math.max(width - shown, 0))}  ${first}`.trimEnd();
      return [head, ...rest.map((line) => `${' '.repeat(indent)}${line}`)].join('\n');
    },
    groupItems: (all, visible, groupOf) => {
      // `--help` alone needs no heading of its own.
      const isFew = visible.filter((item) => groupOf(item) === COMMON).length < 2;
      const headingOf = (item: (typeof visible)[number]) =>
        isFew && groupOf(item) === COMMON ? 'Options:' : groupOf(item);
      const groups = Map.groupBy(visible, headingOf);
      const order = [...new Set([...all.map(headingOf), ...groups.keys()])].filter((name) =>
        groups.has(name),
      );
      return new Map(
        order.toSorted((a, b) => rank(a) - rank(b)).map((name) => [name, groups.get(name) ?? []]),
      );
    },
  };
}

/** Puts commands into their groups, and says below each help what it ends with and where to read on. */
export function dressHelp(program: Command): void {
  for (const parent of [program, ...program.commands])
    if (parent.commands.length > 0) parent.usage('<command> [options]');
  for (const [heading, names] of GROUPS)
    for (const name of names) program.commands.find((it) => it.name() === name)?.helpGroup(heading);
  program.addHelpText('afterAll', ({ command }) => notesText(command));
}

/** A block below a help: commands that can be typed as they are. */
export function example(lines: readonly string[]): (context: AddHelpTextContext) => string {
  return ({ command }) => {
    const title = heading(`Example${lines.length === 1 ? '' : 's'}:`);
    return ['', title, ...lines.map((line) => continued(line, widthOf(command)))].join('\n');
  };
}

/** A long one goes on in the next line, as a shell takes it. */
function continued(line: string, width: number): string {
  const made: string[] = [];
  let current = '  ';
  for (const part of line.split(/ (?=--|[|>] )/)) {
    const longer = `${current}${current.trim() === '' ? '' : ' '}${part}`;
    if (current.trim() !== '' && longer.length > width - 2) {
      made.push(`${current} \\`);
      current = `      ${part}`;
    } else current = longer;
  }
  return [...made, current].join('\n');
}

function widthOf(command: Command): number {
  return command.configureOutput().getOutHelpWidth?.() ?? 80;
}

/** `audit list`; empty for the program itself. */
export function pathOf(command: Command): string {
  return command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trimStart();
}

function notesOf(command: Command): Notes | undefined {
  return NOTES[pathOf(command)];
}

function notesText(command: Command): string {
  const notes = notesOf(command);
  const { exits = [], see = [] } = notes ?? {};
  const width = widthOf(command);
  const helper = Object.assign(command.createHelp(), { helpWidth: width });
  const blocks = [
    exits.length === 0
      ? []
      : [
          heading('Exit codes:'),
          ...exits
            .toSorted(([a], [b]) => a - b)
            .map(([code, what]) => helper.formatItem(term(String(code)), 1, what, helper)),
        ],
    see.length === 0
      ? []
      : [heading('See also:'), helper.boxWrap(see.join(', '), width - 2).replace(/^/gm, '  ')],
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => `\n${lines.join('\n')}`)
    .join('\n');
}

function optionDescription({ description, argChoices, defaultValue, required, optional }: Option): string {
  return explained(description, [
    ...(argChoices === undefined ? [] : [argChoices.join(', ')]),
    ...(defaultValue === undefined || !(required || optional) ? [] : [`default: ${String(defaultValue)}`]),
  ]);
}

function explained(description: string, more: readonly string[]): string {
  return more.length === 0 ? description : `${description} (${more.join('; ')})`;
}

function termsOf(command: Command, helper: Help): readonly string[] {
  return [
    ...helper.visibleCommands(command).map((it) => helper.subcommandTerm(it)),
    ...helper.visibleOptions(command).map((it) => helper.optionTerm(it)),
    ...helper.visibleArguments(command).map((it) => helper.argumentTerm(it)),
  ];
}

function usageOf(argument: Command['registeredArguments'][number]): string {
  const shown = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${shown}>` : `[${shown}]`;
}

function rank(group: string): number {
  const at = GROUPS.findIndex(([heading]) => heading === group);
  if (at >= 0) return at;
  return group === COMMON ? GROUPS.length + 1 : GROUPS.length;
}

function heading(text: string): string {
  return styleText('bold', text, { validateStream: false });
}

function term(text: string): string {
  return styleText('cyan', text, { validateStream: false });
}
