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
/** Nothing is broken into shorter lines. */
export const NARROWEST = 20;

export function helpWidth(terminal: number): number {
  return Math.min(terminal, WIDEST);
}

/** What commander's help looks like here. It is painted always: commander takes colours out where there are none. */
export function helpFormat(): HelpConfiguration {
  return {
    minWidthToWrap: NARROWEST,
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
    padWidth: (command, helper) => columnOf(termsOf(command, helper)),
    formatItem: (item, width, description, helper) =>
      formatItem(
        { item, shown: helper.displayWidth(item), width, helpWidth: helper.helpWidth ?? 80 },
        (room) => helper.boxWrap(description, room),
      ),
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

interface Item {
  /** As it is printed, painted. */
  readonly item: string;
  /** Its width without its paint. */
  readonly shown: number;
  /** Of the column of items. */
  readonly width: number;
  readonly helpWidth: number;
}

/** How wide the column of these terms is. */
export function columnOf(terms: readonly string[]): number {
  return Math.max(...terms.map(({ length }) => (length > WIDEST_TERM ? 0 : length)), 0);
}

/** @param wrap The description, in lines of at most that width. */
export function formatItem({ item, shown, width, helpWidth }: Item, wrap: (room: number) => string): string {
  const indent = width + 4;
  const lines = wrap(Math.max(helpWidth - indent, NARROWEST)).split('\n');
  const [first = '', ...rest] = shown > width ? ['', ...lines] : lines;
  const head = `  ${item}${' '.repeat(Math.max(width - shown, 0))}  ${first}`.trimEnd();
  return [head, ...rest.map((line) => `${' '.repeat(indent)}${line}`)].join('\n');
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
  return ({ command }) => `\n${exampleText(lines, widthOf(command))}`;
}

export function exampleText(lines: readonly string[], width: number): string {
  const title = heading(`Example${lines.length === 1 ? '' : 's'}:`);
  return [title, ...lines.map((line) => continued(line, width))].join('\n');
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
    see.length === 0 ? [] : [seeText(see, (text) => helper.boxWrap(text, width - 2))],
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => `\n${lines.join('\n')}`)
    .join('\n');
}

export function seeText(see: readonly string[], wrap: (text: string) => string): string {
  return `${heading('See also:')}\n${wrap(see.join(', ')).replace(/^/gm, '  ')}`;
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

export function heading(text: string): string {
  return styleText('bold', text, { validateStream: false });
}

export function term(text: string): string {
  return styleText('cyan', text, { validateStream: false });
}
