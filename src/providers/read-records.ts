import { type PendingRecord, type ReadResult, refId, type StoreRef } from '../core/read-result.ts';

/**
 * Called for each read before its result is returned. May return a record that becomes durable later. If the record
 * could not be written, this function is called again when the same reference is next requested.
 */
export type OnRead = (
  source: StoreRef,
  result: ReadResult,
  tookMs: number,
) => Promise<PendingRecord | undefined>;

/** Tracks the records of reads: those that are pending, and those that could not be written. */
export interface ReadRecords {
  /** Resolves when the record of a read has its place in the audit log's order. The record may become durable later. */
  record(source: StoreRef, answer: ReadResult, tookMs: number, onRead: OnRead): Promise<void>;
  /**
   * Tries again to write a record that could not be written. A caller needs the result now, and the audit log may work
   * again.
   */
  retryFailed(source: StoreRef, answer: ReadResult, onRead: OnRead): Promise<void>;
  /** Resolves when the records of these reads are durable. */
  wait(refs: readonly StoreRef[]): Promise<void>;
}

export function createReadRecords(): ReadRecords {
  const open = new Map<string, Promise<unknown>>();
  /** The duration of each read whose record could not be written, by id. */
  const failed = new Map<string, number>();
  const track = (id: string, durable: Promise<unknown>, tookMs: number): void => {
    failed.delete(id);
    open.set(id, durable);
    // Failures are ignored here, because callers of `wait` receive them.
    void Promise.allSettled([durable]).then(([{ status }]) => {
      if (open.get(id) !== durable) return;
      if (status === 'fulfilled') open.delete(id);
      else failed.set(id, tookMs);
    });
  };
  return {
    async record(source, answer, tookMs, onRead) {
      const id = refId(source);
      const recording = await onRead(source, answer, tookMs);
      if (recording !== undefined) return track(id, recording.durable, tookMs);
      // The read was already on record, so earlier failures do not matter any more.
      open.delete(id);
      failed.delete(id);
    },
    async retryFailed(source, answer, onRead) {
      const id = refId(source);
      const tookMs = failed.get(id);
      if (tookMs === undefined) return;
      const appended = onRead(source, answer, tookMs);
      const durable = appended.then((recording) => recording?.durable);
      track(id, durable, tookMs);
      await Promise.allSettled([appended]);
    },
    async wait(refs) {
      await Promise.all(refs.map(async (source) => open.get(refId(source))));
    },
  };
}
