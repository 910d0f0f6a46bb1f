import type { Actor } from '../../audit/entry.ts';
import type { StoreRef } from '../../core/read-result.ts';
import type { VersionResult } from '../../providers/provider.ts';
import type { Reason } from '../../queue/queue.ts';
import type { ReconcileDeps } from '../../reconcile/reconcile.ts';

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

/** The actor that the audit records for each reason. */
export const ACTOR_OF: Readonly<Record<Reason, Actor['kind']>> = {
  manual: 'operator',
  first: 'startup',
  event: 'event',
  drift: 'drift',
  sweep: 'schedule',
};
