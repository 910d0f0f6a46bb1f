import { readFile } from 'node:fs/promises';
import { configurationSchema } from '../config/json-schema.ts';
import { parseAny } from '../core/json.ts';
import { codeOf } from '../core/system-errors.ts';
import { fileError, writeWhole } from './file-error.ts';
import { UsageError } from './usage-error.ts';

/**
 * Looks whether the JSON Schema of the configuration may be written there, and gives what writes it: over one of
 * another version, over nothing else.
 * @throws UsageError when it may not be.
 */
export async function prepareSchema(path: string, shown: string): Promise<() => Promise<void>> {
  const schema = configurationSchema();
  const there = await existing(path, shown);
  if (there !== undefined && titleOf(there) !== titleOf(schema))
    throw new UsageError(`${shown} is there already, and is no schema of ours: name another file with --out`);
  return async () => {
    try {
      await writeWhole(path, schema, 'w');
    } catch (error) {
      throw fileError(error, `${shown} cannot be written`);
    }
  };
}

async function existing(path: string, shown: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw fileError(error, `${shown} cannot be read`);
  }
}

/** Of a JSON Schema; undefined for what is none. */
function titleOf(text: string): unknown {
  const parsed = parseAny(text);
  return typeof parsed === 'object' && parsed !== null && 'title' in parsed ? parsed.title : undefined;
}
