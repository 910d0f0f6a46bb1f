import { arch, platform, versions } from 'node:process';
import type { Command } from 'commander';
import { nearest } from '../../core/nearest.ts';
import { type Context, type GlobalOptions, VERSION } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { outputOption, type Run } from '../options.ts';
import { withHelp } from '../texts/help.ts';
import { print } from '../texts/output.ts';

export function addVersion(program: Command, context: Context, run: Run): void {
  withHelp(program.command('version'), {
    examples: ['secretbridge version', 'secretbridge version --output json'],
    see: ['docs/reference/cli.md'],
  })
    .description('Print the versions of secretbridge and Node, and the platform.')
    .addOption(outputOption())

    .action((options: GlobalOptions) => run(async () => versionCommand(context, options)));
}

export function addHelp(program: Command, _context: Context, run: Run): void {
  withHelp(program.command('help'), { examples: ['secretbridge help plan', 'secretbridge help audit list'] })
    .description('Show the help of a command.')
    .argument('[command...]', 'name of the command')
    .action((words: readonly string[]) => run(async () => helpCommand(program, words)));
}

export function versionCommand(context: Context, { output }: GlobalOptions): number {
  const data = { version: VERSION, node: versions.node, platform, arch };
  print(context, output, {
    data,
    human: () => `secretbridge ${VERSION}\nNode ${versions.node} on ${platform} (${arch})`,
  });
  return EXIT.ok;
}

export function helpCommand(program: Command, words: readonly string[]): number {
  let found = program;
  for (const word of words) {
    const next = found.commands.find((command) => command.name() === word);
    if (next === undefined) throw new UsageError(unknownCommand(found, word));
    found = next;
  }
  found.outputHelp();
  return EXIT.ok;
}

function unknownCommand(within: Command, word: string): string {
  const names = within.commands.map((command) => command.name());
  const near = nearest(word, names);
  const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
  return `there is no command ${JSON.stringify(word)}${hint}`;
}
