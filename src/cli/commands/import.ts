import { lstat, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Name, Namespace } from '../../config/shape/fields.ts';
import { codeOf } from '../../core/system-errors.ts';
import { type InputText, type Objects, readObjects } from '../../import/objects.ts';
import { importVerified } from '../../import/verified.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { fileError, writeAllOrNothing } from '../file-error.ts';
import { readStdin } from '../stdin.ts';
import { painter, print, printNotice } from '../texts/output.ts';
import { problemsText } from '../texts/problems.ts';
import { UsageError } from '../usage-error.ts';
import { readCluster } from './import-cluster.ts';
import { importReportText } from './import-report.ts';

export interface ImportOptions extends Pick<GlobalOptions, 'output'> {
  readonly out?: string;
  readonly report?: string;
  readonly instance: string;
  /** The namespace of objects that do not specify one. */
  readonly namespace: string;
  readonly ownNamespace: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** The size limit of the input. Manifests are never larger. */
const MAX_BYTES = 64 * 1024 * 1024;

/** @param files File names, or `-` for standard input. Without any file, the current cluster is read. */
export async function importCommand(
  context: Context,
  files: readonly string[],
  options: ImportOptions,
): Promise<number> {
  for (const [flag, name, schema, parts] of [
    ['--instance', options.instance, Name, 'a-z, 0-9, `-` and `.`'],
    ['--namespace', options.namespace, Namespace, 'a-z, 0-9 and `-`'],
    ['--own-namespace', options.ownNamespace, Namespace, 'a-z, 0-9 and `-`'],
  ] as const)
    if (!schema.safeParse(name).success)
      throw new UsageError(`${flag} must be a name of ${parts}, at most 63 characters`);
  // Check both output files now: before a cluster is read, and before one of the two files is written.
  const places = [options.out, options.report].filter((name) => name !== undefined);
  for (const name of places) await requireNewFile(context, name);
  if (places.length > new Set(places.map((name) => resolve(context.cwd, name))).size)
    throw new UsageError('--out and --report must be different files');
  const objects =
    files.length === 0
      ? await readCurrentCluster(context, options)
      : await readFiles(context, files, options);
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
  printNotice(context, `\n${problemsText(problems, painter(context.color))}`);
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
 * Rejects other encodings. Windows PowerShell writes UTF-16, in which no object would be found. Other encodings would
 * result in wrong keys.
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

/** Creates a file. Never overwrites an existing one. */
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
  return readCluster({ env, clock, kubeconfig, context: named }, { namespace: options.namespace, signal });
}
