import { totalSizeOf } from '../../core/read-result.ts';
import type { SyncContext } from './sync-context.ts';

/** The room that the runs of targets have together for the values that they hold. */
export interface MemorySemaphore {
  /** For one run; what it holds is given back at its end. */
  open(): MemoryLease;
}

export interface MemoryLease extends Disposable {
  /** Resolves when there is room for so much more. Whoever has got some waits no more, so that nobody waits forever. */
  acquire(bytes: number): Promise<void>;
}

/**
 * Of each value there are, by the time its target is written, a dozen copies: as text and as base64, in the body of the
 * request and in the answer. Four Secrets of the largest size at a time keep one processor busy.
 */
const LIMIT_BYTES = 4 * 2 ** 20;
/** Those that hold no more neither wait nor count: hardly any target does. */
const FREE_BYTES = 64 * 2 ** 10;

export interface MemorySemaphoreDeps {
  /** Bytes; all runs together. */
  readonly limitBytes?: number;
  /** Bytes; one run. */
  readonly freeBytes?: number;
  /** A run has taken so many bytes of large values. */
  readonly onAcquired?: ((bytes: number) => void) | undefined;
}

/** In the order in which they asked. One that needs more than there is has all of it for itself. */
export function createMemorySemaphore({
  limitBytes: limitBytes = LIMIT_BYTES,
  freeBytes: freeBytes = FREE_BYTES,
  onAcquired: onAcquired,
}: MemorySemaphoreDeps = {}): MemorySemaphore {
  const waiting: { readonly bytes: number; readonly begin: () => void }[] = [];
  let total = 0;
  const fits = (bytes: number): boolean => total === 0 || total + bytes <= limitBytes;
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
        async acquire(bytes) {
          held += bytes;
          if (held <= freeBytes) return;
          const missing = held - counted;
          if (counted > 0 || (waiting.length === 0 && fits(missing))) total += missing;
          else {
            const { promise, resolve } = Promise.withResolvers<void>();
            waiting.push({ bytes: missing, begin: resolve });
            await promise;
          }
          counted += missing;
          onAcquired?.(missing);
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

/** The same context for one run, which waits between what it reads and what it does with it. */
export function withMemoryLease(context: SyncContext, lease: MemoryLease): SyncContext {
  const records: Promise<void>[] = [];
  return {
    ...context,
    async read(refs) {
      const results = await context.read(refs);
      // At once: by the end of the wait somebody else may have read the same anew, with a record of its own.
      const record = context.whenRecorded(refs);
      records.push(record);
      void Promise.allSettled([record]);
      await lease.acquire(totalSizeOf(results));
      return results;
    },
    async whenRecorded() {
      await Promise.all(records);
    },
  };
}
