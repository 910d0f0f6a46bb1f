import type { Command, Help } from 'commander';
import { buildProgram } from '../../src/cli/cli.ts';
import { helpContext } from './cli-page.ts';

/**
 * Returns `src/cli/overview.json`: the command list of the main help. With this file, the program prints the list
 * without loading the commands.
 */
export async function overview(): Promise<string> {
  const program = await buildProgram(helpContext([]), async () => undefined);
  const helper = program.createHelp();
  const made = {
    usage: helper.commandUsage(program),
    about: helper.commandDescription(program),
    groups: [...optionGroups(program, helper), ...commandGroups(program, helper)],
  };
  return `${JSON.stringify(made, null, 2)}\n`;
}

interface Group {
  readonly heading: string;
  readonly items: readonly { readonly term: string; readonly about: string }[];
}

function optionGroups(program: Command, helper: Help): readonly Group[] {
  const visible = helper.visibleOptions(program);
  const groups = helper.groupItems(
    [...program.options],
    visible,
    (option) => option.helpGroupHeading ?? 'Options:',
  );
  return [...groups].map(([heading, options]) => ({
    heading,
    items: options.map((option) => ({
      term: helper.optionTerm(option),
      about: helper.optionDescription(option),
    })),
  }));
}

function commandGroups(program: Command, helper: Help): readonly Group[] {
  const visible = helper.visibleCommands(program);
  const groups = helper.groupItems([...program.commands], visible, (command) => command.helpGroup());
  return [...groups].map(([heading, commands]) => ({
    heading,
    items: commands.map((command) => ({
      term: helper.subcommandTerm(command),
      about: helper.subcommandDescription(command),
    })),
  }));
}
