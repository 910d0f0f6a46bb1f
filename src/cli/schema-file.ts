import { readFile } from 'node:fs/promises';
import { configurationSchema } from '../config/schema.ts';
import { parseAny } from '../core/json.ts';
import { codeOf } from '../core/system-errors.ts';
import { fileError, writeAllOrNothing } from './file-error.ts';
import { UsageError } from './usage-error.ts';

/**
 * Checks whether the JSON Schema may be written to this path, and returns a function that writes it. Overwrites only an
 * existing schema of secretbridge, of any version.
 * @throws UsageError if it may not be written
 */
export async function prepareSchema(path: string, shown: string): Promise<() => Promise<void>> {
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
