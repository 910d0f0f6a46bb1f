import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { append } from '../../core/lists.ts';
import { workerThread } from '../../core/worker-thread.ts';
import { isSmallPattern } from '../../sync/pattern.ts';
import { entriesOf, mappingsIn, memberOf, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { didYouMean, type Finding, type Path } from '../problem.ts';
import type { Include } from '../shape/include.ts';
import {
  CHECK_PARTS,
  type CostlyParts,
  checkParts,
  costOf,
  MAX_INCLUDE_COST,
  type PartProblems,
} from './costly-task.ts';
import { isMissingOrEmpty } from './mapping.ts';

/** What the checks of the mappings of one include may cost. */
export interface CheckBudget {
  /** The mappings of one include have the same group. */
  readonly group: string;
  /** Processor time for the check of one mapping, in milliseconds. */
  readonly timeMs: number;
  /** The remaining cost. The checks reduce it. */
  cost: number;
}

/** The budget of the operator's own files, whose size is not limited. */
export function ownBudget(): CheckBudget {
  return { group: 'configuration', timeMs: OWN_CHECK_MS, cost: Number.POSITIVE_INFINITY };
}

/** Returns the budget of an include. All of its files share it. */
export function includeBudget({ path, limits }: Include): CheckBudget {
  return { group: path, timeMs: limits.templateTimeMs, cost: MAX_INCLUDE_COST };
}

const OWN_CHECK_MS = 1_000;

/** Parts up to this cost are checked in the main thread, which takes about 10 ms. */
const SMALL_COST = 1_000;

/** Results of earlier checks, because most mappings do not change. */
const known = new LRUCache<string, PartProblems | 'exceeded'>({ max: 20_000 });

export interface CostlyFindings {
  readonly findings: readonly Finding[];
  /** The indexes of the mappings that were not checked, because the budget is used up. `findExcess` refuses them. */
  readonly unchecked: ReadonlySet<number>;
}

/**
 * Checks templates and search patterns. Large ones are checked in the worker thread, so that they cannot block the
 * service.
 *
 * @param before Called before each check, with the index of the mapping.
 */
export async function checkCostly(
  root: Located,
  budget: CheckBudget,
  { pause, before }: { readonly pause: () => Promise<void>; readonly before: (index: number) => void },
): Promise<CostlyFindings> {
  const findings: Finding[] = [];
  const unchecked = new Set<number>();
  for (const [index, mapping] of mappingsIn(root)) {
    const parts = partsOf(mapping);
    if (parts.templates.length + parts.patterns.length === 0) continue;
    before(index);
    const found = await checkMapping(parts, ['mappings', index], budget);
    if (found === undefined) unchecked.add(index);
    else append(findings, found);
    await pause();
  }
  return { findings, unchecked };
}

/** Takes a cost from a budget. Returns false if not enough is left. `findExcess` counts in the same way. */
export function charge(cost: number, budget: CheckBudget): boolean {
  if (cost > budget.cost) return false;
  budget.cost -= cost;
  return true;
}

interface Parts {
  readonly templates: readonly (readonly [key: string | number, text: string])[];
  readonly names: readonly string[] | undefined;
  readonly patterns: readonly (readonly [index: string | number, text: string])[];
}

function partsOf(mapping: unknown): Parts {
  const texts = entriesOf(memberOf(memberOf(mapping, 'template'), 'data'));
  const sources = memberOf(mapping, 'dataFrom');
  return {
    templates: texts.flatMap(([key, text]) => (typeof text === 'string' ? [[key, text] as const] : [])),
    names: isMissingOrEmpty(sources)
      ? entriesOf(memberOf(mapping, 'data')).map(([key]) => String(key))
      : undefined,
    // The schema reports patterns that are too large.
    patterns: entriesOf(sources).flatMap(([index, source]) => {
      const text = textOf(memberOf(source, 'find'), 'name');
      return text === undefined || !isSmallPattern(text) ? [] : [[index, text] as const];
    }),
  };
}

async function checkMapping(
  parts: Parts,
  path: Path,
  budget: CheckBudget,
): Promise<readonly Finding[] | undefined> {
  const problems = await problemsOf(
    {
      templates: parts.templates.map(([, text]) => text),
      names: parts.names,
      patterns: parts.patterns.map(([, text]) => text),
    },
    budget,
  );
  if (problems === undefined) return undefined;
  if (problems === 'exceeded') {
    const message = 'the templates and search patterns of this mapping take too long to check';
    return [{ path, code: 'LIMIT_REACHED', message }];
  }
  const invalidTemplates = [...problems.templates].map(([index, problem]): Finding => {
    const message = `line ${problem.line}, column ${problem.column} of the template: ${problem.message}`;
    const { name, known: names = [] } = problem.unknown ?? {};
    const [key = ''] = parts.templates[index] ?? [];
    return {
      path: [...path, 'template', 'data', key],
      code: 'TEMPLATE_INVALID',
      message,
      ...didYouMean(name, names),
    };
  });
  const invalidPatterns = problems.patterns.map((index): Finding => {
    const [at = 0] = parts.patterns[index] ?? [];
    return { path: [...path, 'dataFrom', at, 'find', 'name'], code: 'CONFIG_INVALID', message: NOT_LINEAR };
  });
  return [...invalidTemplates, ...invalidPatterns];
}

const NOT_LINEAR =
  'expected a regular expression with linear matching time (RE2): no look-around such as `(?=` or `(?<!`, and no back-references such as `\\1`';

/** Returns undefined if the budget is used up. */
async function problemsOf(
  parts: CostlyParts,
  budget: CheckBudget,
): Promise<PartProblems | 'exceeded' | undefined> {
  const cost = costOf(parts);
  if (!charge(cost, budget)) return undefined;
  const digest = createHash('sha256')
    .update(JSON.stringify([parts, budget.timeMs]))
    .digest('base64');
  const before = known.get(digest);
  if (before !== undefined) return before;
  const problems = cost <= SMALL_COST ? checkParts(parts) : await inWorker(parts, budget);
  known.set(digest, problems);
  return problems;
}

async function inWorker(
  parts: CostlyParts,
  { group, timeMs }: CheckBudget,
): Promise<PartProblems | 'exceeded'> {
  const result = await workerThread.run(CHECK_PARTS, parts, { group, timeMs });
  return result.kind === 'done' ? result.output : 'exceeded';
}
