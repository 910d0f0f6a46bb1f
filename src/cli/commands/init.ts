import { lstat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { codeOf } from '../../core/system-errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { fileError, writeWhole } from '../file-error.ts';
import { collectAnswers, type GivenAnswers } from '../init/questions.ts';
import { type Answers, initialConfig } from '../init/template.ts';
import { prepareSchema } from '../schema-file.ts';
import { type Paint, print } from '../texts/output.ts';
import { UsageError } from '../usage-error.ts';

export type InitOptions = GlobalOptions &
  GivenAnswers & {
    readonly out: string;
    /** Whether the JSON Schema is written beside it. */
    readonly schema: boolean;
  };

const SCHEMA_FILE = 'secretbridge.schema.json';

/** Writes a first configuration. What no option answers is asked on a terminal, and else taken as offered. */
export async function initCommand(context: Context, options: InitOptions): Promise<number> {
  const { cwd } = context;
  const { out } = options;
  const path = resolve(cwd, out);
  const schema = join(dirname(path), SCHEMA_FILE);
  // Before anybody is asked anything.
  if (await isThere(path)) throw thereAlready(path);
  const writeSchema = options.schema
    ? await prepareSchema(schema, join(dirname(out), SCHEMA_FILE))
    : undefined;
  const answers = await collectAnswers(context, options);
  // First, since it may be written over: where the disk is full, the answers can be given again.
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
    files: `put the value into ${join(seenFrom(out, at), key)}`,
    'aws-secrets-manager': undefined,
    'azure-key-vault': undefined,
  }[store];
  const steps: readonly (readonly [string, string])[] = [
    [`secretbridge validate${config}`, 'check it again after each change'],
    [`secretbridge doctor${config}`, 'try the store, the key and the target'],
    [`secretbridge plan${config}`, 'see what would change'],
    [`secretbridge sync${config}`, 'do it'],
  ];
  const width = Math.max(...steps.map(([command]) => command.length));
  return [
    `${paint('green', 'Wrote')} ${out}${schema ? `, and ${SCHEMA_FILE} beside it, by which editors complete and check` : ''}.`,
    '',
    'Next:',
    ...(first === undefined ? [] : [`  ${paint('cyan', first)}`]),
    ...steps.map(([command, why]) => `  ${paint('cyan', command.padEnd(width))}  ${why}`),
  ].join('\n');
}

/** The folder is relative to the file that says it, and whoever reads this stands elsewhere. */
function seenFrom(out: string, folder: string): string {
  return isAbsolute(folder) || folder.startsWith('~/') ? folder : join(dirname(out), folder);
}

/** Never over one that is there. */
async function create(path: string, text: string): Promise<void> {
  try {
    await writeWhole(path, text, 'wx');
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw thereAlready(path);
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

function thereAlready(path: string): UsageError {
  return new UsageError(`${path} is there already: name another file with --out`);
}
