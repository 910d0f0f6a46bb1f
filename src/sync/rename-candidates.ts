import type { Mapping } from '../core/mapping.ts';
import { searchesOf, sourcesOf } from './desired.ts';
import { relativeName } from './find.ts';
import { ANNOTATION, parseSources, type TargetSource } from './ownership-metadata.ts';

interface OrphanMetadata {
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Finds the mappings that may be the renamed mapping of an orphaned target. A renamed mapping reads all sources from
 * which the target was made. If these sources are unknown, every mapping is a candidate.
 */
export function renameCandidates<Target extends { readonly mapping: Mapping }>(
  targets: readonly Target[],
): (orphan: OrphanMetadata) => readonly Target[] {
  const owning = targets.filter(({ mapping }) => mapping.target.mode === 'own');
  const searching = owning.filter(({ mapping }) => searchesOf(mapping).length > 0);
  const bySource = new Map<string, Set<Target>>();
  for (const target of owning)
    for (const source of sourcesOf(target.mapping)) {
      const sharing = bySource.get(nameOf(source)) ?? new Set();
      bySource.set(nameOf(source), sharing.add(target));
    }
  const none: ReadonlySet<Target> = new Set();
  return ({ annotations }) => {
    const writtenSources = parseSources(annotations[ANNOTATION.sources]);
    if (writtenSources === undefined) return owning;
    const sources = [...writtenSources.values()];
    // Thousands of mappings may share one source, so start with the source that the fewest mappings read.
    const [fewest] = sources
      .map((source) => bySource.get(nameOf(source)) ?? none)
      .toSorted((a, b) => a.size - b.size);
    // If a target consists only of templates, it has no recorded source.
    if (fewest === undefined) return [];
    const candidates = new Set([...fewest, ...searching]);
    return [...candidates].filter(({ mapping }) =>
      sources.every((targetSource) => readsSource(mapping, targetSource)),
    );
  };
}

function nameOf({ store, key }: Pick<TargetSource, 'store' | 'key'>): string {
  return JSON.stringify([store, key]);
}

function readsSource(mapping: Mapping, { store, key, property }: TargetSource): boolean {
  const isFound = searchesOf(mapping).some(
    (search) => search.store === store && relativeName(search, key) !== undefined,
  );
  if (isFound) return true;
  return sourcesOf(mapping).some((source) => {
    if (source.store !== store || source.key !== key) return false;
    if (source.property === property) return true;
    // The target records each member of a spread object separately.
    const isMember = source.property === undefined || property?.startsWith(`${source.property}.`) === true;
    return isMember && mapping.dataFrom.some((entry) => entry === source);
  });
}
