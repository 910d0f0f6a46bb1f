import { parse } from 'yaml';
import { AMBIGUOUS_KEY } from '../config/checks/access-violations.ts';
import { validateText } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { isObject } from '../core/json.ts';
import type { Refusal } from './checks.ts';
import { type ImportOptions, importObjects } from './import.ts';
import type { Objects } from './objects.ts';
import type { ImportResult } from './result.ts';
import type { Tool } from './tool.ts';

export interface Verified {
  readonly result: ImportResult;
  /** Problems that belong to no single store or mapping. They occur only because of a bug. */
  readonly problems: readonly Problem[];
}

/** An empty environment, so that the result does not depend on this machine. */
const NOWHERE = { env: {}, cwd: '/' };

/** The maximum number of validations. One problem can hide another, but never so many in a row. */
const MOST_ROUNDS = 5;

/**
 * Imports objects, and validates the result as the command `validate` does. Stores and mappings that fail are left out
 * of the result and are listed.
 */
export async function importVerified(
  tool: Tool,
  objects: Objects,
  options: ImportOptions,
): Promise<Verified> {
  const refused = { stores: new Map<string, Refusal>(), mappings: new Map<string, Refusal>() };
  for (let round = 1; ; round += 1) {
    const result = importObjects(tool, objects, { ...options, refused });
    const problems = await validateText(result.config, NOWHERE);
    const isMore = problems.length > 0 && refuse(tool, { refused, config: result.config, problems });
    if (!isMore || round === MOST_ROUNDS) return { result, problems };
  }
}

/** Adds the failing stores and mappings to `refused`. Returns whether any was added. */
function refuse(
  tool: Tool,
  {
    refused,
    config,
    problems,
  }: {
    readonly refused: Readonly<Record<Part, Map<string, Refusal>>>;
    readonly config: string;
    readonly problems: readonly Problem[];
  },
): boolean {
  // Suppress process warnings, because they would quote the imported text.
  const root: unknown = parse(config, { logLevel: 'error', prettyErrors: false });
  let isMore = false;
  for (const problem of problems) {
    const { path } = problem;
    const [, part, index = '', at = ''] = /^(stores|mappings)\[(\d+)\]\.?(.*)$/.exec(path) ?? [];
    if (!isPart(part)) continue;
    const list: unknown = isObject(root) ? root[part] : undefined;
    const entry: unknown = Array.isArray(list) ? list[Number(index)] : undefined;
    if (!isObject(entry) || refused[part].has(String(entry.name))) continue;
    refused[part].set(String(entry.name), { at, ...refusalOf(problem, part, tool) });
    isMore = true;
  }
  return isMore;
}

function refusalOf(
  { code, message, suggestion }: Problem,
  part: Part,
  { bounds, title }: Tool,
): Omit<Refusal, 'at'> {
  // All imported `access` rules are derived from the bounds of a store and allow all keys. So a violation means that
  // the bounds exclude the namespace.
  if (code === 'NOT_ALLOWED' && !message.includes(AMBIGUOUS_KEY))
    return {
      what: `${bounds} exclude this namespace, so ${title} refuses it too: ${message}`,
      todo: 'Import it in its intended namespace (with `--namespace`, if it names none), or widen these bounds.',
    };
  const what = `is not valid in the configuration: ${message}`;
  if (suggestion === undefined || part === 'stores') return { what };
  return { what, todo: `Complete the mapping at the end of the file: ${suggestion}.` };
}

type Part = 'stores' | 'mappings';

function isPart(text: string | undefined): text is Part {
  return text === 'stores' || text === 'mappings';
}
