import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Mapping } from '../core/mapping.ts';
import { type CheckFileDeps, checkFile, mappingDeps } from './check-file.ts';
import { checkMappings, type MappingCheckDeps } from './check-mappings.ts';
import { crossCheck } from './checks/checks.ts';
import { type CheckBudget, includeBudget, ownBudget } from './checks/costly.ts';
import { findMissingHere, type MissingHereDeps } from './checks/missing-here.ts';
import { findWarnings } from './checks/service.ts';
import type { Config } from './config.ts';
import { isSame } from './diff.ts';
import type { ConfigMapSource } from './files/config-maps.ts';
import type { Sources } from './files/files.ts';
import { type Bound, type IncludeDeps, readIncludes } from './files/include.ts';
import { holdsUnclear, locate, mergeDocuments, type PlacedFinding } from './files/merge.ts';
import type { ReadDocuments } from './files/read.ts';
import type { Located } from './files/yaml.ts';
import { claimsOf } from './include-claims.ts';
import { type FilesInForce, type SettledIncludes, settleIncludes } from './includes.ts';
import { limitFindings } from './limits.ts';
import { parseSections } from './parse.ts';
import { type Place, type Problem, sortProblems, toProblem } from './problem.ts';
import {
  createMappingResolver,
  type ResolveDeps,
  resolveConfig,
  resolveHttp,
  type Sections,
  type ValidMapping,
} from './resolve.ts';
import { configMapsOf, selectConfigMaps } from './select-config-maps.ts';
import { Defaults } from './shape/mapping.ts';
import { isMissing, UnitProblems } from './unit.ts';

export interface UsableConfig {
  readonly kind: 'usable';
  readonly config: Config;
  readonly problems: readonly Problem[];
  /** Settings that have another effect than their author may expect. */
  readonly warnings: readonly Problem[];
  /** For the next load. */
  readonly inForce: FilesInForce;
}

/**
 * The result of a load. A usable configuration may still have problems: an invalid included file and a mapping without
 * permission do not affect other mappings, and a suspected credential may be harmless.
 */
export type LoadResult =
  | UsableConfig
  | {
      readonly kind: 'invalid';
      readonly problems: readonly Problem[];
      /**
       * Set if the `http` section is valid. If a service keeps its previous configuration because of other mistakes, it
       * can still listen at this address.
       */
      readonly http?: Config['http'];
      /** Set if the name of the instance is valid. */
      readonly instance?: string;
    };

export interface CheckDeps extends Omit<IncludeDeps, 'main' | 'hasConfigMaps'> {
  /** Without it, ConfigMaps are left out. */
  readonly configMaps: ConfigMapSource | undefined;
  /** The main files, from which the documents were read. */
  readonly sources: Sources;
  readonly inForce: FilesInForce;
  /** The mappings in force. */
  readonly mappings: readonly Mapping[];
  /** The environment variables here. If set, a warning names each variable and file that is missing here. */
  readonly here?: MissingHereDeps['env'] | undefined;
}

/** The longest time without a pause, so that the service answers probes. */
const SLICE_MS = 25;

/** Reads included files, and checks the main files and each included file. Reports all problems in one result. */
export async function checkDocuments(main: ReadDocuments, deps: CheckDeps): Promise<LoadResult> {
  const { sources, inForce: previous, mappings, configMaps, ...readDeps } = deps;
  const start: Place = { file: sources.files[0]?.shown ?? '', line: 1, column: 1 };
  const unreadable = [...sources.problems, ...main.problems];
  if (main.documents.length === 0) {
    const empty = toProblem(
      { path: [], code: 'CONFIG_INVALID', message: 'the configuration is empty' },
      start,
    );
    const blankCount = [...main.texts.values()].filter((text) => text.trim() === '').length;
    return { kind: 'invalid', problems: unreadable.length > blankCount ? sortProblems(unreadable) : [empty] };
  }

  const { root: merged, findings: mergeFindings } = mergeDocuments(main.documents, start);
  const paths = pathsOf(sources, deps.home);
  const isWhole = sources.problems.length === 0 && main.isWhole;
  const hasConfigMaps = isWhole && (await selectConfigMaps(merged, configMaps, paths));
  const included = await readIncludes(merged, { ...readDeps, main: sources.files, hasConfigMaps });
  const pause = createPacer();
  const nodes = merged.members?.get('mappings')?.node.items ?? [];
  const root = withoutMappings(merged);
  const parsed = await parseSections(root.value as Readonly<Record<string, unknown>>, pause);
  const { access, sections } = parsed;
  const ofUnit = { access, policies: sections.policies, isWhole, unreadable, texts: main.texts };
  const unit = new UnitProblems({ ...ofUnit, isFullyClear: !holdsUnclear(merged, []) });
  unit.addPlaced([...mergeFindings, ...included.findings]);
  unit.addSections({ root, findings: parsed.findings, crossFindings: crossCheck(root, parsed, isWhole) });
  await pause();
  const resolve = createResolver(parsed.whole, mappings);
  const checkDeps = { root, parsed, isWhole, pause, resolve, parseEntries: deps.parse.entries };
  const bounds = { include: undefined, budget: ownBudget(), inBounds: () => true };
  const { claims } = deps.parse;
  const ownMappings = { root, nodes, isWhole, claims, problems: unit, ...bounds };
  const valid = await checkMappings(ownMappings, mappingDeps(checkDeps, undefined));
  const checked = unit.checked();
  await pause();
  const budgetOf = createBudgets();
  const settled = await settleIncludes(included.files, {
    mainClaims: included.files.length === 0 ? [] : claimsOf(valid),
    previous,
    check: (file, bound) => checkFile(file, bound, { ...checkDeps, budget: budgetOf(bound) }),
    redact: checked.redact,
  });
  const problems = sortProblems([...checked.problems, ...settled.states.flatMap((state) => state.problems)]);
  const own = valid.filter((mapping) => mapping !== undefined);
  if (checked.isUsable && parsed.whole !== undefined && own.length === nodes.length) {
    const usable = usableConfig(parsed.whole, { root, own, settled, problems, paths });
    if (deps.here === undefined) return usable;
    const missing = await findMissingHere(root, { env: deps.here, paths, audit: usable.config.audit });
    return { ...usable, warnings: [...usable.warnings, ...missing.map(checked.redact)] };
  }
  return {
    ...{ kind: 'invalid', problems },
    ...clearSections({ root, parsed, isWhole }, mergeFindings, paths),
  };
}

