import type { Command } from 'commander';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { collect, command, nonEmpty, type Run } from '../options.ts';
import { INVALID_CONFIG, NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { appDeps, requireConfig } from '../with-app.ts';
import { printImport, requireOutputs } from './import-output.ts';

interface MatchesOptions extends GlobalOptions {
  readonly store: string;
  readonly namespace: readonly string[];
  readonly path: string;
  readonly out?: string;
  readonly report?: string;
  readonly ownNamespace: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Adds the command `secretbridge import cluster`. */
export function addImportCluster(group: Command, context: Context, run: Run): void {
  command(group, 'cluster', 'Compare Secrets of the cluster with a store, and propose mappings.', {
    examples: [
      'secretbridge import cluster --config secretbridge.yaml --store vault --namespace shop --out proposed.yaml',
    ],
    more: 'The command reads with your rights, compares in memory and writes nothing to the cluster. It prints names, never a value. A value that is short or common proves nothing by itself.',
    exits: [
      [0, 'every Secret with a value from the store has a mapping'],
      INVALID_CONFIG,
      RETRYABLE,
      NEEDS_PERSON,
    ],
    see: ['plan', 'docs/how-to/adopt-existing-secrets.md'],
  })
    .requiredOption('--store <name>', 'store of the configuration to compare with', nonEmpty)
    .option('--namespace <name>', 'namespace to read; can be repeated', collect)
    .option('--path <path>', 'read only keys of the store below this path', '')
    .option('--out <path>', 'file for the mappings (default: standard output)')
    .option('--report <path>', 'file for the report, as JSON (default: text on standard error)')
    .option('--own-namespace <name>', 'namespace in which secretbridge runs', 'secretbridge')
    .option('--kubeconfig <path>', 'kubeconfig of the cluster to read')
    .option('--context <name>', 'context of the kubeconfig')
    .action((options) => run(async () => importClusterCommand(context, options)));
}

async function importClusterCommand(context: Context, options: MatchesOptions): Promise<number> {
  const { store, path, namespace: namespaces = [], kubeconfig, context: named, ownNamespace, out } = options;
  if (namespaces.length === 0) throw new UsageError('name the namespaces to read with --namespace');
  await requireOutputs(context, options);
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  if (!config.stores.some(({ name }) => name === store))
    throw new UsageError(`the configuration has no store ${JSON.stringify(store)}`);
  const { matchCluster } = await import('../../commands/match/run.ts');
  const { matches, unreadable } = await matchCluster(config, appDeps(context, options, config), {
    store,
    path,
    namespaces,
    kubeconfig,
    context: named,
    signal: context.signal,
  });
  const { proposeMappings } = await import('../../import/proposals.ts');
  const secrets = matches.map(({ live, owners, keys }) => ({
    namespace: live.id.namespace,
    name: live.id.secret,
    type: live.type,
    immutable: live.immutable,
    owners,
    keys,
  }));
  const result = proposeMappings(secrets, {
    store,
    ownNamespace,
    unreadable,
    ...(out === undefined ? {} : { out }),
  });
  await printImport(context, options, { result, texts: TEXTS });
  return result.needsPerson ? EXIT.person : EXIT.ok;
}

const TEXTS = {
  nothing: 'No Secrets were found.',
  others: 'Secrets without a value from the store:',
  notes: ['secretbridge keeps the bytes of each key, and adds its labels to the Secret.'],
};
