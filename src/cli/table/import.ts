import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { example } from '../texts/help.ts';
import { outputOption, type Run } from './command-line.ts';

/** `secretbridge import …` */
export function addImport(program: Command, context: Context, run: Run): void {
  program
    .command('import')
    .description('Make a configuration of what another tool uses.')
    .helpCommand(false)
    .addHelpText('after', example(['secretbridge import external-secrets --out imported.yaml']))
    .command('external-secrets')
    .description(
      'Make a configuration of ExternalSecrets and SecretStores, and report what could not be carried over, and how to move.',
    )
    .argument('[files...]', 'YAML or JSON, `-` for the standard input; none: the current cluster')
    .option('--out <path>', 'file to write the configuration to; else it is printed')
    .option('--report <path>', 'file to write the report to, as JSON; else it is printed on stderr')
    .option('--instance <name>', 'name of the installation', 'default')
    .option('--namespace <name>', 'namespace of objects that name none', 'default')
    .option('--own-namespace <name>', 'namespace that the bridge runs in', 'secretbridge')
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
