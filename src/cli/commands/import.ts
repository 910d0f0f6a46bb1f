import { lstat, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { codeOf } from '../../core/system-errors.ts';
import { type InputText, type Objects, readObjects } from '../../import/objects.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, fileError, UsageError, writeAllOrNothing } from '../errors.ts';
import { readStdin } from '../input.ts';
import { outputOption, type Run } from '../options.ts';
import { withHelp } from '../texts/help.ts';
import { painter, print, printNotice } from '../texts/output.ts';
import { problemsText } from '../texts/problems.ts';
import { importReportText } from './import-report.ts';

/** Adds the command `secretbridge import …`. */
export function addImport(program: Command, context: Context, run: Run): void {
  const group = withHelp(program.command('import'), {
    examples: ['secretbridge import external-secrets --out imported.yaml'],
    see: ['docs/how-to/move-from-external-secrets.md'],
  })
    .description('Convert the configuration of another tool.')
    .helpCommand(false);
  withHelp(group.command('external-secrets'), {
    examples: [
      'secretbridge import external-secrets --out imported.yaml',
      'kubectl get es,ss,css,ces -A -o yaml | secretbridge import external-secrets - --report report.json',
    ],
    more: 'The command only reads. The report shows the result for each object, and the steps of a migration that changes no byte of a Secret.',
    exits: [
      [0, 'everything was carried over'],
      [4, 'the report contains tasks for a person'],
    ],
    see: ['plan', 'docs/how-to/move-from-external-secrets.md'],
  })
    .description(
      'Convert ExternalSecrets and SecretStores to a configuration, and report what could not be carried over and how to migrate.',
    )
    .argument('[files...]', 'YAML or JSON files, `-` for standard input (default: read the current cluster)')
    .option('--out <path>', 'file for the configuration (default: standard output)')
    .option('--report <path>', 'file for the report, as JSON (default: text on standard error)')
    .option('--instance <name>', 'name of the installation', 'default')
    .option('--namespace <name>', 'namespace of objects without a namespace', 'default')
    .option('--own-namespace <name>', 'namespace in which secretbridge runs', 'secretbridge')
    .option('--kubeconfig <path>', 'kubeconfig of the cluster to read')
    .option('--context <name>', 'context of the kubeconfig')
    .addOption(outputOption())

    .action((files: readonly string[], options) => run(async () => importCommand(context, files, options)));
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
  // Check both output files before anything else. Otherwise the second file could be rejected after a cluster was read
  // and the first file was written.
  const places = [options.out, options.report].filter((name) => name !== undefined);
  for (const name of places) await requireNewFile(context, name);
  if (places.length > new Set(places.map((name) => resolve(context.cwd, name))).size)
    throw new UsageError('--out and --report must be different files');
  const objects =
    files.length === 0
      ? await readCurrentCluster(context, options)
      : await readFiles(context, files, options);
  const { importVerified } = await import('../../import/verified.ts');
  const { result, problems } = await importVerified(objects, options);
  const { config, ...report } = result;
  if (options.report !== undefined)
    await write(context, options.report, `${JSON.stringify(report, null, 2)}\n`);
  if (options.out !== undefined) await write(context, options.out, config);
  if (options.output !== 'human') print(context, options.output, { data: result, human: () => '' });
  else if (options.out === undefined) context.stdout.write(config);
  if (options.output === 'human')
    printNotice(
      context,
      importReportText(result, painter(context.color), { short: options.report !== undefined }),
    );
  if (problems.length === 0) return result.needsPerson ? EXIT.person : EXIT.ok;
  printNotice(context, `\n${await problemsText(problems, painter(context.color))}`);
  return EXIT.config;
}

async function readFiles(
  context: Context,
  files: readonly string[],
  { namespace }: ImportOptions,
): Promise<Objects> {
  if (files.filter((file) => file === '-').length > 1) throw new UsageError('`-` can be given only once');
  const texts: InputText[] = [];
  for (const name of files)
    texts.push({
      name,
      text: name === '-' ? await readStandardInput(context) : await readOne(context, name),
    });
  return readObjects(texts, namespace);
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

async function requireNewFile({ cwd }: Context, name: string): Promise<void> {
  try {
    await lstat(resolve(cwd, name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw fileError(error, `${name} cannot be written`);
  }
  throw new UsageError(`${name} cannot be written: it exists (EEXIST)`);
}

/** Creates a new file. Never overwrites an existing file. */
async function write({ cwd }: Context, name: string, text: string): Promise<void> {
  try {
    await writeAllOrNothing(resolve(cwd, name), text, 'wx');
  } catch (error) {
    throw fileError(error, `${name} cannot be written`);
  }
}

async function readCurrentCluster(context: Context, options: ImportOptions): Promise<Objects> {
  const { env, clock, signal } = context;
  const { kubeconfig, context: named } = options;
  const { readCluster } = await import('./import-cluster.ts');
  return readCluster({ env, clock, kubeconfig, context: named }, { namespace: options.namespace, signal });
}
