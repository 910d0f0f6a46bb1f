import { parse } from 'yaml';
import { problemsOfText } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { isObject } from '../core/json.ts';
import { type ImportOptions, importExternalSecrets, type Refusal } from './import.ts';
import type { Objects } from './objects.ts';
import type { ImportResult } from './result.ts';

export interface Verified {
  readonly result: ImportResult;
  /** Of the whole; none but for a fault of ours. */
  readonly problems: readonly Problem[];
}

/** What is wrong must not depend on the machine that imports. */
const NOWHERE = { env: {}, cwd: '/' };

/** What is handed out has passed all that `validate` checks; a mapping that does not pass is listed instead. */
export async function importVerified(objects: Objects, options: ImportOptions): Promise<Verified> {
  const result = importExternalSecrets(objects, options);
  const problems = await problemsOfText(result.config, NOWHERE);
  if (problems.length === 0) return { result, problems };
  const refused = refusedMappings(result.config, problems);
  const again = importExternalSecrets(objects, { ...options, refused });
  return { result: again, problems: await problemsOfText(again.config, NOWHERE) };
}

function refusedMappings(config: string, problems: readonly Problem[]): ReadonlyMap<string, Refusal> {
  // A warning of the process would quote what was imported.
  const root: unknown = parse(config, { logLevel: 'error', prettyErrors: false });
  const mappings: readonly unknown[] = isObject(root) && Array.isArray(root.mappings) ? root.mappings : [];
  const refused = new Map<string, Refusal>();
  for (const { path, message } of problems) {
    const [, index = '', at = ''] = /^mappings\[(\d+)\]\.?(.*)$/.exec(path) ?? [];
    const mapping = index === '' ? undefined : mappings[Number(index)];
    if (isObject(mapping) && !refused.has(String(mapping.name)))
      refused.set(String(mapping.name), { at, what: `is not what the configuration takes: ${message}` });
  }
  return refused;
}
