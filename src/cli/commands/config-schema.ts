import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { parseAny } from '../../core/json.ts';
import { codeOf } from '../../core/system-errors.ts';
import type { Context } from '../context.ts';
import { EXIT, fileError, UsageError, writeAllOrNothing } from '../errors.ts';
import type { Run } from '../options.ts';
import { withHelp } from '../texts/help.ts';

export function addConfigSchema(program: Command, context: Context, run: Run): void {
  withHelp(program.command('config-schema'), {
    examples: [
      'secretbridge config-schema --out secretbridge.schema.json',
      'secretbridge config-schema | jq .title',
    ],
    more: 'Editors with the YAML language server use the schema if the first line of a configuration is "# yaml-language-server: $schema=./secretbridge.schema.json". `init` writes the schema and this line.',
    see: ['init', 'validate', 'docs/reference/cli.md'],
  })
    .description('Print the JSON Schema of the configuration, for editors.')
    .addOption(new Option('--out <path>', 'file to write; an older version of the schema is replaced'))

    .action((options) => run(async () => configSchemaCommand(context, options)));
}

export async function configSchemaCommand(
  { cwd, stdout }: Context,
  { out }: { readonly out?: string },
): Promise<number> {
  if (out === undefined) {
    const { configurationSchema } = await import('../../config/schema.ts');
    stdout.write(configurationSchema());
    return EXIT.ok;
  }
  const write = await prepareSchema(resolve(cwd, out), out);
  await write();
  stdout.write(`Wrote ${out}.\n`);
  return EXIT.ok;
}

/**
 * Checks whether the JSON Schema may be written to this path, and returns a function that writes it. Overwrites only an
 * existing schema of secretbridge, of any version.
 * @throws UsageError if writing to this path is not allowed
 */
export async function prepareSchema(path: string, shown: string): Promise<() => Promise<void>> {
  const { configurationSchema } = await import('../../config/schema.ts');
  const schema = configurationSchema();
  const current = await readExisting(path, shown);
  if (current !== undefined && titleOf(current) !== titleOf(schema))
    throw new UsageError(`${shown} exists and is not a secretbridge schema: choose another file with --out`);
  return async () => {
    try {
      await writeAllOrNothing(path, schema, 'w');
    } catch (error) {
      throw fileError(error, `${shown} cannot be written`);
    }
  };
}

async function readExisting(path: string, shown: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw fileError(error, `${shown} cannot be read`);
  }
}

/** Returns the title of a JSON Schema. Undefined if the text is no schema. */
function titleOf(text: string): unknown {
  const parsed = parseAny(text);
  return typeof parsed === 'object' && parsed !== null && 'title' in parsed ? parsed.title : undefined;
}
