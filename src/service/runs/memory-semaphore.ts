import { totalSizeOf } from '../../core/read-result.ts';
import type { SyncContext } from '../../reconcile/context.ts';

/** Limits the memory that concurrent runs use for secret values. */
export interface MemorySemaphore {
  /** Opens a lease for one run. Disposing of the lease releases the memory of the run. */
  open(): MemoryLease;
}

export interface MemoryLease extends Disposable {
  /** Resolves when the memory is available. A run that already holds memory does not wait, which avoids deadlock. */
  acquire(bytes: number): Promise<void>;
}

/**
 * Four Secrets of maximum size are enough to keep one CPU busy. The limit is not higher, because a value exists about a
 * dozen times while it is written: as text, as base64, in the request and in the response.
 */
const LIMIT_BYTES = 4 * 2 ** 20;
/** A run up to this size neither waits nor counts. Almost all targets are smaller. */
const FREE_BYTES = 64 * 2 ** 10;

export interface MemorySemaphoreDeps {
  /** Limit for all runs together, in bytes. */
  readonly limitBytes?: number;
  /** Size up to which a run neither waits nor counts, in bytes. */
  readonly freeBytes?: number;
  /** Reports the bytes that a run has acquired. */
  readonly onAcquired?: ((bytes: number) => void) | undefined;
}

/** The runs acquire memory in the order of their requests. A run larger than the limit runs alone. */
export function createMemorySemaphore({
  limitBytes = LIMIT_BYTES,
  freeBytes = FREE_BYTES,
  onAcquired,
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

/** Wraps a context so that the run waits for memory after each read. */
export function withMemoryLease(context: SyncContext, lease: MemoryLease): SyncContext {
  const records: Promise<void>[] = [];
  return {
    ...context,
    async read(refs) {
      const results = await context.read(refs);
      // Get the promise of the record before waiting for memory. During the wait, another run may read the same
      // reference again and replace this promise.
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
