import { refId, type SourceRef, type StoreRef } from '../core/reading.ts';

/** What will be asked for, by its store, in the order in which that was said. */
export interface Expected {
  add(refs: readonly StoreRef[]): void;
  /** The next ones that nobody has asked for so far, so many at most; each is given once. */
  take(store: string, most: number): readonly SourceRef[];
}

/** @param isKnown Whether it has been asked for, by its `refId`. */
export function createExpected(isKnown: (id: string) => boolean): Expected {
  const byStore = new Map<string, Map<string, SourceRef>>();
  return {
    add(refs) {
      for (const source of refs) {
        const all = byStore.get(source.store) ?? new Map<string, SourceRef>();
        byStore.set(source.store, all.set(refId(source), source.ref));
      }
    },
    take(store, most) {
      const found: SourceRef[] = [];
      const all = byStore.get(store) ?? new Map<string, SourceRef>();
      for (const [id, ref] of all) {
        if (found.length === most) break;
        all.delete(id);
        if (!isKnown(id)) found.push(ref);
      }
      return found;
    },
  };
}
