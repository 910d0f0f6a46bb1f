import type { Command, Option } from 'commander';
import { pathOf } from '../texts/help.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A value of an option or argument. */
export type ValueSpec =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'files' }
  /** A value that the shell cannot complete, such as a mapping name. */
  | { readonly kind: 'free'; readonly name: string };

export interface OptionSpec {
  /** The long form, such as `--output`, and the short form if there is one, such as `-o`. */
  readonly flags: readonly string[];
  readonly about: string;
  /** Undefined for an option without a value. */
  readonly value?: ValueSpec;
}

export interface CommandSpec {
  /** The command names after the program name. Empty for the program itself. */
  readonly path: readonly string[];
  readonly commands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly OptionSpec[];
  /** The first positional argument. */
  readonly words?: ValueSpec;
}

/** Returns every command in the order of the help, parents before their children. */
export function commandSpecs(program: Command): readonly CommandSpec[] {
  const all = collectSpecs(program).filter(({ path }) => path[0] !== 'help');
  return [...all, ...all.map(helpSpec)];
}

function collectSpecs(command: Command): readonly CommandSpec[] {
  const helper = command.createHelp();
  const children = helper.visibleCommands(command);
  const [argument] = command.registeredArguments;
  return [
    {
      path: wordsOf(command),
      commands: children.map((child) => ({ name: child.name(), about: child.description() })),
      options: helper.visibleOptions(command).map(optionSpec),
      ...(argument === undefined ? {} : { words: valueSpec(argument.name(), argument.argChoices) }),
    },
    ...children.flatMap(collectSpecs),
  ];
}

/** Returns the `help` command, whose arguments are the names of the other commands. */
function helpSpec({ path, commands }: CommandSpec): CommandSpec {
  return { path: ['help', ...path], commands, options: [] };
}

/** Returns a key such as `/audit/list`. The completion scripts use it to track the current command. */
export function pathKey({ path }: Pick<CommandSpec, 'path'>): string {
  return path.map((word) => `/${word}`).join('');
}

function wordsOf(command: Command): readonly string[] {
  const path = pathOf(command);
  return path === '' ? [] : path.split(' ');
}

function optionSpec(option: Option): OptionSpec {
  const { short, long, description, required, optional, argChoices, flags } = option;
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
