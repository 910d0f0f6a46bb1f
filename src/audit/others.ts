import { createShared } from '../core/in-turn.ts';
import type { AuditStore } from './store.ts';

/** An audit that other processes may write into as well. */
export interface Watched {
  /** All that this process appends goes through here. */
  readonly audit: AuditStore;
  /**
   * As long as it is the same, no other process has appended and nothing has left. Undefined where that cannot be told
   * now, since a record of this process is under way. Never older than the question.
   */
  mark(): Promise<number | undefined>;
}

/** Tells by the head of an audit, which all its writers move, whether others write there. */
export function watchOthers(store: AuditStore): Watched {
  let own = 0;
  let ended = 0;
  let underWay = 0;
  let others: number | undefined;
  let current = 0;

  const look = createShared(async (): Promise<number | undefined> => {
    const before = ended;
    const { sequence } = await store.head();
    // Between its commit and its end here, a record of ours would be counted among those of others.
    if (underWay > 0 || ended !== before) return undefined;
    if (sequence - own !== others) current += 1;
    others = sequence - own;
    return current;
  });

  return {
    audit: {
      ...store,
      async append(entries) {
        underWay += 1;
        try {
          const records = await store.append(entries);
          own += records.length;
          return records;
        } finally {
          underWay -= 1;
          ended += 1;
        }
      },
      async prune(until) {
        try {
          return await store.prune(until);
        } finally {
          current += 1;
        }
      },
    },
    async mark() {
      return underWay > 0 ? undefined : look();
    },
  };
}
