import { createCoalescer } from '../core/serial-executor.ts';
import type { AuditStore } from './store.ts';

/** An audit store that other processes may also write to. */
export interface WatchedAudit {
  /** The store for all appends of this process. Appends that bypass it count as foreign. */
  readonly audit: AuditStore;
  /**
   * Returns a number that changes when another process appends or when records are pruned. Returns undefined while this
   * process appends, because it cannot tell its own records from foreign ones during that time. The number shows the
   * state at the time of the call or later.
   */
  foreignVersion(): Promise<number | undefined>;
}

/**
 * Detects writes of other processes. Compares the head of the store with the number of records that this process wrote.
 */
export function watchForeignWrites(store: AuditStore): WatchedAudit {
  let ownRecords = 0;
  let completedAppends = 0;
  let pendingAppends = 0;
  let foreignRecords: number | undefined;
  let version = 0;

  const readVersion = createCoalescer(async (): Promise<number | undefined> => {
    const completedBefore = completedAppends;
    const { sequence } = await store.head();
    // While an append is pending, its records may be stored but not yet counted. Such records would look foreign.
    if (pendingAppends > 0 || completedAppends !== completedBefore) return undefined;
    if (sequence - ownRecords !== foreignRecords) version += 1;
    foreignRecords = sequence - ownRecords;
    return version;
  });

  return {
    audit: {
      ...store,
      async append(entries) {
        pendingAppends += 1;
        try {
          const records = await store.append(entries);
          ownRecords += records.length;
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
      return pendingAppends > 0 ? undefined : readVersion();
    },
  };
}
