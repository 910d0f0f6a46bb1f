import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { createSharedRun } from '../core/serial-executor.ts';
import { restartPages } from './pending.ts';
import { HORIZON_MS } from './restarts.ts';

export interface RecordReaderDeps {
  readonly audit: Pick<AuditStore, 'list'>;
  readonly clock: Clock;
  /** The current name of the instance, and its former names. */
  readonly instances: readonly string[];
}

/**
 * Returns a function that reads the restart records since its last call, oldest first. Its first call goes back to the
 * oldest restart that can still be pending. The function rejects with AUDIT_UNAVAILABLE.
 */
export function createRecordReader(
  { audit, clock, instances }: RecordReaderDeps,
  note: (record: AuditRecord) => void,
): () => Promise<void> {
  let lastSequence = 0;
  // Concurrent readers would apply the same records twice, in another order.
  return createSharedRun(async () => {
    for await (const page of restartPages(audit, clock.now() - HORIZON_MS, lastSequence)) {
      for (const record of page) if (instances.includes(record.instance)) note(record);
      lastSequence = page.at(-1)?.sequence ?? lastSequence;
    }
  });
}
