import type { Mapping } from '../core/mapping.ts';
import { checkEachMapping, findDuplicates } from './checks/checks.ts';
import { type CheckBudget, charge, checkCostly } from './checks/costly.ts';
import type { ClaimIndex } from './files/claim-index.ts';
import { opened } from './files/divided.ts';
import type { Entry } from './files/entries.ts';
import type { Located } from './files/yaml.ts';
import { checkCost } from './limits.ts';
import { parseMappings } from './parse.ts';
import type { ValidMapping } from './resolve.ts';
import type { Include } from './shape/include.ts';
import type { MappingConfig } from './shape/mapping.ts';
import type { UnitProblems } from './unit.ts';

/** The mappings of one unit, and what their check depends on. */
export interface MappingCheck {
  /** The sections of the unit, without mappings. */
  readonly root: Located;
  readonly nodes: readonly Located[];
  readonly include: Include | undefined;
  readonly isWhole: boolean;
  readonly problems: UnitProblems;
  /** The index of the previous load, or a new one. */
  readonly claims: ClaimIndex;
  readonly budget: CheckBudget;
  /** Whether a mapping may have targets in this namespace. */
  readonly inBounds: (namespace: string) => boolean;
}

export interface MappingCheckDeps {
  /** Lets the event loop run. */
  readonly pause: () => Promise<void>;
  /** Parses the texts of mappings whose parsed texts were dropped. */
  readonly parseEntries: (entries: readonly Entry[]) => Promise<void>;
  /**
   * Everything besides the text of a mapping that its check depends on. Undefined if the sections have problems, so
   * that no result of a check can be kept.
   */
  readonly context: string | undefined;
  readonly resolve: (parsed: MappingConfig, include: Include | undefined) => Mapping;
}

/** The number of mappings that are unpacked at a time. As objects they take fifteen times the size of their text. */
const BATCH = 500;

/**
 * Checks the mappings of a unit. A mapping that was checked in an earlier load is not checked again. Mappings with the
 * same name or the same target are compared in each load.
 *
 * @returns Each mapping that matches the schema, at its index in the unit.
 */
export async function checkMappings(
  check: MappingCheck,
  deps: MappingCheckDeps,
): Promise<readonly (ValidMapping | undefined)[]> {
  const { nodes, include } = check;
  const valid = new Array<ValidMapping | undefined>(nodes.length).fill(undefined);
  const unchecked: number[] = [];
  for (const [index, node] of nodes.entries()) {
    const verdict = node.entry?.verdict;
    if (verdict === undefined || verdict.context !== deps.context) unchecked.push(index);
    else valid[index] = { node, refresh: verdict.refresh, mapping: verdict.mapping, include };
  }
  const comparable = check.claims.update(nodes);
  const needed = [...comparable, ...unchecked].flatMap((index) => nodes[index]?.entry ?? []);
  await deps.parseEntries(needed.filter(({ packed }) => packed === undefined));
  if (comparable.length > 0) {
    const root = withMappings(check.root, nodes, comparable);
    const crossFindings = findDuplicates(root, check.inBounds);
    check.problems.addComparisons({ root, findings: [], crossFindings });
  }
  const chargeKnown = createCharge([...valid], check.budget);
  for (let from = 0; from < unchecked.length; from += BATCH)
    await checkBatch(unchecked.slice(from, from + BATCH), check, { ...deps, chargeKnown }, valid);
  chargeKnown(nodes.length);
  return valid;
}

/**
 * Returns a function that charges the mappings in front of an index that need no check. So each load finds the same
 * mappings to be too costly.
 */
function createCharge(
  known: readonly (ValidMapping | undefined)[],
  budget: CheckBudget,
): (until: number) => void {
  let next = 0;
  return (until) => {
    if (budget.cost === Number.POSITIVE_INFINITY) return;
    for (; next < until; next += 1) {
      const mapping = known[next]?.mapping;
      if (mapping !== undefined) charge(checkCost(mapping), budget);
    }
  };
}

/** Charges the mappings of a file that needs no check. */
export function chargeAll(known: readonly (ValidMapping | undefined)[], budget: CheckBudget): void {
  createCharge(known, budget)(known.length);
}

async function checkBatch(
  indexes: readonly number[],
  check: MappingCheck,
  deps: MappingCheckDeps & { readonly chargeKnown: (until: number) => void },
  valid: (ValidMapping | undefined)[],
): Promise<void> {
  const { nodes, include, isWhole, problems, budget } = check;
  const { pause, context, resolve, chargeKnown } = deps;
  const root = withMappings(check.root, nodes, indexes);
  const { mappings, findings } = await parseMappings(root, pause);
  const cross = await checkEachMapping(root, isWhole, pause);
  const costly = await checkCostly(root, budget, { pause, before: chargeKnown });
  const crossFindings = [...cross, ...costly.findings];
  const found = problems.addMappings({ root, findings, crossFindings });
  await pause();
  for (const [index, parsed] of mappings) {
    const node = nodes[index];
    if (node === undefined) continue;
    const mapping = resolve(parsed, include);
    const { refresh } = parsed;
    valid[index] = { node, refresh, mapping, include };
    const { entry } = node;
    if (entry === undefined || context === undefined) continue;
    if (found.has(index) || costly.unchecked.has(index)) continue;
    entry.verdict = { context, refresh, mapping };
    // The mappings of tenants are few, and their limits are compared in each load.
    if (include === undefined) entry.packed = undefined;
  }
}

/** Returns a root with only these mappings. The others are holes in the list, so that indexes stay. */
function withMappings(root: Located, nodes: readonly Located[], indexes: readonly number[]): Located {
  const list = root.members?.get('mappings');
  if (list === undefined) return root;
  const items = new Array<Located>(nodes.length);
  for (const index of indexes) {
    const node = nodes[index];
    if (node !== undefined) items[index] = opened(node);
  }
  // Other than a copy, `map` keeps the holes.
  const value = items.map((item) => item.value);
  const members = new Map(root.members).set('mappings', { ...list, node: { ...list.node, items, value } });
  return { ...root, members, value: { ...(root.value as object), mappings: value } };
}

/** The contexts of the last sections, by include. Thousands of files may have the same. */
const contexts = new WeakMap<object, Map<Include | undefined, string>>();
/** The last context of each include. Equal contexts share one text, because the mappings keep it from load to load. */
const lastContexts = new WeakMap<object, string>();
const NO_INCLUDE = {};

/** Returns everything besides a mapping that its checks depend on. */
export function contextOf(sections: unknown, include: Include | undefined): string {
  const { stores, access, defaults, policies } = sections as Readonly<Record<string, unknown>>;
  const known = contexts.get(sections as object) ?? new Map<Include | undefined, string>();
  contexts.set(sections as object, known);
  const context = known.get(include) ?? sharedText([stores, access, defaults, policies, include]);
  known.set(include, context);
  return context;

  function sharedText(parts: readonly unknown[]): string {
    const text = JSON.stringify(parts.map((part) => part ?? null));
    const before = lastContexts.get(include ?? NO_INCLUDE);
    const shared = before === text ? before : text;
    lastContexts.set(include ?? NO_INCLUDE, shared);
    return shared;
  }
}
