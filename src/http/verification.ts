import { setImmediate } from 'node:timers/promises';
import type { AuditStore } from '../audit/store.ts';
import { withPauses } from '../audit/verify/chain-watch.ts';
import type { Evidence } from '../audit/verify/evidence.ts';
import { readVerifyInput, type VerifyReport, verifyWithEvidence } from '../audit/verify/verify.ts';
import { createSharedRun } from '../core/serial-executor.ts';

interface Verification {
  /** Verifies the whole chain. Concurrent callers share one verification, because a verification reads every record. */
  run(): Promise<VerifyReport>;
}

/** @param evidence Returns the checkpoints that are stored outside the audit store. */
export function createVerification(
  audit: Pick<AuditStore, 'storedRecords' | 'head' | 'base'>,
  signal: AbortSignal,
  evidence: () => Promise<Evidence | undefined> = async () => undefined,
): Verification {
  async function run(): Promise<VerifyReport> {
    // Read the checkpoints first, so that records added in the meantime come after the last checkpoint.
    const recordedEvidence = await evidence();
    const contents = await readVerifyInput(audit);
    // Yield to the event loop between records, so that probes get an answer.
    const records = withPauses(contents.records, async () => {
      signal.throwIfAborted();
      await setImmediate();
    });
    return verifyWithEvidence({ ...contents, records, evidence: recordedEvidence });
  }

  return { run: createSharedRun(run) };
}
