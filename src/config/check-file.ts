import { matches } from '../core/glob.ts';
import { chargeAll, checkMappings, contextOf, type MappingCheckDeps } from './check-mappings.ts';
import type { CheckBudget } from './checks/costly.ts';
import { ClaimIndex } from './files/claim-index.ts';
import type { Bound, IncludedFile } from './files/include.ts';
import { holdsUnclear } from './files/merge.ts';
import type { Located } from './files/yaml.ts';
import { claimsOf } from './include-claims.ts';
import type { CheckedVersion } from './includes.ts';
import type { Parsed } from './parse.ts';
import type { Place, Problem } from './problem.ts';
import type { Include } from './shape/include.ts';
import { UnitProblems } from './unit.ts';

/** The main files, and how to check mappings against them. */
export interface CheckFileDeps {
  readonly root: Located;
  readonly parsed: Parsed;
  readonly isWhole: boolean;
  readonly pause: () => Promise<void>;
  readonly resolve: MappingCheckDeps['resolve'];
  readonly parseEntries: MappingCheckDeps['parseEntries'];
}

export function mappingDeps(main: CheckFileDeps, include: Include | undefined): MappingCheckDeps {
  const { pause, resolve, parseEntries } = main;
  return { pause, resolve, parseEntries, context: contextIn(main, include) };
}

function contextIn(
  { root, parsed, isWhole }: CheckFileDeps,
  include: Include | undefined,
): string | undefined {
  return parsed.whole !== undefined && isWhole ? contextOf(root.value, include) : undefined;
}

/**
 * The last checks in which nothing was found, by the list of mappings. A file that has not changed has the same list.
 * There may be thousands of such files.
 */
const cleanChecks = new WeakMap<
  readonly Located[],
  { readonly context: string; readonly checked: CheckedVersion }
>();

type FileToCheck = Pick<IncludedFile, 'source' | 'mappings' | 'problems' | 'text'>;

/**
 * Checks an included file, together with the stores and rules of the main files. Returns a known result without a
 * promise, because there may be thousands of files.
 */
export function checkFile(
  file: FileToCheck,
  bound: Bound,
  deps: CheckFileDeps & { readonly budget: CheckBudget },
): CheckedVersion | Promise<CheckedVersion> {
  const before = cleanChecks.get(file.mappings);
  if (before === undefined || file.problems.length > 0 || before.context !== contextIn(deps, bound.rule))
    return checkAnew(file, bound, deps);
  chargeAll(before.checked.valid, deps.budget);
  return before.checked;
}

async function checkAnew(
  file: FileToCheck,
  bound: Bound,
  { budget, ...main }: CheckFileDeps & { readonly budget: CheckBudget },
): Promise<CheckedVersion> {
  const { mappings } = file;
  const deps = mappingDeps(main, bound.rule);
  const { context } = deps;
  const checked = await checkVersion(file, bound, { ...main, budget, deps });
  const isClean =
    checked.problems.length === 0 && mappings.every(({ entry }) => entry?.verdict?.context === context);
  if (!isClean || context === undefined) return checked;
  const { valid, claims } = checked;
  const clean = { ...CLEAN, valid, claims };
  cleanChecks.set(mappings, { context, checked: clean });
  return clean;
}

/** Shared by all files in which nothing was found, to save memory. */
const CLEAN = { problems: [], isUsable: true, redact: (problem: Problem): Problem => problem };

async function checkVersion(
  { source, mappings, problems, text }: FileToCheck,
  bound: Bound,
  {
    budget,
    deps,
    ...main
  }: CheckFileDeps & { readonly budget: CheckBudget; readonly deps: MappingCheckDeps },
): Promise<CheckedVersion> {
  const shared = ['stores', 'access'].flatMap((name) => {
    const member = main.root.members?.get(name);
    return member === undefined ? [] : [[name, member] as const];
  });
  const place: Place = { file: source.shown, line: 1, column: 1 };
  const own = { keyPlace: place, node: { value: [], place, items: [] } };
  const members = new Map([...shared, ['mappings', own]]);
  const value = Object.fromEntries([...members].map(([name, { node }]) => [name, node.value]));
  const root: Located = { value, place, members };
  const { rule } = bound;
  const unit = new UnitProblems({
    ...{ access: main.parsed.access, policies: main.parsed.sections.policies },
    ...{ bound, isWhole: main.isWhole, unreadable: problems },
    isFullyClear: !holdsUnclear(root, []) && !mappings.some((mapping) => holdsUnclear(mapping, [])),
    texts: new Map([[source.shown, text]]),
  });
  const inBounds = (namespace: string) => rule.namespaces.some((glob) => matches(glob, namespace));
  const ofFile = {
    root,
    nodes: mappings,
    isWhole: main.isWhole,
    include: rule,
    problems: unit,
    claims: new ClaimIndex(),
    budget,
    inBounds,
  };
  const valid = await checkMappings(ofFile, deps);
  const checked = unit.checked();
  return { ...checked, valid, claims: checked.isUsable ? claimsOf(valid) : [] };
}
