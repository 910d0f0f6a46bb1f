import { sizeOfAll } from '../../core/reading.ts';
import type { Pass } from './pass.ts';

/** The room that the runs of targets have together for the values that they hold. */
export interface Weights {
  /** For one run; what it holds is given back at its end. */
  open(): Weight;
}

export interface Weight extends Disposable {
  /** Resolves when there is room for so much more. Whoever has got some waits no more, so that nobody waits forever. */
  take(bytes: number): Promise<void>;
}

/**
 * Of each value there are, by the time its target is written, a dozen copies: as text and as base64, in the body of the
 * request and in the answer. Four Secrets of the largest size at a time keep one processor busy.
 */
const MOST = 4 * 2 ** 20;
/** Those that hold no more neither wait nor count: hardly any target does. */
const LIGHT = 64 * 2 ** 10;

export interface WeightsDeps {
  /** Bytes; all runs together. */
  readonly most?: number;
  /** Bytes; one run. */
  readonly light?: number;
  /** A run has taken so many bytes of large values. */
  readonly onTaken?: ((bytes: number) => void) | undefined;
}

/** In the order in which they asked. One that needs more than there is has all of it for itself. */
export function createWeights({ most = MOST, light = LIGHT, onTaken }: WeightsDeps = {}): Weights {
  const waiting: { readonly bytes: number; readonly begin: () => void }[] = [];
  let total = 0;
  const fits = (bytes: number): boolean => total === 0 || total + bytes <= most;
  const next = (): void => {
    for (let first = waiting[0]; first !== undefined && fits(first.bytes); first = waiting[0]) {
      waiting.shift();
      total += first.bytes;
      first.begin();
    }
  };
  return {
    open() {
      let held = 0;
      let counted = 0;
      return {
        async take(bytes) {
          held += bytes;
          if (held <= light) return;
          const more = held - counted;
          if (counted > 0 || (waiting.length === 0 && fits(more))) total += more;
          else {
            const { promise, resolve } = Promise.withResolvers<void>();
            waiting.push({ bytes: more, begin: resolve });
            await promise;
          }
          counted += more;
          onTaken?.(more);
        },
        [Symbol.dispose]() {
          total -= counted;
          counted = 0;
          next();
        },
      };
    },
  };
}

/** The same pass for one run, which waits between what it reads and what it does with it. */
export function withWeight(pass: Pass, weight: Weight): Pass {
  const records: Promise<void>[] = [];
  return {
    ...pass,
    async read(refs) {
      const results = await pass.read(refs);
      // At once: by the end of the wait somebody else may have read the same anew, with a record of its own.
      const record = pass.recorded(refs);
      records.push(record);
      void Promise.allSettled([record]);
      await weight.take(sizeOfAll(results));
      return results;
    },
    async recorded() {
      await Promise.all(records);
    },
  };
}
