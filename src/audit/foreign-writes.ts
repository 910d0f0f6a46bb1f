import { createCoalescer } from '../core/serial-executor.ts';
import type { AuditStore } from './store.ts';

/** An audit store that other processes may also write to. */
export interface WatchedAudit {
  /** The store for all appends of this process. Appends that bypass it count as foreign. */
  readonly audit: AuditStore;
  /**
   * Returns a number that changes when another process appends or when records are pruned. The number shows the state
   * at the time of the call or later. While this process appends, the number shows the state before the last completed
   * append: each append reveals the records of other processes before it. Undefined if the state is unknown.
   */
  foreignVersion(): Promise<number | undefined>;
  /** Whether this process has written all records of the store. Call this method after `foreignVersion`. */
  isOwn(): boolean;
}

/**
 * Detects writes of other processes. Compares the head of the store with the number of records that this process wrote.
 */
export function watchForeignWrites(store: AuditStore): WatchedAudit {
  let ownRecords = 0;
  let completedAppends = 0;
  let pendingAppends = 0;
  let newest = 0;
  let foreignRecords: number | undefined;
  let version = 0;

  /** @param sequence The newest record of the store. */
  const note = (sequence: number): void => {
    newest = sequence;
    if (newest - ownRecords !== foreignRecords) version += 1;
    foreignRecords = newest - ownRecords;
  };
  const known = () => (foreignRecords === undefined ? undefined : version);

  const readVersion = createCoalescer(async (): Promise<number | undefined> => {
    const completedBefore = completedAppends;
    const { sequence } = await store.head();
    // While an append is pending, its records may be stored but not yet counted. Such records would look foreign.
    if (pendingAppends > 0 || completedAppends !== completedBefore) return known();
    note(sequence);
    return known();
  });

  return {
    audit: {
      ...store,
      async append(entries) {
        pendingAppends += 1;
        try {
          const records = await store.append(entries);
          ownRecords += records.length;
          const last = records.at(-1);
          // Appends complete in the order of their records. In any other order, the records in between look foreign for
          // a moment, which changes the number without need.
          if (last !== undefined) note(Math.max(newest, last.sequence));
          return records;
        } finally {
          pendingAppends -= 1;
          completedAppends += 1;
        }
      },
      async prune(until) {
        try {
          return await store.prune(until);
        } finally {
          version += 1;
        }
      },
    },
    async foreignVersion() {
      return pendingAppends > 0 ? known() : readVersion();
    },
    isOwn: () => foreignRecords === 0,
  };
}
