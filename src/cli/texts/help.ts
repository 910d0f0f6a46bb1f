import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { styleText } from 'node:util';
import type { Command, Help, HelpConfiguration, Option } from 'commander';
import { largest } from '../../core/lists.ts';

/** The help texts of a command, besides its description and options. */
export interface HelpTexts {
  readonly examples: readonly string[];
  /** The second paragraph of the description. */
  readonly more?: string;
  /** The exit codes that scripts can rely on. */
  readonly exits?: readonly (readonly [code: number, meaning: string])[];
  /** Output formats, besides those of all commands. */
  readonly formats?: readonly string[];
  /** Related commands and documentation pages. */
  readonly see?: readonly string[];
}

export const INVALID_CONFIG = [3, 'the configuration is invalid'] as const;
export const RETRYABLE = [1, 'a temporary failure: run it again'] as const;
export const NEEDS_PERSON = [
  4,
  'a person must act: something was refused, is held, or failed permanently',
] as const;

/** The texts for the program as a whole. */
export const PROGRAM_HELP = {
  examples: ['secretbridge validate --config secretbridge.yaml', 'secretbridge plan', 'secretbridge sync'],
  more: '`secretbridge help COMMAND` describes a command. No command prints secret values.',
  see: ['docs/tutorials/first-sync.md', 'docs/reference/cli.md'],
} satisfies HelpTexts;

const helpTexts = new WeakMap<Command, HelpTexts>();

/** Adds the help texts of a command. Users can copy the examples as they are printed. */
export function withHelp(command: Command, texts: HelpTexts): Command {
  helpTexts.set(command, texts);
  return command.addHelpText('after', () => `\n${exampleText(texts.examples, widthOf(command))}`);
}

export function helpTextsOf(command: Command): HelpTexts | undefined {
  return helpTexts.get(command);
}

/** The heading of the common options. They are listed after the command's own options. */
export const COMMON = 'Common options:';

/** Groups of commands by purpose, in the order of the help. Commands without a group come last, under `Commands:`. */
export const GROUPS: readonly (readonly [heading: string, commands: readonly string[]])[] = [
  ['Get started:', ['init', 'validate', 'doctor']],
  ['Inspect:', ['plan', 'status', 'explain', 'explain-error', 'kubectl']],
  ['Change:', ['sync', 'serve', 'release', 'prune', 'rollback', 'unpin', 'approvals']],
  ['Audit:', ['audit']],
  ['Sign in to a service:', ['login', 'logout', 'whoami']],
  ['Set up and migrate:', ['rbac', 'import']],
  ['Other:', ['completion', 'config-schema', 'version', 'help']],
];

/**
 * The maximum width of the column of terms. The description of a wider term starts on the next line. This limit leaves
 * enough space for the descriptions.
 */
const MAX_TERM_WIDTH = 26;
/** The maximum width of the help. Longer lines are hard to read, even on wide terminals. */
const MAX_HELP_WIDTH = 120;
/** The help of an option shows at most this many values. */
const MAX_LISTED_CHOICES = 20;
/** The minimum width for wrapping. On a narrower terminal, lines are longer than the terminal. */
export const MIN_WRAP_WIDTH = 20;

export function helpWidth(terminal: number): number {
  return Math.min(terminal, MAX_HELP_WIDTH);
}

/**
 * Returns the settings for commander's help. The help is always formatted in color; commander removes the colors if the
 * terminal has none.
 */
