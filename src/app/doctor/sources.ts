import type { Access } from '../../config/shape/access.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import type { Mapping, Search, Source } from '../../core/mapping.ts';
import { type ReadResult, refId } from '../../core/reading.ts';
import { compareText } from '../../core/target.ts';
import { createReader, type ReaderDeps } from '../../providers/reader.ts';
import { runSearch } from '../../reconcile/gather.ts';
import type { Wanted } from '../../reconcile/targets.ts';
import { searchesOf, sourcesOf, storeRef } from '../../sync/desired.ts';
import { describeSearch, type FoundKeys, foundSource, withoutNeverThere } from '../../sync/find.ts';
import { describeSource } from '../../sync/value.ts';
import type { Finding } from './finding.ts';

export interface SourceCheckDeps extends Pick<ReaderDeps, 'open' | 'signal'> {
  /** As far as they are known. */
  readonly targets: readonly Wanted[];
  readonly access: Access;
  /** Stores of which it is said already that they do not work. */
  readonly broken: ReadonlySet<string>;
}

/** A mapping and where its targets are: nowhere yet, as long as its selector chooses no namespace. */
interface Place {
  readonly mapping: Mapping;
  readonly namespaces: readonly (string | undefined)[];
}

/** Something to be read for a mapping, or why it may not be. */
interface Use {
  readonly source: Source;
  readonly refusal: AppError | undefined;
}

/**
 * Each source is read, by its own name, so that a missing permission shows with the key that needs it. Searches are
 * run, and what they find is read like it. What a mapping may not use is not read for it.
 */
export async function checkSources(
  mappings: readonly Mapping[],
  { targets, access, broken, ...deps }: SourceCheckDeps,
): Promise<readonly Finding[]> {
  const reader = createReader({ ...deps, onRead: async () => undefined });
  const places = placesOf(mappings, targets);
  const useOf = (place: Place, source: Source): Use => ({
    source,
    refusal: refusalOf(place, access, (who) =>
      access.allows({ ...who, store: source.store, key: source.key }),
    ),
  });
  const search = async (
    place: Place,
    it: Search,
  ): Promise<{ finding: Finding; place: Place; found: FoundKeys }> => {
    const name = `find ${describeSearch(it)}`;
    const { store, find } = it;
    try {
      const refusal = refusalOf(place, access, (who) =>
        access.allowsSearch({ ...who, store, path: find.path }),
      );
      if (refusal !== undefined) throw refusal;
      return { finding: { name }, place, found: await runSearch(it, reader) };
    } catch (thrown) {
      return { finding: { name, error: toAppError(thrown) }, place, found: { search: it, keys: [] } };
    }
  };

  const searches = places.flatMap((place) =>
    searchesOf(place.mapping)
      .filter(({ store }) => !broken.has(store))
      .map((it) => search(place, it)),
  );
  const searched = await Promise.all(searches);
  const named = places.flatMap((place) =>
    sourcesOf(place.mapping)
      .filter(({ store }) => !broken.has(store))
      .map((source) => useOf(place, source)),
  );
  const usesOf = (place: Place, { search, keys }: FoundKeys): readonly Use[] =>
    keys.map((key) => useOf(place, foundSource(search, key)));
  const uses = [...named, ...searched.flatMap(({ place, found }) => usesOf(place, found))];
  const allowed = uses.filter(({ refusal }) => refusal === undefined);
  const results = await reader.read(allowed.map(({ source }) => storeRef(source)));
  const resultOf = (source: Source) => results.get(refId(storeRef(source)));
  // What is listed and gone is no part of a target, unless it was.
  const there = searched.flatMap(({ place, found }) =>
    usesOf(place, withoutNeverThere(found, undefined, resultOf, place.mapping)),
  );
  const findings = [
    ...searched.map(({ finding }) => finding),
    ...[...named, ...there].map(({ source, refusal }): Finding => {
      const error = refusal ?? sourceError(source, resultOf(source));
      const { property: _, ...whole } = source;
      return { name: `read ${describeSource(whole)}`, ...(error === undefined ? {} : { error }) };
    }),
  ];
  // One line for each: an error, if any mapping meets one.
  return [...Map.groupBy(findings, ({ name }) => name).values()]
    .flatMap((same) => same.find(({ error }) => error !== undefined) ?? same.slice(0, 1))
    .sort((a, b) => compareText(a.name, b.name));
}

function placesOf(mappings: readonly Mapping[], targets: readonly Wanted[]): readonly Place[] {
  const known = targets.filter(({ error }) => error === undefined);
  const byMapping = Map.groupBy(known, ({ mapping }) => mapping.name);
  return mappings.map((mapping) => ({
    mapping,
    namespaces: byMapping.get(mapping.name)?.map(({ id }) => id.namespace) ?? [undefined],
  }));
}

type Who = { readonly mapping: string; readonly namespace: string | undefined };

/** Why a mapping may not use something in one of its namespaces; or anywhere, while it has none. */
function refusalOf(
  { mapping, namespaces }: Place,
  access: Access,
  allows: (who: Who) => boolean,
): AppError | undefined {
  const refusals = namespaces
    .filter((namespace) => !allows({ mapping: mapping.name, namespace }))
    .map((namespace) => access.barred(namespace) ?? new AppError('NOT_ALLOWED'));
  return refusals[0];
}

function sourceError(source: Source, result: ReadResult | undefined): AppError | undefined {
  if (result?.kind === 'failed') return result.error;
  return result?.kind === 'absent' && !source.optional ? new AppError('SOURCE_ABSENT') : undefined;
}
