import type { Actor } from '../../audit/entry.ts';
import type { StoreRef } from '../../core/read-result.ts';
import type { VersionResult } from '../../providers/provider.ts';
import type { Reason } from '../../queue/queue.ts';
import type { ReconcileDeps } from '../../reconcile/reconcile.ts';

/** State shared by the runs of one request: the values read and the request id of their records. */
export interface SyncContext extends ReconcileDeps {
  /** Announces references that will be read, in about this order. */
  expect(refs: readonly StoreRef[]): void;
  /** Hints which keys have changed and must be read. In the order of the keys. */
  versions(store: string, keys: readonly string[]): Promise<readonly VersionResult[]>;
}

/** The actor on record for automatic work. */
export const ACTOR_OF: Readonly<Record<Reason, Actor['kind']>> = {
  manual: 'operator',
  first: 'startup',
  event: 'event',
  drift: 'drift',
  sweep: 'schedule',
};
