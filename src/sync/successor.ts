import type { Mapping } from '../core/mapping.ts';
import { searchesOf, sourcesOf } from './desired.ts';
import { relativeName } from './find.ts';
import { ANNOTATION, parseSources, type TargetSource } from './marks.ts';

interface Left {
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The mappings that may be that of a target that left, under another name: nothing says that it was renamed, but one
 * that was asks for all that the target was made of. Where nobody knows what that was, it may be any.
 */
export function successors<Its extends { readonly mapping: Mapping }>(
  wanted: readonly Its[],
): (left: Left) => readonly Its[] {
  const owning = wanted.filter(({ mapping }) => mapping.target.mode === 'own');
  const searching = owning.filter(({ mapping }) => searchesOf(mapping).length > 0);
  const bySource = new Map<string, Set<Its>>();
  for (const it of owning)
    for (const source of sourcesOf(it.mapping)) {
      const its = bySource.get(nameOf(source)) ?? new Set();
      bySource.set(nameOf(source), its.add(it));
    }
  const none: ReadonlySet<Its> = new Set();
  return ({ annotations }) => {
    const made = parseSources(annotations[ANNOTATION.sources]);
    if (made === undefined) return owning;
    const sources = [...made.values()];
    // Thousands may share a source, and hardly any two of them all.
    const [fewest] = sources
      .map((source) => bySource.get(nameOf(source)) ?? none)
      .toSorted((one, other) => one.size - other.size);
    // Of a target that is all template there is nothing to go by.
    if (fewest === undefined) return [];
    const candidates = new Set([...fewest, ...searching]);
    return [...candidates].filter(({ mapping }) => sources.every((it) => asksFor(mapping, it)));
  };
}

function nameOf({ store, key }: Pick<TargetSource, 'store' | 'key'>): string {
  return JSON.stringify([store, key]);
}

function asksFor(mapping: Mapping, { store, key, property }: TargetSource): boolean {
  const isFound = searchesOf(mapping).some(
    (search) => search.store === store && relativeName(search, key) !== undefined,
  );
  if (isFound) return true;
  return sourcesOf(mapping).some((source) => {
    if (source.store !== store || source.key !== key) return false;
    if (source.property === property) return true;
    // All members of an object, which a target names one by one.
    const isMember = source.property === undefined || property?.startsWith(`${source.property}.`) === true;
    return isMember && mapping.dataFrom.some((entry) => entry === source);
  });
}
