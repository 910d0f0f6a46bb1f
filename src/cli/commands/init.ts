import { lstat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { codeOf } from '../../core/system-errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { fileError, writeAllOrNothing } from '../file-error.ts';
import { collectAnswers, type OptionAnswers } from '../init/questions.ts';
import { type Answers, initialConfig } from '../init/template.ts';
import { prepareSchema } from '../schema-file.ts';
import { type Paint, print } from '../texts/output.ts';
import { UsageError } from '../usage-error.ts';

export type InitOptions = GlobalOptions &
  OptionAnswers & {
    readonly out: string;
    /** Whether to write the JSON Schema next to the configuration. */
    readonly schema: boolean;
  };

const SCHEMA_FILE = 'secretbridge.schema.json';

/**
 * Writes an initial configuration. On a terminal, asks for all answers that no option provides. Without a terminal,
 * uses the defaults.
 */
export async function initCommand(context: Context, options: InitOptions): Promise<number> {
  const { cwd } = context;
  const { out } = options;
  const path = resolve(cwd, out);
  const schema = join(dirname(path), SCHEMA_FILE);
  // Check the file before asking any question.
  if (await isThere(path)) throw fileExists(path);
  const writeSchema = options.schema
    ? await prepareSchema(schema, join(dirname(out), SCHEMA_FILE))
    : undefined;
  const answers = await collectAnswers(context, options);
  // Write the schema first: an existing schema is overwritten, so `init` can be repeated if the disk was full.
  await writeSchema?.();
  await create(path, initialConfig(answers, writeSchema && SCHEMA_FILE));
  print(context, options.output, {
    data: { path, ...(writeSchema && { schema }), ...answers },
    human: (paint) => nextText(answers, options, paint),
  });
  return EXIT.ok;
}

function nextText({ store, login, at, key }: Answers, { out, schema }: InitOptions, paint: Paint): string {
  const config = out === 'secretbridge.yaml' ? '' : ` --config ${out}`;
  const first = {
    vault: { token: 'export VAULT_TOKEN=…', appRole: 'export VAULT_SECRET_ID=…', kubernetes: undefined }[
      login ?? 'token'
    ],
    files: `put the value into ${join(relativeToOutput(out, at), key)}`,
    'aws-secrets-manager': undefined,
    'azure-key-vault': undefined,
  }[store];
  const steps: readonly (readonly [string, string])[] = [
    [`secretbridge validate${config}`, 'check the file again after each change'],
    [`secretbridge doctor${config}`, 'test the store, the key and the target'],
    [`secretbridge plan${config}`, 'see what would change'],
    [`secretbridge sync${config}`, 'apply the changes'],
  ];
  const width = Math.max(...steps.map(([command]) => command.length));
  return [
    `${paint('green', 'Wrote')} ${out}${schema ? ` and ${SCHEMA_FILE}, which editors use to complete and check it` : ''}.`,
    '',
    'Next:',
    ...(first === undefined ? [] : [`  ${paint('cyan', first)}`]),
    ...steps.map(([command, why]) => `  ${paint('cyan', command.padEnd(width))}  ${why}`),
  ].join('\n');
}

/**
 * The folder in the configuration is relative to the configuration file. The user types commands in the working folder,
 * so convert the path.
 */
function relativeToOutput(out: string, folder: string): string {
  return isAbsolute(folder) || folder.startsWith('~/') ? folder : join(dirname(out), folder);
}

/** Creates a file. Never overwrites an existing one. */
async function create(path: string, text: string): Promise<void> {
  try {
    await writeAllOrNothing(path, text, 'wx');
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw fileExists(path);
    throw fileError(error, `${path} cannot be written`);
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw fileError(error, `${path} cannot be written`);
  }
}

function fileExists(path: string): UsageError {
  return new UsageError(`${path} already exists: choose another file with --out`);
}
