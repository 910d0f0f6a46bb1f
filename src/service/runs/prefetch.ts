import type { TargetId } from '../../core/target.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import { expectedReads } from '../../reconcile/context.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { TargetStates } from '../target-states.ts';
import type { Triggers } from '../triggers.ts';

export interface PrefetchDeps {
  readonly triggers: Pick<Triggers, 'requestedWith'>;
  readonly snapshot: () => ConfigSnapshot;
  readonly states: Pick<TargetStates, 'meta' | 'get' | 'lastRun'>;
  /** Whether the target's state is known from a watch. */
  readonly isListed: (id: TargetId) => boolean;
}

/**
 * Announces the reads of all targets of a request to their shared context. The returned context also reports missing
 * targets. A target is missing if the watch shows no Secret and the target has had no run. After a run, the watch may
 * not show the written Secret yet.
 */
export function withPrefetch(
  context: SyncContext,
  { triggers, snapshot, states, isListed }: PrefetchDeps,
): SyncContext {
  const lastRequest = triggers.requestedWith(context.recorder.requestId);
  const waiting = lastRequest.flatMap(({ target, lastRequest: { at = 0 } = {} }) =>
    snapshot()
      .forTarget(target)
      .filter(
        ({ mapping, id }) => (states.lastRun(mapping.name, id)?.freshAt ?? Number.NEGATIVE_INFINITY) < at,
      ),
  );
  context.expect(expectedReads(waiting, context));
  const isNew = (id: TargetId) =>
    snapshot()
      .forTarget(id)
      .every(({ mapping }) => states.get(mapping.name, id) === undefined);
  return { ...context, isMissing: (id) => isListed(id) && states.meta(id) === undefined && isNew(id) };
}
