import { Argument, type Command, Option } from 'commander';
import { ERRORS } from '../../core/error-codes.ts';
import { SHELLS } from '../completion/command-spec.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { example } from '../texts/help.ts';
import { outputOption, type Run } from './options.ts';

/** Adds commands about the program itself. They need neither a configuration nor a service. */
export function addProgram(program: Command, context: Context, run: Run): void {
  addExplainError(program, context, run);
  addCompletion(program, context, run);
  addConfigSchema(program, context, run);
  addVersion(program, context, run);
  addHelp(program, run);
}

function addExplainError(program: Command, context: Context, run: Run): void {
  program
    .command('explain-error')
    .description('Explain an error code: what it means and what to do.')
    .addArgument(
      new Argument('[code]', 'error code, in upper or lower case (default: list all codes)')
        // The choices are only for completion. The command also accepts lower case, and suggests similar codes.
        .choices(Object.keys(ERRORS))
        .argParser((text: string) => text),
    )
    .addOption(outputOption())
    .addHelpText('after', example(['secretbridge explain-error NOT_OWNED', 'secretbridge explain-error']))
    .action((code: string | undefined, options: GlobalOptions) =>
      run(async () =>
        (await import('../commands/explain-error.ts')).explainErrorCommand(context, code, options),
      ),
    );
}

function addCompletion(program: Command, context: Context, run: Run): void {
  program
    .command('completion')
    .description('Print a shell completion script.')
    .addArgument(new Argument('<shell>', 'name of the shell').choices(SHELLS))
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
    .description('Print the JSON Schema of the configuration, for editors.')
    .addOption(new Option('--out <path>', 'file to write; an older version of the schema is replaced'))
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
    .description('Print the versions of secretbridge and Node, and the platform.')
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
    .argument('[command...]', 'name of the command')
    .addHelpText('after', example(['secretbridge help plan', 'secretbridge help audit list']))
    .action((words: readonly string[]) =>
      run(async () => (await import('../commands/help.ts')).helpCommand(program, words)),
    );
}
