import type { Access } from '../../config/shape/access.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import type { Mapping, Search, Source } from '../../core/mapping.ts';
import { type ReadResult, refId } from '../../core/read-result.ts';
import { compareText, type TargetId } from '../../core/target.ts';
import type { SourceReader } from '../../providers/source-reader.ts';
import { runSearch } from '../../reconcile/search.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { searchesOf, sourcesOf, storeRef } from '../../sync/desired.ts';
import {
  describeSearch,
  dropNeverWritten,
  type FoundKeys,
  foundNothing,
  foundSource,
} from '../../sync/find.ts';
import { absentError, describeSource } from '../../sync/value.ts';
import { withNearKey } from './near-keys.ts';

type Reader = Pick<SourceReader, 'read' | 'find'>;

export interface SourceCheckDeps {
  readonly reader: Reader;
  /** All targets that could be resolved. */
  readonly targets: readonly DesiredTarget[];
  readonly access: Access;
  /** Stores for which a failure has been reported. */
  readonly broken: ReadonlySet<string>;
}

/**
 * A mapping and the namespaces of its targets. If its namespace selector matches no namespace, the list contains a
 * single `undefined`.
 */
interface MappingUse {
  readonly mapping: Mapping;
  readonly namespaces: readonly (string | undefined)[];
}

/** A source, and the reason if the mapping is not allowed to read it. */
interface SourceUse {
  readonly source: Source;
  readonly refusal: AppError | undefined;
  /** Whether the mapping may read another key of this store. */
  readonly isAllowed: (key: string) => boolean;
}

/** A search of a mapping, its result, and the keys that it found. */
interface CheckedSearch {
  readonly use: MappingUse;
  readonly finding: Finding;
  readonly found: FoundKeys;
}

/**
 * Reads every source that its mapping may use. So a missing permission is reported for the key that needs it. Also runs
 * the searches, and reads the keys that they find.
 */
export async function checkSources(
  mappings: readonly Mapping[],
  { targets, access, broken, reader }: SourceCheckDeps,
): Promise<readonly Finding[]> {
  const mappingUses = mappingUsesOf(mappings, targets);
  const searched = await Promise.all(
    mappingUses.flatMap((use) =>
      searchesOf(use.mapping)
        .filter(({ store }) => !broken.has(store))
        .map((search) => checkSearch(use, search, access, reader)),
    ),
  );
  const named = mappingUses.flatMap((use) =>
    sourcesOf(use.mapping)
      .filter(({ store }) => !broken.has(store))
      .map((source) => sourceUse(use, source, access)),
  );
  const usesOf = (use: MappingUse, { search, keys }: FoundKeys): readonly SourceUse[] =>
    keys.map((key) => sourceUse(use, foundSource(search, key), access));

  const uses = [...named, ...searched.flatMap(({ use, found }) => usesOf(use, found))];
  const allowed = uses.filter(({ refusal }) => refusal === undefined);
  const results = await reader.read(allowed.map(({ source }) => storeRef(source)));
  const resultOf = (source: Source) => results.get(refId(storeRef(source)));
  // A list can contain deleted keys, so keep only the keys that exist.
  const existing = searched.map((search) => ({
    ...search,
    found: dropNeverWritten(search.found, undefined, resultOf, search.use.mapping),
  }));
  const keys = existing.flatMap(({ use, found }) => usesOf(use, found));
  const read = await Promise.all(
    [...named, ...keys].map((use) => readFinding(use, resultOf(use.source), reader)),
  );
  const isFound = (source: Source) => resultOf(source)?.kind === 'found';
  const withKeys = new Set([
    ...existing.flatMap(({ use, found }) => (found.keys.length > 0 ? use.mapping.name : [])),
    ...mappings.flatMap((mapping) =>
      mapping.template !== undefined || sourcesOf(mapping).some(isFound) ? mapping.name : [],
    ),
  ]);
  const searchFindings = existing.map((search) => searchFinding(search, withKeys));
  return onePerSource([...searchFindings, ...read]);
}

