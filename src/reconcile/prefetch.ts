import type { Mapping } from '../core/mapping.ts';
import type { StoreRef } from '../core/read-result.ts';
import type { TargetId } from '../core/target.ts';
import { sourcesOf, storeRef } from '../sync/desired.ts';
import type { GatherDeps } from './gather.ts';

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
