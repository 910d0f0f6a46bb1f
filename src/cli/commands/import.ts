import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type InputText, type Objects, readObjects } from '../../import/objects.ts';
import type { Tool } from '../../import/tool.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, fileError, UsageError } from '../errors.ts';
import { readStdin } from '../input.ts';
import { outputOption, type Run } from '../options.ts';
import { withHelp } from '../texts/help.ts';
import { painter, printNotice } from '../texts/output.ts';
import { problemsText } from '../texts/problems.ts';
import { addImportCluster } from './import-matches.ts';
import { printImport, requireOutputs } from './import-output.ts';

interface Definition {
  readonly name: string;
  /** The kinds of objects, for the description. */
  readonly kinds: string;
  /** A command that prints the objects of the cluster. */
  readonly list: string;
  readonly page: string;
  /** Options for settings that the tool takes from its own installation. */
  readonly defaults?: true;
  /** An option for files that are in no Secret. */
  readonly mountsFiles?: true;
}

/** The tools that can be imported. The definitions are here, because the converters load only when they are needed. */
const DEFINITIONS: readonly Definition[] = [
  {
    name: 'external-secrets',
    kinds: 'ExternalSecrets and SecretStores',
    list: 'kubectl get es,ss,css,ces -A -o yaml',
    page: 'docs/how-to/move-from-external-secrets.md',
  },
  {
    name: 'kubernetes-external-secrets',
    kinds: 'ExternalSecrets of kubernetes-external-secrets',
    list: 'kubectl get externalsecrets.kubernetes-client.io,deploy -A -o yaml',
    page: 'docs/how-to/move-from-kubernetes-external-secrets.md',
    defaults: true,
  },
  {
    name: 'secrets-store-csi',
    kinds: 'SecretProviderClasses for Azure, AWS and Vault',
    list: 'kubectl get secretproviderclass,deploy,sts,ds,sa -A -o yaml',
    page: 'docs/how-to/move-from-secrets-store-csi.md',
    defaults: true,
    mountsFiles: true,
  },
  {
    name: 'vault-secrets-operator',
    kinds: 'VaultStaticSecrets, their logins, connections and transformations',
    list: 'kubectl get vaultstaticsecret,vaultauth,vaultconnection -A -o yaml',
    page: 'docs/how-to/move-from-vault-secrets-operator.md',
  },
];

/** Adds the command `secretbridge import …`. */
export function addImport(program: Command, context: Context, run: Run): void {
  const group = withHelp(program.command('import'), {
    examples: ['secretbridge import external-secrets --out imported.yaml'],
    see: DEFINITIONS.map(({ page }) => page),
  })
    .description('Convert the configuration of another tool.')
    .helpCommand(false);
  for (const definition of DEFINITIONS) addTool(group, definition, { context, run });
  addImportCluster(group, context, run);
}

function addTool(
  group: Command,
  { name, kinds, list, page, defaults, mountsFiles }: Definition,
  { context, run }: { readonly context: Context; readonly run: Run },
): void {
  const command = withHelp(group.command(name), {
    examples: [
      `secretbridge import ${name} --out imported.yaml`,
      `${list} | secretbridge import ${name} - --report report.json`,
    ],
    more: 'The command only reads. The report shows the result for each object, and the steps of a migration that changes no byte of a Secret.',
    exits: [
      [0, 'everything was carried over'],
      [4, 'the report contains tasks for a person'],
    ],
    see: ['plan', page],
  })
    .description(
      `Convert ${kinds} to a configuration, and report what could not be carried over and how to migrate.`,
    )
    .argument('[files...]', 'YAML or JSON files, `-` for standard input (default: read the current cluster)')
    .option('--out <path>', 'file for the configuration (default: standard output)')
    .option('--report <path>', 'file for the report, as JSON (default: text on standard error)')
    .option('--instance <name>', 'name of the installation', 'default')
    .option('--namespace <name>', 'namespace of objects without a namespace', 'default')
    .option('--own-namespace <name>', 'namespace in which secretbridge runs', 'secretbridge')
    .option('--kubeconfig <path>', 'kubeconfig of the cluster to read')
    .option('--context <name>', 'context of the kubeconfig')
    .addOption(outputOption());
  if (defaults === true)
    command
      .option('--vault-address <url>', 'address of Vault, for objects that name none')
      .option('--region <name>', 'region of AWS, for objects that name none');
  if (mountsFiles === true)
    command.option('--mounted-files', 'write files that pods only mount to Secrets too');
  command.action((files: readonly string[], options) =>
    run(async () => importCommand(context, files, { ...options, tool: name })),
  );
}

