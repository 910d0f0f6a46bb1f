import { parse } from 'yaml';
import { AMBIGUOUS } from '../config/checks/not-allowed.ts';
import { problemsOfText } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { isObject } from '../core/json.ts';
import type { Refusal } from './checks.ts';
import { type ImportOptions, importExternalSecrets } from './import.ts';
import type { Objects } from './objects.ts';
import type { ImportResult } from './result.ts';

export interface Verified {
  readonly result: ImportResult;
  /** Of the whole; none but for a fault of ours. */
  readonly problems: readonly Problem[];
}

/** What is wrong must not depend on the machine that imports. */
const NOWHERE = { env: {}, cwd: '/' };

/** More than there are kinds of problems that hide others. */
const MOST_ROUNDS = 5;

/** What is handed out has passed all that `validate` checks; a store or mapping that does not pass is listed instead. */
export async function importVerified(objects: Objects, options: ImportOptions): Promise<Verified> {
  const refused = { stores: new Map<string, Refusal>(), mappings: new Map<string, Refusal>() };
  for (let round = 1; ; round += 1) {
    const result = importExternalSecrets(objects, { ...options, refused });
    const problems = await problemsOfText(result.config, NOWHERE);
    const isMore = problems.length > 0 && refuse(refused, result.config, problems);
    if (!isMore || round === MOST_ROUNDS) return { result, problems };
  }
}

/** Whether anything is refused that was not before. */
function refuse(
  refused: Readonly<Record<Part, Map<string, Refusal>>>,
  config: string,
  problems: readonly Problem[],
): boolean {
  // A warning of the process would quote what was imported.
  const root: unknown = parse(config, { logLevel: 'error', prettyErrors: false });
  let isMore = false;
  for (const problem of problems) {
    const { path } = problem;
    const [, part, index = '', at = ''] = /^(stores|mappings)\[(\d+)\]\.?(.*)$/.exec(path) ?? [];
    if (!isPart(part)) continue;
    const list: unknown = isObject(root) ? root[part] : undefined;
    const one: unknown = Array.isArray(list) ? list[Number(index)] : undefined;
    if (!isObject(one) || refused[part].has(String(one.name))) continue;
    refused[part].set(String(one.name), { at, ...refusalOf(problem, part) });
    isMore = true;
  }
  return isMore;
}

function refusalOf({ code, message, suggestion }: Problem, part: Part): Omit<Refusal, 'at'> {
  // All rules of `access` are made of `conditions`, and name all keys.
  if (code === 'NOT_ALLOWED' && !message.includes(AMBIGUOUS))
    return {
      what: `the \`conditions\` of its store leave this namespace out, so that theirs refuses it, too: ${message}`,
      todo: 'Import it in the namespace that it is for (`--namespace`, if it names none), or widen `conditions`.',
    };
  const what = `is not what the configuration takes: ${message}`;
  if (suggestion === undefined || part === 'stores') return { what };
  return { what, todo: `Finish what stands at the end of the file: ${suggestion}.` };
}

type Part = 'stores' | 'mappings';

function isPart(text: string | undefined): text is Part {
  return text === 'stores' || text === 'mappings';
}
