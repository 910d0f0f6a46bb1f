import { objectOf, refId, type StoreRef } from '../core/reading.ts';

/**
 * What is on record as the last reading of a source, for as long as nobody else writes there: to ask the audit of each
 * source in each pass takes longer than to read it from a store that is near.
 */
export interface Readings {
  /** To be called before the audit is asked of a source. */
  look(source: StoreRef): Promise<Look>;
  /** To be called before a record of another reading is written, and when there is one, or may be one. */
  forget(source: StoreRef): void;
  /**
   * Waits until nobody else of this process records a reading of the source, and gives the end of this turn. Two that come
   * together would each record what neither of them has found on record.
   */
  turn(source: StoreRef): Promise<() => void>;
  /** How the last reading of a reference by this process came out; absence is none of its failures. */
  note(source: StoreRef, isFailed: boolean): void;
  /** Whether that was a failure, whose end only another reading can tell. Undefined: this process has read none. */
  isFailing(source: StoreRef): boolean | undefined;
  /** To be called when other sources may be read from now on. */
  clear(): void;
}

export interface Look {
  /** Whether the last reading on record is surely this one, so that nothing has to be asked. */
  isLast(reading: string): boolean;
  /** That it is, as the audit has said. */
  keep(reading: string): void;
}

/**
 * @param markOf As long as it is the same, the audit holds what it held, but for what this process has appended; undefined
 * where that cannot be told now.
 */
export function createReadings(markOf: () => Promise<number | undefined>): Readings {
  const last = new Map<string, string>();
  const failing = new Map<string, boolean>();
  const turns = new Map<string, Promise<void>>();
  let current: number | undefined;
  let forgotten = 0;
  return {
    async look(source) {
      const key = keyOf(source);
      const before = forgotten;
      const mark = await markOf();
      if (mark !== undefined && mark !== current) {
        last.clear();
        current = mark;
      }
      const isCurrent = () => mark !== undefined && mark === current;
      return {
        isLast: (reading) => isCurrent() && last.get(key) === reading,
        keep(reading) {
          // What was recorded while the audit was asked may not be in its answer.
          if (isCurrent() && forgotten === before) last.set(key, reading);
        },
      };
    },
    forget(source) {
      forgotten += 1;
      last.delete(keyOf(source));
    },
    async turn(source) {
      const key = keyOf(source);
      const before = turns.get(key);
      const { promise, resolve } = Promise.withResolvers<void>();
      turns.set(key, promise);
      await before;
      return () => {
        if (turns.get(key) === promise) turns.delete(key);
        resolve();
      };
    },
    note: (source, isFailed) => void failing.set(refId(source), isFailed),
    isFailing: (source) => failing.get(refId(source)),
    clear() {
      forgotten += 1;
      last.clear();
      failing.clear();
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
  turn: async () => () => undefined,
  note: () => undefined,
  isFailing: () => false,
  clear: () => undefined,
};