export function helpFormat(): HelpConfiguration {
  return {
    minWidthToWrap: MIN_WRAP_WIDTH,
    styleTitle: heading,
    styleOptionTerm: term,
    styleArgumentTerm: term,
    styleSubcommandTerm: term,
    subcommandTerm: (command) =>
      [command.name(), ...command.registeredArguments.map((argument) => usageOf(argument))].join(' '),
    commandDescription: (command) =>
      [command.description(), helpTextsOf(command)?.more].filter((part) => part !== undefined).join('\n\n'),
    optionDescription,
    argumentDescription: ({ description, argChoices = [] }) =>
      withDetails(
        description,
        argChoices.length === 0 || argChoices.length > MAX_LISTED_CHOICES ? [] : [argChoices.join(', ')],
      ),
    padWidth: (command, helper) => columnWidth(termsOf(command, helper)),
    formatItem: (item, width, description, helper) =>
      formatItem(
        { item, shown: helper.displayWidth(item), width, helpWidth: helper.helpWidth ?? 80 },
        (room) => helper.boxWrap(description, room),
      ),
    groupItems: (all, visible, groupOf) => {
      // If `--help` is the only common option, no separate heading is needed.
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
  /** The term with its color codes. */
  readonly item: string;
  /** The width of the term without its color codes. */
  readonly shown: number;
  /** The width of the column of terms. */
  readonly width: number;
  readonly helpWidth: number;
}

/** Returns the width of a column that contains these terms. */
export function columnWidth(terms: readonly string[]): number {
  return Math.max(0, largest(terms.map(({ length }) => (length > MAX_TERM_WIDTH ? 0 : length))));
}

/** @param wrap Breaks the description into lines of at most the given width. */
export function formatItem({ item, shown, width, helpWidth }: Item, wrap: (room: number) => string): string {
  const indent = width + 4;
  const lines = wrap(Math.max(helpWidth - indent, MIN_WRAP_WIDTH)).split('\n');
  const [first = '', ...rest] = shown > width ? ['', ...lines] : lines;
  const head = `  ${item}${' '.repeat(Math.max(width - shown, 0))}  ${first}`.trimEnd();
  return [head, ...rest.map((line) => `${' '.repeat(indent)}${line}`)].join('\n');
}

/** Sorts the commands into groups, and adds exit codes and related pages to each help text. */
export function decorateHelp(program: Command): void {
  for (const parent of [program, ...program.commands])
    if (parent.commands.length > 0) parent.usage('<command> [options]');
  for (const [heading, names] of GROUPS)
    for (const name of names) program.commands.find((command) => command.name() === name)?.helpGroup(heading);
  program.addHelpText('afterAll', ({ command }) => notesText(command));
}

export function exampleText(lines: readonly string[], width: number): string {
  const title = heading(`Example${lines.length === 1 ? '' : 's'}:`);
  return [title, ...lines.map((line) => wrapExample(line, width))].join('\n');
}

/** Splits a long command line into several lines that end with a backslash. */
function wrapExample(line: string, width: number): string {
  const lines: string[] = [];
  let current = '  ';
  for (const part of line.split(/ (?=--|[|>] )/)) {
    const longer = `${current}${current.trim() === '' ? '' : ' '}${part}`;
    if (current.trim() !== '' && longer.length > width - 2) {
      lines.push(`${current} \\`);
      current = `      ${part}`;
    } else current = longer;
  }
  return [...lines, current].join('\n');
}

function widthOf(command: Command): number {
  return command.configureOutput().getOutHelpWidth?.() ?? 80;
}

/** Returns the path of a command, such as `audit list`. Empty for the program itself. */
export function pathOf(command: Command): string {
  return command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trimStart();
}

function notesText(command: Command): string {
  const { exits = [], see = [] }: Partial<HelpTexts> = helpTextsOf(command) ?? {};
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
  const hasPages = see.some((entry) => entry.startsWith('docs/')) && existsSync(join(PACKAGE, 'docs'));
  return [
    heading('See also:'),
    wrap(see.join(', ')).replace(/^/gm, '  '),
    // A path stays on one line, so that it can be copied.
    ...(hasPages ? [`  The pages are in ${PACKAGE}`] : []),
  ].join('\n');
}

/** The folder of the package or checkout, which contains `docs`. */
const PACKAGE = resolve(import.meta.dirname, '../../..');

function optionDescription({ description, argChoices, defaultValue, required, optional }: Option): string {
  return withDetails(description, [
    ...(argChoices === undefined ? [] : [argChoices.join(', ')]),
    ...(defaultValue === undefined || !(required || optional) ? [] : [`default: ${String(defaultValue)}`]),
  ]);
}

function withDetails(description: string, more: readonly string[]): string {
  return more.length === 0 ? description : `${description} (${more.join('; ')})`;
}

function termsOf(command: Command, helper: Help): readonly string[] {
  return [
    ...helper.visibleCommands(command).map((child) => helper.subcommandTerm(child)),
    ...helper.visibleOptions(command).map((option) => helper.optionTerm(option)),
    ...helper.visibleArguments(command).map((argument) => helper.argumentTerm(argument)),
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
