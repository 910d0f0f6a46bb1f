import type { Mapping } from '../../core/mapping.ts';
import { refId, type StoreRef } from '../../core/read-result.ts';
import { sourcesOf, storeRef } from '../../sync/desired.ts';

const refsByMapping = new WeakMap<Mapping, ReadonlyMap<string, StoreRef>>();

/**
 * What a mapping reads, by `refId`. A mapping is never changed, so this is made once: ten thousand targets share what
 * their mappings have.
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
