import { Argument, type Command, Option } from 'commander';
import { SHELLS } from '../completion/shape.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { example } from '../texts/help.ts';
import { outputOption, type Run } from './command-line.ts';

/** Commands on the program itself: they need neither a configuration nor a service. */
export function addProgram(program: Command, context: Context, run: Run): void {
  addCompletion(program, context, run);
  addConfigSchema(program, context, run);
  addVersion(program, context, run);
  addHelp(program, run);
}

function addCompletion(program: Command, context: Context, run: Run): void {
  program
    .command('completion')
    .description('Print a script by which a shell completes commands, options and their values.')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      example([
        'source <(secretbridge completion bash)',
        'secretbridge completion fish > ~/.config/fish/completions/secretbridge.fish',
      ]),
    )
    .action((shell) =>
      run(async () => (await import('../commands/completion.ts')).completionCommand(context, program, shell)),
    );
}

function addConfigSchema(program: Command, context: Context, run: Run): void {
  program
    .command('config-schema')
    .description('Print the JSON Schema of the configuration, by which editors complete and check.')
    .addOption(new Option('--out <path>', 'file to write it to; an older one of ours is replaced'))
    .addHelpText(
      'after',
      example([
        'secretbridge config-schema --out secretbridge.schema.json',
        'secretbridge config-schema | jq .title',
      ]),
    )
    .action((options) =>
      run(async () => (await import('../commands/config-schema.ts')).configSchemaCommand(context, options)),
    );
}

function addVersion(program: Command, context: Context, run: Run): void {
  program
    .command('version')
    .description('Print the version, and what it runs on.')
    .addOption(outputOption())
    .addHelpText('after', example(['secretbridge version', 'secretbridge version --output json']))
    .action((options: GlobalOptions) =>
      run(async () => (await import('../commands/version.ts')).versionCommand(context, options)),
    );
}

function addHelp(program: Command, run: Run): void {
  program
    .command('help')
    .description('Show the help of a command.')
    .argument('[command...]', 'its words')
    .addHelpText('after', example(['secretbridge help plan', 'secretbridge help audit list']))
    .action((words: readonly string[]) =>
      run(async () => (await import('../commands/help.ts')).helpCommand(program, words)),
    );
}
