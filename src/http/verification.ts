import { setImmediate } from 'node:timers/promises';
import type { AuditStore } from '../audit/store.ts';
import {
  type Evidence,
  readVerifyInput,
  type VerifyReport,
  verifyWithEvidence,
} from '../audit/verify/verify.ts';
import { withPauses } from '../audit/verify/with-pauses.ts';

export interface Verification {
  /** Verifies the whole chain. Concurrent callers share one verification, because it reads every record. */
  run(): Promise<VerifyReport>;
}

/** @param evidence Returns the checkpoints that are stored outside the audit store. */
export function createVerification(
  audit: Pick<AuditStore, 'storedRecords' | 'head' | 'base'>,
  signal: AbortSignal,
  evidence: () => Promise<Evidence | undefined> = async () => undefined,
): Verification {
  let running: Promise<VerifyReport> | undefined;

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

  return {
    run() {
      running ??= run().finally(() => {
        running = undefined;
      });
      return running;
    },
  };
}
