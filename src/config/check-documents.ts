import { setImmediate as nextTurn } from 'node:timers/promises';
import { matches } from '../core/glob.ts';
import { checkMappingSection, crossCheck } from './checks/checks.ts';
import { type CheckBudget, checkCostly, includeBudget, ownBudget } from './checks/costly.ts';
import { findMissingHere, type MissingHereDeps } from './checks/missing-here.ts';
import { findWarnings } from './checks/service.ts';
import type { Config } from './config.ts';
import type { Sources } from './files/files.ts';
import { type Bound, type IncludeDeps, type IncludedFile, readIncludes } from './files/include.ts';
import { appendEntries, holdsUnclear, locate, mergeDocuments } from './files/merge.ts';
import type { ReadDocuments } from './files/read.ts';
import type { Located } from './files/yaml.ts';
import { claimsOf } from './include-claims.ts';
import { type CheckedVersion, type FilesInForce, type SettledIncludes, settleIncludes } from './includes.ts';
import { limitFindings } from './limits.ts';
import { type Parsed, parseMappings, parseSections } from './parse.ts';
import { type Place, type Problem, sortProblems, toProblem } from './problem.ts';
import { type ParsedFile, type ResolveDeps, resolveConfig, resolveHttp } from './resolve.ts';
import { checkUnit, isMissing } from './unit.ts';

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

export interface CheckDeps extends Omit<IncludeDeps, 'main'> {
  /** The main files, from which the documents were read. */
  readonly sources: Sources;
  readonly inForce: FilesInForce;
  /** The environment variables here. If set, a warning names each variable and file that is missing here. */
  readonly here?: MissingHereDeps['env'] | undefined;
}

/** The longest time without a pause, so that the service answers probes. */
const SLICE_MS = 25;

/** Reads included files, and checks the main files and each included file. Reports all problems in one result. */
export async function checkDocuments(main: ReadDocuments, deps: CheckDeps): Promise<LoadResult> {
  const { sources, inForce: previous, ...readDeps } = deps;
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

  const { root, findings: mergeFindings } = mergeDocuments(main.documents, start);
  const included = await readIncludes(root, { ...readDeps, main: sources.files });
  const pause = createPacer();
  const parsed = await parseSections(root.value as Readonly<Record<string, unknown>>, pause);
  const isWhole = sources.problems.length === 0 && main.isWhole;
  const checked = checkUnit({
    ...{ root, parsed, isWhole, unreadable, texts: main.texts },
    crossFindings: [
      ...(await crossCheck(root, parsed, isWhole, pause)),
      ...(await checkCostly(root, ownBudget(), pause)),
    ],
    placed: [...mergeFindings, ...included.findings],
  });
  await pause();
  const budgetOf = createBudgets();
  const settled = await settleIncludes(included.files, {
    mainClaims: claimsOf(parsed.mappings, root.members?.get('mappings')?.node.items ?? []),
    previous,
    check: (file, bound) => checkFile(file, bound, { root, parsed, isWhole, budget: budgetOf(bound), pause }),
    redact: checked.redact,
  });
  const absolute = new Map(sources.files.map((source) => [source.shown, source.absolute]));
  const paths = { absolute: (file: string) => absolute.get(file) ?? file, home: deps.home };
  const problems = sortProblems([...checked.problems, ...settled.states.flatMap((state) => state.problems)]);
  if (checked.isUsable && parsed.whole !== undefined) {
    const usable = usableConfig(parsed.whole, { root, settled, problems, paths });
    if (deps.here === undefined) return usable;
    const missing = await findMissingHere(root, { env: deps.here, paths, audit: usable.config.audit });
    return { ...usable, warnings: [...usable.warnings, ...missing.map(checked.redact)] };
  }
  const { http, instance } = parsed.sections;
  // A wrong address could receive requests with a token, so use these sections only if they are unambiguous.
  const isClear = (section: string): boolean => {
    const isDuplicated = mergeFindings.some(({ path }) => path[0] === section);
    return !isDuplicated && !holdsUnclear(root, [section]) && (isWhole || !isMissing(root, [section]));
  };
  return {
    ...{ kind: 'invalid', problems },
    ...(http !== undefined && isClear('http') ? { http: resolveHttp(http, root, paths) } : {}),
    ...(instance !== undefined && isClear('instance') ? { instance } : {}),
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
  readonly settled: SettledIncludes;
  readonly problems: readonly Problem[];
  readonly paths: ResolveDeps;
}

/** Adds the mappings of the included files that are in force to the main files. */
function usableConfig(main: ParsedFile, { root, settled, problems, paths }: UsableInput): UsableConfig {
  const { mappings: included, states, inForce } = settled;
  const mappings = [...main.mappings, ...included.map(({ parsed }) => parsed)];
  const bounds = [...main.mappings.map(() => undefined), ...included.map(({ bound }) => bound.rule)];
  const nodes = included.map(({ node }) => node);
  const options = { ...paths, bounds, includes: states };
  const config = resolveConfig({ ...main, mappings }, appendEntries(root, 'mappings', nodes), options);
  const { refused, warnings: ofLimits } = limitFindings(included);
  const ofService = findWarnings(config).map((warning) => toProblem(warning, locate(root, warning.path)));
  const warnings = [...ofService, ...ofLimits];
  return { kind: 'usable', config, problems: sortProblems([...problems, ...refused]), warnings, inForce };
}

interface CheckFileDeps {
  readonly root: Located;
  readonly parsed: Parsed;
  readonly isWhole: boolean;
  readonly budget: CheckBudget;
  readonly pause: () => Promise<void>;
}

/** Checks an included file, together with the stores and rules of the main files. */
async function checkFile(
  { source, mappings, problems, text }: Pick<IncludedFile, 'source' | 'mappings' | 'problems' | 'text'>,
  bound: Bound,
  { budget, pause, ...main }: CheckFileDeps,
): Promise<CheckedVersion> {
  const shared = ['stores', 'access'].flatMap((name) => {
    const member = main.root.members?.get(name);
    return member === undefined ? [] : [[name, member] as const];
  });
  const place: Place = { file: source.shown, line: 1, column: 1 };
  const values = mappings.map(({ value }) => value);
  const own = { keyPlace: place, node: { value: values, place, items: mappings } };
  const members = new Map([...shared, ['mappings', own]]);
  const value = Object.fromEntries([...members].map(([name, { node }]) => [name, node.value]));
  const root: Located = { value, place, members };
  const parsed = await parseMappings(values, pause);
  const inBounds = (namespace: string) => bound.rule.namespaces.some((glob) => matches(glob, namespace));
  const checked = checkUnit({
    ...{ root, bound, isWhole: main.isWhole, unreadable: problems, placed: [] },
    parsed: { access: main.parsed.access, findings: parsed.findings },
    crossFindings: [
      ...(await checkMappingSection(root, main.isWhole, inBounds, pause)),
      ...(await checkCostly(root, budget, pause)),
    ],
    texts: new Map([[source.shown, text]]),
  });
  return { ...checked, parsed: parsed.mappings };
}