export interface ImportOptions extends Pick<GlobalOptions, 'output'> {
  readonly out?: string;
  readonly report?: string;
  readonly instance: string;
  /** The namespace of objects that do not specify a namespace. */
  readonly namespace: string;
  readonly ownNamespace: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly vaultAddress?: string;
  readonly region?: string;
  readonly mountedFiles?: true;
  /** The name of the tool. */
  readonly tool: string;
}

/** The size limit of the input. Manifests are never larger than this. */
const MAX_BYTES = 64 * 1024 * 1024;

/** @param files File names, or `-` for standard input. Without any file, the current cluster is read. */
export async function importCommand(
  context: Context,
  files: readonly string[],
  options: ImportOptions,
): Promise<number> {
  const { Name, Namespace } = await import('../../config/shape/fields.ts');
  for (const [flag, name, schema, parts] of [
    ['--instance', options.instance, Name, 'a-z, 0-9, `-` and `.`'],
    ['--namespace', options.namespace, Namespace, 'a-z, 0-9 and `-`'],
    ['--own-namespace', options.ownNamespace, Namespace, 'a-z, 0-9 and `-`'],
  ] as const)
    if (!schema.safeParse(name).success)
      throw new UsageError(`${flag} must be a name of ${parts}, at most 63 characters`);
  await requireOutputs(context, options);
  const tool = await toolOf(options.tool);
  const objects =
    files.length === 0
      ? await readCurrentCluster(context, tool, options)
      : readObjects(await readFiles(context, files), options.namespace, tool.api);
  const { importVerified } = await import('../../import/verified.ts');
  const { vaultAddress, region, mountedFiles } = options;
  const { result, problems } = await importVerified(tool, objects, {
    ...options,
    defaults: {
      ...(vaultAddress === undefined ? {} : { vaultAddress }),
      ...(region === undefined ? {} : { region }),
      ...(mountedFiles === undefined ? {} : { mountedFiles }),
    },
  });
  const { group } = tool.api;
  const texts = {
    nothing: `No ${group} objects were found.`,
    others: `Other objects of ${group}, which are not carried over:`,
    notes: tool.notes,
  };
  await printImport(context, options, { result, texts });
  if (problems.length === 0) return result.needsPerson ? EXIT.person : EXIT.ok;
  printNotice(context, `\n${await problemsText(problems, painter(context.color))}`);
  return EXIT.config;
}

async function toolOf(name: string): Promise<Tool> {
  const { TOOLS } = await import('../../import/import.ts');
  const tool = TOOLS.find((one) => one.name === name);
  if (tool === undefined) throw new UsageError(`${name} cannot be imported`);
  return tool;
}

async function readFiles(context: Context, files: readonly string[]): Promise<readonly InputText[]> {
  if (files.filter((file) => file === '-').length > 1) throw new UsageError('`-` can be given only once');
  const texts: InputText[] = [];
  for (const name of files)
    texts.push({
      name,
      text: name === '-' ? await readStandardInput(context) : await readOne(context, name),
    });
  return texts;
}

async function readStandardInput({ stdin, signal }: Context): Promise<string> {
  const tooMuch = 'standard input has more than 64 MiB';
  const bytes = await readStdin(stdin, signal, { maxBytes: MAX_BYTES, tooLarge: tooMuch });
  return decodeUtf8('standard input', bytes);
}

async function readOne({ cwd }: Context, name: string): Promise<string> {
  try {
    const bytes = await readFile(resolve(cwd, name));
    if (bytes.length > MAX_BYTES) throw new UsageError(`${name} has more than 64 MiB`);
    return decodeUtf8(name, bytes);
  } catch (error) {
    throw fileError(error, `${name} cannot be read`);
  }
}

/**
 * Decodes UTF-8 and rejects other encodings. Windows PowerShell writes UTF-16, and no object would be found in such a
 * text. Other encodings would result in wrong keys.
 */
function decodeUtf8(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(`${name} is not UTF-8 text`);
  }
}

async function readCurrentCluster(context: Context, tool: Tool, options: ImportOptions): Promise<Objects> {
  const { env, clock, signal } = context;
  const { kubeconfig, context: named } = options;
  const { readCluster } = await import('./import-cluster.ts');
  return readCluster(
    tool,
    { env, clock, kubeconfig, context: named },
    { namespace: options.namespace, signal },
  );
}
