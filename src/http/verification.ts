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
  /** Verifies the whole chain. Concurrent callers share one run, since it reads every record. */
  run(): Promise<VerifyReport>;
}

/** @param evidence The checkpoints that are kept outside the store. */
export function createVerification(
  audit: Pick<AuditStore, 'storedRecords' | 'head' | 'base'>,
  signal: AbortSignal,
  evidence: () => Promise<Evidence | undefined> = async () => undefined,
): Verification {
  let running: Promise<VerifyReport> | undefined;

  async function run(): Promise<VerifyReport> {
    // Read the checkpoints first: records that are added meanwhile come after them.
    const recordedEvidence = await evidence();
    const contents = await readVerifyInput(audit);
    // Yield between records, so that probes are answered.
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
