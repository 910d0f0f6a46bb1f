import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { example } from '../texts/help.ts';
import { outputOption, type Run } from './options.ts';

/** Adds the command `secretbridge import …`. */
export function addImport(program: Command, context: Context, run: Run): void {
  program
    .command('import')
    .description('Convert the configuration of another tool.')
    .helpCommand(false)
    .addHelpText('after', example(['secretbridge import external-secrets --out imported.yaml']))
    .command('external-secrets')
    .description(
      'Convert ExternalSecrets and SecretStores to a configuration, and report what could not be carried over and how to migrate.',
    )
    .argument('[files...]', 'YAML or JSON files, `-` for standard input (default: read the current cluster)')
    .option('--out <path>', 'file for the configuration (default: standard output)')
    .option('--report <path>', 'file for the report, as JSON (default: text on standard error)')
    .option('--instance <name>', 'name of the installation', 'default')
    .option('--namespace <name>', 'namespace of objects without a namespace', 'default')
    .option('--own-namespace <name>', 'namespace in which the bridge runs', 'secretbridge')
    .option('--kubeconfig <path>', 'kubeconfig of the cluster to read')
    .option('--context <name>', 'context of the kubeconfig')
    .addOption(outputOption())
    .addHelpText(
      'after',
      example([
        'secretbridge import external-secrets --out imported.yaml',
        'kubectl get es,ss,css,ces -A -o yaml | secretbridge import external-secrets - --report report.json',
      ]),
    )
    .action((files: readonly string[], options) =>
      run(async () => (await import('../commands/import.ts')).importCommand(context, files, options)),
    );
}
