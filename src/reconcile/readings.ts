import { objectOf, type StoreRef } from '../core/reading.ts';

/**
 * What is on record as the last reading of a source, for as long as nobody else writes there: to ask the audit of each
 * source in each pass takes longer than to read it from a store that is near.
 */
export interface Readings {
  /** To be called before the audit is asked of a source. */
  look(source: StoreRef): Promise<Look>;
  /** To be called when there is, or may be, a record of another reading. */
  forget(source: StoreRef): void;
}

export interface Look {
  /** Whether the last reading on record is surely this one, so that nothing has to be asked. */
  isLast(reading: string): boolean;
  /** That it is, as the audit has said. */
  keep(reading: string): void;
}

interface Kept {
  readonly reading: string;
  /** How many records were not of this process. */
  readonly others: number;
}

/** @param countOthers How many records other processes have appended; undefined where that cannot be told now. */
export function createReadings(countOthers: () => Promise<number | undefined>): Readings {
  const last = new Map<string, Kept>();
  let forgotten = 0;
  return {
    async look(source) {
      const key = keyOf(source);
      const before = forgotten;
      const others = await countOthers();
      return {
        isLast(reading) {
          const kept = last.get(key);
          return kept !== undefined && kept.others === others && kept.reading === reading;
        },
        keep(reading) {
          // What was recorded while the audit was asked may not be in its answer.
          if (others !== undefined && forgotten === before) last.set(key, { reading, others });
        },
      };
    },
    forget(source) {
      forgotten += 1;
      last.delete(keyOf(source));
    },
  };
}

/** Of a name there may be several objects. A record of a named version tells of the current one as well. */
function keyOf({ store, ref }: StoreRef): string {
  return JSON.stringify([store, ref.key, objectOf(ref)]);
}

/** For whoever reads each source once. */
export const noReadings: Readings = {
  look: async () => ({ isLast: () => false, keep: () => undefined }),
  forget: () => undefined,
};