function pathsOf({ files }: Sources, home: string | undefined): ResolveDeps {
  const absolute = new Map(files.map((source) => [source.shown, source.absolute]));
  return { absolute: (file) => absolute.get(file) ?? file, home };
}

/** Returns the sections that are used although others are invalid. */
function clearSections(
  { root, parsed, isWhole }: Pick<CheckFileDeps, 'root' | 'parsed' | 'isWhole'>,
  mergeFindings: readonly PlacedFinding[],
  paths: ResolveDeps,
): Pick<Extract<LoadResult, { readonly kind: 'invalid' }>, 'http' | 'instance'> {
  const { http, instance } = parsed.sections;
  // A wrong address could receive requests with a token, so use these sections only if they are unambiguous.
  const isClear = (section: string): boolean => {
    const isDuplicated = mergeFindings.some(({ path }) => path[0] === section);
    return !isDuplicated && !holdsUnclear(root, [section]) && (isWhole || !isMissing(root, [section]));
  };
  return {
    ...(http !== undefined && isClear('http') ? { http: resolveHttp(http, root, paths) } : {}),
    ...(instance !== undefined && isClear('instance') ? { instance } : {}),
  };
}

/** Removes the entries of the list `mappings`, which are checked by themselves. */
function withoutMappings(root: Located): Located {
  const list = root.members?.get('mappings');
  if (list?.node.items === undefined) return root;
  const node = { ...list.node, items: [], value: [] };
  const members = new Map(root.members).set('mappings', { ...list, node });
  return { ...root, members, value: { ...(root.value as object), mappings: [] } };
}

/** Searching the list for so many mappings is faster than a map of all mappings. */
const FEW_MAPPINGS = 16;

/** Returns a function that fills in the defaults of a mapping. It returns the mapping in force if nothing changes. */
function createResolver(
  sections: Sections | undefined,
  inForce: readonly Mapping[],
): MappingCheckDeps['resolve'] {
  // Without valid sections, the mappings are only compared with each other.
  const resolve = createMappingResolver(
    sections ?? { defaults: Defaults.parse({}), stores: [], policies: [] },
  );
  let byName: ReadonlyMap<string, Mapping> | undefined;
  let searches = 0;
  const find = (name: string): Mapping | undefined => {
    searches += 1;
    if (searches <= FEW_MAPPINGS) return inForce.find((mapping) => mapping.name === name);
    byName ??= new Map(inForce.map((mapping) => [mapping.name, mapping]));
    return byName.get(name);
  };
  return (parsed, include) => {
    const mapping = resolve(parsed, include);
    const before = find(mapping.name);
    return before !== undefined && isSame(before, mapping) ? before : mapping;
  };
}

/** Returns a function that lets the event loop run if the last pause was too long ago. */
function createPacer(): () => Promise<void> {
  let sliceStart = performance.now();
  return async () => {
    if (performance.now() - sliceStart < SLICE_MS) return;
    await nextTurn();
    sliceStart = performance.now();
  };
}

/** Returns a function that returns the budget of an include, which its files share. */
function createBudgets(): (bound: Bound) => CheckBudget {
  const budgets = new Map<string, CheckBudget>();
  return ({ rule }) => {
    const budget = budgets.get(rule.path) ?? includeBudget(rule);
    budgets.set(rule.path, budget);
    return budget;
  };
}

interface UsableInput {
  readonly root: Located;
  /** The mappings of the main files. */
  readonly own: readonly ValidMapping[];
  readonly settled: SettledIncludes;
  readonly problems: readonly Problem[];
  readonly paths: ResolveDeps;
}

/** Adds the mappings of the included files that are in force to the main files. */
function usableConfig(main: Sections, { root, own, settled, problems, paths }: UsableInput): UsableConfig {
  const { mappings: included, states, inForce } = settled;
  const mappings = included.length === 0 ? own : [...own, ...included];
  const config = {
    ...resolveConfig(main, root, { ...paths, mappings, includes: states }),
    ...configMapsOf(settled),
  };
  const { refused, warnings: ofLimits } = limitFindings(included);
  const ofService = findWarnings(config).map((warning) => toProblem(warning, locate(root, warning.path)));
  const warnings = [...ofService, ...ofLimits];
  return { kind: 'usable', config, problems: sortProblems([...problems, ...refused]), warnings, inForce };
}
