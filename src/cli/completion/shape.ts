import type { Command, Option } from 'commander';
import { pathOf } from '../texts/help.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What can stand in a place of a command line. */
export type Value =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'files' }
  /** What no shell can know, such as the name of a mapping. */
  | { readonly kind: 'free'; readonly name: string };

export interface OptionShape {
  /** `--output`, and `-o` where there is one. */
  readonly flags: readonly string[];
  readonly about: string;
  /** None of a switch. */
  readonly value?: Value;
}

export interface CommandShape {
  /** Its words behind the program's; none of the program itself. */
  readonly path: readonly string[];
  readonly commands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly OptionShape[];
  /** What may follow the options. */
  readonly words?: Value;
}

/** Every command, parents before their children, as the help has them. */
export function shapesOf(program: Command): readonly CommandShape[] {
  const all = walk(program).filter(({ path }) => path[0] !== 'help');
  return [...all, ...all.map(helpOf)];
}

function walk(command: Command): readonly CommandShape[] {
  const helper = command.createHelp();
  const children = helper.visibleCommands(command);
  const [argument] = command.registeredArguments;
  return [
    {
      path: wordsOf(command),
      commands: children.map((child) => ({ name: child.name(), about: child.description() })),
      options: helper.visibleOptions(command).map(optionOf),
      ...(argument === undefined ? {} : { words: kindOf(argument.name(), argument.argChoices) }),
    },
    ...children.flatMap(walk),
  ];
}

/** `help` is followed by the words of any command. */
function helpOf({ path, commands }: CommandShape): CommandShape {
  return { path: ['help', ...path], commands, options: [] };
}

/** `/audit/list`: how the scripts keep where they are. */
export function place({ path }: Pick<CommandShape, 'path'>): string {
  return path.map((word) => `/${word}`).join('');
}

function wordsOf(command: Command): readonly string[] {
  const path = pathOf(command);
  return path === '' ? [] : path.split(' ');
}

function optionOf(option: Option): OptionShape {
  const { short, long, description, required, optional, argChoices, flags } = option;
  const name = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? '';
  return {
    flags: [long, short].filter((flag) => flag != null),
    about: description,
    ...(required || optional ? { value: kindOf(name, argChoices) } : {}),
  };
}

function kindOf(name: string, choices: readonly string[] | undefined): Value {
  if (choices !== undefined) return { kind: 'choices', choices };
  return /\b(?:path|files?)\b/.test(name) ? { kind: 'files' } : { kind: 'free', name };
}
