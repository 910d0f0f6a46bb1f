import type { AuditStore } from './store.ts';

/** Tells whether somebody else writes into an audit. */
export interface Others {
  /** The store, of which all that this process appends goes through here. */
  readonly audit: AuditStore;
  /**
   * How many records are not of this process: the same number says that nobody else has appended since. Undefined
   * where that cannot be told now, since a record of this process is under way.
   */
  count(): Promise<number | undefined>;
}

/** For so long one look at the head serves all who ask. */
const FRESH_MS = 100;

export function watchOthers(store: AuditStore, { freshMs = FRESH_MS } = {}): Others {
  let own = 0;
  let ended = 0;
  let underWay = 0;
  let look: { readonly at: number; readonly count: Promise<number | undefined> } | undefined;

  const ask = async (): Promise<number | undefined> => {
    const before = ended;
    const { sequence } = await store.head();
    // Between its commit and its end here, a record of ours would be counted among those of others.
    return underWay === 0 && ended === before ? sequence - own : undefined;
  };

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
    },
    async count() {
      if (underWay > 0) return undefined;
      if (look !== undefined && performance.now() - look.at < freshMs) return look.count;
      const asked = { at: performance.now(), count: ask() };
      look = asked;
      let told: number | undefined;
      try {
        told = await asked.count;
      } finally {
        // Whoever comes next asks anew.
        if (told === undefined && look === asked) look = undefined;
      }
      return told;
    },
  };
}
