import type { Actor } from '../audit/entry.ts';
import type { Mapping } from '../core/mapping.ts';
import type { StoreRef } from '../core/read-result.ts';
import type { TargetId } from '../core/target.ts';
import type { VersionResult } from '../providers/provider.ts';
import { refsOf, sourcesOf } from '../sync/desired.ts';
import type { GatherDeps } from './gather.ts';
import type { ReconcileDeps } from './reconcile.ts';

/** State that the runs of one request share, such as the values read. */
export interface SyncContext extends ReconcileDeps {
  /** Who asked for the runs. */
  readonly actor: Actor;
  /** Returns the parts of this context that are different for each run. */
  forRun(run: ContextRun): Pick<SyncContext, 'read' | 'whenRecorded' | 'find' | 'recorder' | 'approvals'>;
  /**
   * Announces references that will be read, approximately in this order, so that their reads can start early.
   *
   * @param isSoon Whether these references are needed before the others.
   */
  expect(refs: readonly StoreRef[], isSoon?: boolean): void;
  /**
   * Returns for each key, in the order of the keys, whether it has changed and must be read. The result is only a hint.
   */
  versions(store: string, keys: readonly string[]): Promise<readonly VersionResult[]>;
}

export interface ContextRun {
  /** The request id of the run's records. A repetition of a request has a suffix (`core/tracer.ts`). */
  readonly requestId: string;
  /**
   * The run reuses a value of its context only if the request for the value was sent after this time, in milliseconds
   * since 1970.
   */
  readonly readAfter: number;
}

/**
 * Returns the references that the runs of these targets will read. If a mapping is not allowed to read one of its
 * sources, or to have this target, its runs read none of them.
 */
export function expectedReads(
  targets: readonly { readonly mapping: Mapping; readonly id: TargetId; readonly error?: unknown }[],
  { allows, forbiddenTarget }: Pick<GatherDeps, 'allows' | 'forbiddenTarget'>,
): readonly StoreRef[] {
  return targets.flatMap(({ mapping, id, error }) => {
    const { namespace } = id;
    const sources = error === undefined ? sourcesOf(mapping) : [];
    const may =
      sources.every(({ store, key }) => allows({ mapping, namespace, store, key })) &&
      forbiddenTarget?.(mapping, id) === undefined;
    return may ? [...refsOf(mapping).values()] : [];
  });
}
