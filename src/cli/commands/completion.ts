import { Argument, type Command, type Option } from 'commander';
import type { Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import type { Run } from '../options.ts';
import {
  type CommandSpec,
  type NameKind,
  type OptionSpec,
  SCRIPTS,
  type ValueSpec,
} from '../texts/completion-scripts.ts';
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
      ...(argument === undefined
        ? {}
        : {
            words: valueSpecOf(argument.name(), argument.name(), argument.argChoices),
          }),
    },
    ...children.flatMap(specsOf),
  ];
}

function optionSpec({ short, long, description, required, optional, argChoices, flags }: Option): OptionSpec {
  const name = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? '';
  return {
    flags: [long, short].filter((flag) => flag != null),
    about: description,
    ...(required || optional ? { value: valueSpecOf(long?.slice(2), name, argChoices) } : {}),
  };
}

/** The options and arguments whose values are names in the configuration. */
const NAMES: Readonly<Record<string, NameKind>> = {
  mapping: 'mappings',
  namespace: 'namespaces',
  store: 'stores',
};

/** @param name The name of the option or argument. @param value The name of its value. */
function valueSpecOf(name = '', value: string, choices: readonly string[] | undefined): ValueSpec {
  if (choices !== undefined) return { kind: 'choices', choices };
  const of = NAMES[name];
  if (of !== undefined) return { kind: 'names', of };
  return /\b(?:path|files?)\b/.test(value) ? { kind: 'files' } : { kind: 'free', name: value };
}
