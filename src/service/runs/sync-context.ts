import type { Actor } from '../../audit/entry.ts';
import type { StoreRef } from '../../core/read-result.ts';
import type { VersionResult } from '../../providers/provider.ts';
import type { Reason } from '../../queue/queue.ts';
import type { ReconcileDeps } from '../../reconcile/reconcile.ts';

/** What the runs of one request share: what was read for it, and under which id it is recorded. */
export interface SyncContext extends ReconcileDeps {
  /** These will be read, in about this order, where nothing else decides. */
  expect(refs: readonly StoreRef[]): void;
  /** Hints which keys have changed and must be read. In the order of the keys. */
  versions(store: string, keys: readonly string[]): Promise<readonly VersionResult[]>;
}

/** Who is on record for work that nobody asked for by name. */
export const ACTOR_OF: Readonly<Record<Reason, Actor['kind']>> = {
  manual: 'operator',
  first: 'startup',
  event: 'event',
  drift: 'drift',
  sweep: 'schedule',
};
