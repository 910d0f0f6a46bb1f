import { type PendingRecord, type ReadResult, refId, type StoreRef } from '../core/read-result.ts';

/**
 * Records a read. Called before the result of the read is returned. May return a record that becomes durable later. If
 * the record could not be written, this function is called again at the next request for the same reference.
 */
export type OnRead = (
  source: StoreRef,
  result: ReadResult,
  tookMs: number,
) => Promise<PendingRecord | undefined>;

/** Keeps track of the records of reads. Some records are not durable yet, and some could not be written. */
export interface ReadRecords {
  /**
   * Records a read. Resolves when the record has its place in the order of the audit log. The record may become durable
   * later.
   */
  record(source: StoreRef, answer: ReadResult, tookMs: number, onRead: OnRead): Promise<void>;
  /**
   * Writes a record again if it could not be written before. A caller needs the result now, and the audit log may work
   * by now.
   */
  retryFailed(source: StoreRef, answer: ReadResult, onRead: OnRead): Promise<void>;
  /** Resolves when the records of these reads are durable. Rejects if a record could not be written. */
  wait(refs: readonly StoreRef[]): Promise<void>;
}

export function createReadRecords(): ReadRecords {
  const open = new Map<string, Promise<unknown>>();
  /** The duration of each read whose record could not be written, by id. */
  const failed = new Map<string, number>();
  const track = (id: string, durable: Promise<unknown>, tookMs: number): void => {
    failed.delete(id);
    open.set(id, durable);
    // Ignore a failure here, because callers of `wait` get it.
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
      // Nothing had to be recorded, because an earlier record shows the same result. So an earlier failure no longer
      // matters.
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