/**
 * Returns one finding for each source. If several mappings use a source, a failed check takes precedence over a
 * successful one.
 */
function onePerSource(findings: readonly Finding[]): readonly Finding[] {
  return [...Map.groupBy(findings, ({ name }) => name).values()]
    .flatMap((same) => same.find(({ error }) => error) ?? same.slice(0, 1))
    .sort((a, b) => compareText(a.name, b.name));
}

async function checkSearch(
  use: MappingUse,
  search: Search,
  access: Access,
  reader: Reader,
): Promise<CheckedSearch> {
  const name = `find ${describeSearch(search)}`;
  const { store, find } = search;
  try {
    const refusal = refusalOf(use, access, (who) => access.allowsSearch({ ...who, store, path: find.path }));
    if (refusal !== undefined) throw refusal;
    return { use, finding: { name }, found: await runSearch(search, reader) };
  } catch (thrown) {
    return { use, finding: { name, error: toAppError(thrown) }, found: { search, keys: [] } };
  }
}

/** Reports a search that finds nothing if its mapping has no other keys. Otherwise, the check of the target warns. */
function searchFinding(
  { use: { mapping }, finding, found: { search, keys } }: CheckedSearch,
  withKeys: ReadonlySet<string>,
): Finding {
  const isFine = keys.length > 0 || search.optional || withKeys.has(mapping.name);
  return finding.error !== undefined || isFine ? finding : { ...finding, error: foundNothing(search) };
}

function sourceUse(use: MappingUse, source: Source, access: Access): SourceUse {
  const { store, key } = source;
  const refusal = (wanted: string) =>
    refusalOf(use, access, (who) => access.allows({ ...who, store, key: wanted }));
  return { source, refusal: refusal(key), isAllowed: (wanted) => refusal(wanted) === undefined };
}

async function readFinding(
  { source, refusal, isAllowed }: SourceUse,
  result: ReadResult | undefined,
  reader: Pick<SourceReader, 'find'>,
): Promise<Finding> {
  const failure = sourceError(source, result);
  const { store, key } = source;
  const error = refusal ?? (failure && (await withNearKey(failure, { store, key, isAllowed }, reader)));
  const { property: _, ...whole } = source;
  return { name: `read ${describeSource(whole)}`, ...(error === undefined ? {} : { error }) };
}

function mappingUsesOf(
  mappings: readonly Mapping[],
  targets: readonly DesiredTarget[],
): readonly MappingUse[] {
  const resolved = targets.filter(({ error }) => error === undefined);
  const byMapping = Map.groupBy(resolved, ({ mapping }) => mapping.name);
  return mappings.map((mapping) => ({
    mapping,
    namespaces: byMapping.get(mapping.name)?.map(({ id }) => id.namespace) ?? [undefined],
  }));
}

type Who = { readonly mapping: Mapping; readonly namespace: string | undefined };

/**
 * Returns the reason why a mapping is not allowed to use a source in one of its namespaces. If the mapping has no
 * namespace, checks only the rules that apply to every namespace.
 */
function refusalOf(
  { mapping, namespaces }: MappingUse,
  access: Access,
  allows: (who: Who) => boolean,
): AppError | undefined {
  const refusals = namespaces
    .filter((namespace) => !allows({ mapping, namespace }))
    .map((namespace) => access.forbiddenNamespace(namespace) ?? new AppError('NOT_ALLOWED'));
  return refusals[0];
}

function sourceError(source: Source, result: ReadResult | undefined): AppError | undefined {
  if (result?.kind === 'failed') return result.error;
  return result?.kind === 'absent' && !source.optional ? absentError(source, result.place) : undefined;
}

/** The result of one check. The check passed if there is no error. */
export interface Finding {
  readonly name: string;
  /** Set if the check is about one target. */
  readonly about?: { readonly mapping: string } & TargetId;
  readonly error?: AppError;
  /** What works, but needs attention. */
  readonly warnings?: readonly AppError[];
}
