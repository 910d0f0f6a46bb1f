import { lstat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { largest } from '../../core/lists.ts';
import { codeOf } from '../../core/system-errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, fileError, UsageError, writeAllOrNothing } from '../errors.ts';
import { collectAnswers, type OptionAnswers } from '../init/questions.ts';
import { type Answers, CLUSTER_KINDS, initialConfig, LOGINS, STORE_KINDS } from '../init/template.ts';
import { outputOption, type Run } from '../options.ts';
import { withHelp } from '../texts/help.ts';
import { type Paint, print } from '../texts/output.ts';
import { prepareSchema } from './config-schema.ts';

export function addInit(program: Command, context: Context, run: Run): void {
  withHelp(program.command('init'), {
    examples: [
      'secretbridge init',
      'secretbridge init --store files --at ./secrets --key app.txt --cluster directory',
    ],
    more: 'On a terminal it asks for every answer that no option gives. It also writes the JSON Schema of the configuration, which editors use to complete and check it. Existing files are never overwritten.',
    see: ['validate', 'doctor', 'plan', 'docs/reference/configuration.md'],
  })
    .description('Create a commented configuration from a few answers.')
    .option('--instance <name>', 'name of this installation')
    .addOption(new Option('--cluster <kind>', 'where Secrets are written').choices(CLUSTER_KINDS))
    .addOption(new Option('--store <kind>', 'kind of store').choices(STORE_KINDS))
    .option('--at <place>', 'address, folder, region or URL of the store')
    .option('--mount <name>', 'Vault: mount of the key/value engine')
    .addOption(new Option('--login <method>', 'Vault: login method').choices(LOGINS))
    .option('--role-id <id>', 'Vault: role id, for the login method appRole')
    .option('--key <key>', 'key of a first secret in the store')
    .option('--namespace <name>', 'namespace of the Secret')
    .option('--secret <name>', 'name of the Secret')
    .option('--out <path>', 'file to write', 'secretbridge.yaml')
    .option('--no-schema', 'do not write a JSON Schema next to it')
    .addOption(outputOption())

    .action((options) => run(async () => initCommand(context, options)));
}

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
  // Write the schema before the configuration. `init` overwrites an earlier schema but never a configuration. If the
  // disk becomes full after the schema is written, the user can therefore repeat `init`.
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
    'aws-parameter-store': undefined,
    'azure-key-vault': undefined,
  }[store];
  const steps: readonly (readonly [string, string])[] = [
    [`secretbridge validate${config}`, 'check the file again after each change'],
    [`secretbridge doctor${config}`, 'test the store, the key and the target'],
    [`secretbridge plan${config}`, 'see what would change'],
    [`secretbridge sync${config}`, 'apply the changes'],
  ];
  const width = largest(steps.map(([command]) => command.length));
  return [
    `${paint('green', 'Wrote')} ${out}${schema ? ` and ${SCHEMA_FILE}, which editors use to complete and check it` : ''}.`,
    '',
    'Next:',
    ...(first === undefined ? [] : [`  ${paint('cyan', first)}`]),
    ...steps.map(([command, why]) => `  ${paint('cyan', command.padEnd(width))}  ${why}`),
  ].join('\n');
}

/**
 * The folder in the configuration is relative to the configuration file, but the user types a path that is relative to
 * the working folder. So convert the path.
 */
function relativeToOutput(out: string, folder: string): string {
  return isAbsolute(folder) || folder.startsWith('~/') ? folder : join(dirname(out), folder);
}

/** Creates a new file. Never overwrites an existing file. */
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
