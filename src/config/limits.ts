import { durationText } from '../core/clock.ts';
import type { Mapping } from '../core/mapping.ts';
import { costOf, MAX_INCLUDE_COST } from './checks/costly-task.ts';
import { opened } from './files/divided.ts';
import { locate } from './files/merge.ts';
import type { IncludedMapping } from './includes.ts';
import { type Problem, toProblem } from './problem.ts';
import type { Include } from './shape/include.ts';

interface LimitedMapping {
  readonly include: Include;
  readonly mapping: Pick<Mapping, 'data' | 'dataFrom' | 'template'>;
  readonly namespaces: readonly string[];
}

/** The part of a mapping that is beyond a limit of its `include`. */
export interface Excess {
  readonly reason: string;
  /** The namespaces whose targets are beyond the limit. `undefined`: the whole mapping is. */
  readonly namespaces: ReadonlySet<string> | undefined;
}

/**
 * Counts the mappings and targets of each `include`.
 *
 * @param mappings In the order of the files. The last mappings of a file are the first to exceed a limit.
 * @returns What is beyond the limits, for each mapping.
 */
export function findExcess(mappings: readonly LimitedMapping[]): readonly (Excess | undefined)[] {
  const counts = new Map<
    string,
    { mappings: number; targets: number; templateBytes: number; cost: number }
  >();
  return mappings.map(({ include, mapping, namespaces }) => {
    const { path, limits } = include;
    const count = counts.get(path) ?? { mappings: 0, targets: 0, templateBytes: 0, cost: 0 };
    counts.set(path, count);
    count.mappings += 1;
    const cost = count.cost + checkCost(mapping);
    if (cost <= MAX_INCLUDE_COST) count.cost = cost;
    const keys = namedKeys(mapping);
    if (count.mappings > limits.mappings) return whole(`\`limits.mappings\` is ${limits.mappings}`);
    if (keys > limits.keysPerMapping)
      return whole(`${keys} keys, and \`limits.keysPerMapping\` is ${limits.keysPerMapping}`);
    const bytes = count.templateBytes + templateBytes(mapping);
    if (bytes > limits.templateBytes)
      return whole(`the templates are larger than \`limits.templateBytes\` (${limits.templateBytes} bytes)`);
    count.templateBytes = bytes;
    if (cost > MAX_INCLUDE_COST)
      return whole('the templates and search patterns of the `include` take too long to check');
    const beyond = namespaces.slice(Math.max(0, limits.targets - count.targets));
    count.targets += namespaces.length;
    if (beyond.length === 0) return undefined;
    return { reason: `\`limits.targets\` is ${limits.targets}`, namespaces: new Set(beyond) };
  });
}

function whole(reason: string): Excess {
  return { reason, namespaces: undefined };
}

/** Returns the number of keys that a mapping names. A search or an object may give more. */
function namedKeys({ data, template }: LimitedMapping['mapping']): number {
  return Object.keys(data).length + Object.keys(template?.data ?? {}).length;
}

function templateBytes({ template }: LimitedMapping['mapping']): number {
  const texts = Object.values(template?.data ?? {});
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

const checkCosts = new WeakMap<object, number>();

/** Returns the cost of the check of templates and search patterns. The result is cached, because templates can be long. */
export function checkCost(mapping: LimitedMapping['mapping']): number {
  const { dataFrom, template } = mapping;
  const cost =
    checkCosts.get(mapping) ??
    costOf({
      templates: Object.values(template?.data ?? {}),
      patterns: dataFrom.flatMap((list) => ('find' in list ? (list.find.name ?? []) : [])),
    });
  checkCosts.set(mapping, cost);
  return cost;
}

/** Finds the mappings that are beyond a limit, without the namespaces that selectors match. */
export function limitFindings(mappings: readonly IncludedMapping[]): {
  readonly refused: readonly Problem[];
  readonly warnings: readonly Problem[];
} {
  const excess = findExcess(
    mappings.map(({ mapping, bound: { rule } }) => ({
      include: rule,
      mapping,
      namespaces: mapping.target.namespaces,
    })),
  );
  const problem = ({ node, index }: IncludedMapping, at: readonly string[], message: string): Problem =>
    toProblem({ path: ['mappings', index, ...at], code: 'LIMIT_REACHED', message }, locate(opened(node), at));
  return {
    refused: mappings.flatMap((mapping, index) => {
      const found = excess[index];
      if (found === undefined) return [];
      const targets = found.namespaces === undefined ? '' : ` for ${found.namespaces.size} targets`;
      return [problem(mapping, [], `beyond the limits of its \`include\`${targets}: ${found.reason}`)];
    }),
    warnings: mappings.flatMap((mapping) => {
      const { refresh } = mapping;
      const { refreshMs } = mapping.bound.rule.limits;
      if (refresh === undefined || refresh >= refreshMs) return [];
      const message = `shorter than \`limits.refresh\` of the \`include\`; it counts as ${durationText(refreshMs)}`;
      return [problem(mapping, ['refresh'], message)];
    }),
  };
}
