import { lstat, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Name, Namespace } from '../../config/shape/fields.ts';
import { codeOf } from '../../core/system-errors.ts';
import { type Objects, readObjects, type Text } from '../../import/objects.ts';
import { importVerified } from '../../import/verified.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { fileError, writeWhole } from '../file-error.ts';
import { readPiped } from '../piped.ts';
import { painter, print, tell } from '../texts/output.ts';
import { problemsText } from '../texts/problems.ts';
import { UsageError } from '../usage-error.ts';
import { readCluster } from './import-cluster.ts';
import { reportText } from './import-report.ts';

export interface ImportOptions extends Pick<GlobalOptions, 'output'> {
  readonly out?: string;
  readonly report?: string;
  readonly instance: string;
  /** Of objects that name none. */
  readonly namespace: string;
  readonly ownNamespace: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** No file ever holds so much; what does is something else. */
const MAX_BYTES = 64 * 1024 * 1024;

/** @param files Names of files, `-` for the standard input; none: the current cluster. */
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
  // Before a cluster is read, and before one of the two is written without the other.
  const places = [options.out, options.report].filter((name) => name !== undefined);
  for (const name of places) await checkIsNew(context, name);
  if (places.length > new Set(places.map((name) => resolve(context.cwd, name))).size)
    throw new UsageError('--out and --report must be two files');
  const objects =
    files.length === 0 ? await fromCluster(context, options) : await fromFiles(context, files, options);
  const { result, problems } = await importVerified(objects, options);
  const { config, ...report } = result;
  if (options.report !== undefined)
    await write(context, options.report, `${JSON.stringify(report, null, 2)}\n`);
  if (options.out !== undefined) await write(context, options.out, config);
  if (options.output !== 'human') print(context, options.output, { data: result, human: () => '' });
  else if (options.out === undefined) context.stdout.write(config);
  if (options.output === 'human')
    tell(context, reportText(result, painter(context.color), { short: options.report !== undefined }));
  if (problems.length === 0) return result.needsPerson ? EXIT.person : EXIT.ok;
  tell(context, `\n${problemsText(problems, painter(context.color))}`);
  return EXIT.config;
}

async function fromFiles(
  context: Context,
  files: readonly string[],
  { namespace }: ImportOptions,
): Promise<Objects> {
  if (files.filter((file) => file === '-').length > 1) throw new UsageError('`-` may be given once');
  const texts: Text[] = [];
  for (const name of files)
    texts.push({ name, text: name === '-' ? await readAll(context) : await readOne(context, name) });
  return readObjects(texts, namespace);
}

async function readAll({ stdin, signal }: Context): Promise<string> {
  const tooMuch = 'the standard input has more than 64 MiB';
  const bytes = await readPiped(stdin, signal, { most: MAX_BYTES, tooMuch });
  return decoded('the standard input', bytes);
}

async function readOne({ cwd }: Context, name: string): Promise<string> {
  try {
    const bytes = await readFile(resolve(cwd, name));
    if (bytes.length > MAX_BYTES) throw new UsageError(`${name} has more than 64 MiB`);
    return decoded(name, bytes);
  } catch (error) {
    throw fileError(error, `${name} cannot be read`);
  }
}

/** Windows PowerShell writes UTF-16, in which nothing would be found; and of another encoding keys would be others. */
function decoded(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(`${name} is not UTF-8 text`);
  }
}

async function checkIsNew({ cwd }: Context, name: string): Promise<void> {
  try {
    await lstat(resolve(cwd, name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw fileError(error, `${name} cannot be written`);
  }
  throw new UsageError(`${name} cannot be written: it is there already (EEXIST)`);
}

/** Never over one that is there. */
async function write({ cwd }: Context, name: string, text: string): Promise<void> {
  try {
    await writeWhole(resolve(cwd, name), text, 'wx');
  } catch (error) {
    throw fileError(error, `${name} cannot be written`);
  }
}

async function fromCluster(context: Context, options: ImportOptions): Promise<Objects> {
  const { env, clock, signal } = context;
  const { kubeconfig, context: named } = options;
  return readCluster({ env, clock, kubeconfig, context: named }, { namespace: options.namespace, signal });
}
