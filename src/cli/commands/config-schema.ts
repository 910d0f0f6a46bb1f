import { resolve } from 'node:path';
import { configurationSchema } from '../../config/schema.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { prepareSchema } from '../schema-file.ts';

export async function configSchemaCommand(
  { cwd, stdout }: Context,
  { out }: { readonly out?: string },
): Promise<number> {
  if (out === undefined) {
    stdout.write(configurationSchema());
    return EXIT.ok;
  }
  const write = await prepareSchema(resolve(cwd, out), out);
  await write();
  stdout.write(`Wrote ${out}.\n`);
  return EXIT.ok;
}
