import type { Mapping } from '../../core/mapping.ts';
import { refId, type StoreRef } from '../../core/read-result.ts';
import { sourcesOf, storeRef } from '../../sync/desired.ts';

const refsByMapping = new WeakMap<Mapping, ReadonlyMap<string, StoreRef>>();

/**
 * Returns the references of a mapping, by `refId`. Mappings are immutable, so the result is cached and shared by all
 * targets.
 */
export function refsOf(mapping: Mapping): ReadonlyMap<string, StoreRef> {
  const before = refsByMapping.get(mapping);
  if (before !== undefined) return before;
  const refs = new Map(
    sourcesOf(mapping).map((source) => {
      const ref = storeRef(source);
      return [refId(ref), ref] as const;
    }),
  );
  refsByMapping.set(mapping, refs);
  return refs;
}
