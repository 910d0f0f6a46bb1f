import { refId, type SourceRef, type StoreRef } from '../core/read-result.ts';

/**
 * References that will be requested later. They are stored separately for each store, in the order in which they were
 * added.
 */
export interface PrefetchQueue {
  add(refs: readonly StoreRef[]): void;
  /** Returns up to `limit` references that have not been requested yet, and removes them from the queue. */
  take(store: string, limit: number): readonly SourceRef[];
}

/** @param isRequested Whether the reference with this `refId` has already been requested. */
export function createPrefetchQueue(isRequested: (id: string) => boolean): PrefetchQueue {
  const byStore = new Map<string, Map<string, SourceRef>>();
  return {
    add(refs) {
      for (const source of refs) {
        const queued = byStore.get(source.store) ?? new Map<string, SourceRef>();
        byStore.set(source.store, queued.set(refId(source), source.ref));
      }
    },
    take(store, limit) {
      const refs: SourceRef[] = [];
      const queued = byStore.get(store) ?? new Map<string, SourceRef>();
      for (const [id, ref] of queued) {
        if (refs.length === limit) break;
        queued.delete(id);
        if (!isRequested(id)) refs.push(ref);
      }
      return refs;
    },
  };
}
