import { setImmediate } from 'node:timers/promises';
import type { AuditStore } from '../audit/store.ts';
import { type Evidence, type Proof, paced, prove } from '../audit/verify.ts';

export interface Verification {
  /** Those who ask while it runs share its answer: it reads every record that there is. */
  run(): Promise<Proof>;
}

/** @param evidence What was noted of the chain outside of the store. */
export function createVerification(
  audit: Pick<AuditStore, 'stored' | 'head' | 'base'>,
  signal: AbortSignal,
  evidence: () => Promise<Evidence | undefined> = async () => undefined,
): Verification {
  let running: Promise<Proof> | undefined;

  async function run(): Promise<Proof> {
    // First what was noted: records that are added meanwhile lie behind it.
    const noted = await evidence();
    const [base, head] = [await audit.base(), await audit.head()];
    // The probes above all must be answered in between.
    const records = paced(audit.stored(base.sequence + 1), async () => {
      signal.throwIfAborted();
      await setImmediate();
    });
    return prove({ records, base, head, evidence: noted });
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
