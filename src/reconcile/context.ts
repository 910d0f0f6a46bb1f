import type { Mapping } from '../core/mapping.ts';
import type { StoreRef } from '../core/read-result.ts';
import type { TargetId } from '../core/target.ts';
import type { VersionResult } from '../providers/provider.ts';
import { sourcesOf, storeRef } from '../sync/desired.ts';
import type { GatherDeps } from './gather.ts';
import type { ReconcileDeps } from './reconcile.ts';

/** State that the runs of one request share: the values read, and the request id of their records. */
export interface SyncContext extends ReconcileDeps {
  /**
   * Returns read functions that share a value of this context only if its request to the store started after this time,
   * in milliseconds since 1970.
   */
  readingSince(after: number): Pick<SyncContext, 'read' | 'whenRecorded' | 'find'>;
  /** Announces references that will be read soon, approximately in this order. */
  expect(refs: readonly StoreRef[]): void;
  /** Returns which keys have changed and must be read, in the order of the keys. The result is only a hint. */
  versions(store: string, keys: readonly string[]): Promise<readonly VersionResult[]>;
}

/**
 * Returns the references that a run of these targets will read. A mapping that may not read all of its sources reads
 * none.
 */
export function expectedReads(
  targets: readonly { readonly mapping: Mapping; readonly id: TargetId; readonly error?: unknown }[],
  { allows }: Pick<GatherDeps, 'allows'>,
): readonly StoreRef[] {
  return targets.flatMap(({ mapping, id: { namespace }, error }) => {
    const sources = error === undefined ? sourcesOf(mapping) : [];
    const may = sources.every(({ store, key }) => allows({ mapping: mapping.name, namespace, store, key }));
    return may ? sources.map(storeRef) : [];
  });
}
