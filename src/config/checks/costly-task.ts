import { defineTask } from '../../core/worker-thread.ts';
import { compilePattern, patternCost } from '../../sync/pattern.ts';
import { checkTemplate, compileCost, type TemplateProblem } from '../../sync/template/compile.ts';

/** The parts of a mapping whose check takes time. */
export interface CostlyParts {
  readonly templates: readonly string[];
  /** The names that templates may use. Undefined if they are unknown. */
  readonly names: readonly string[] | undefined;
  readonly patterns: readonly string[];
}

export interface PartProblems {
  /** Each problem, by the index of its template. */
  readonly templates: ReadonlyMap<number, TemplateProblem>;
  /** Indexes of the patterns that cannot be compiled. */
  readonly patterns: readonly number[];
}

/** A pure function. It runs in the worker thread if the parts are large. */
export function checkParts({ templates, names, patterns }: CostlyParts): PartProblems {
  const problems = templates.flatMap((text, index) => {
    const problem = checkTemplate(text, names);
    return problem === undefined ? [] : [[index, problem] as const];
  });
  const invalid = patterns.flatMap((text, index) => (compilePattern(text) === 'invalid' ? [index] : []));
  return { templates: new Map(problems), patterns: invalid };
}

export const CHECK_PARTS = defineTask(import.meta.url, checkParts);

/** The unit of `patternCost` takes 15 nanoseconds, and the unit of `compileCost` 10 microseconds. */
const UNITS = 600;

/** The maximum cost of all mappings of an include. A check of this cost takes about 10 s. */
export const MAX_INCLUDE_COST = 1_000_000;

/** Estimates the cost of the check, in units of about 10 microseconds. The same parts always have the same cost. */
export function costOf({ templates, patterns }: Pick<CostlyParts, 'templates' | 'patterns'>): number {
  const costs = [...templates.map(compileCost), ...patterns.map((text) => patternCost(text) / UNITS)];
  return costs.reduce((sum, cost) => sum + cost, 0);
}
