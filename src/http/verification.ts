import { setImmediate } from 'node:timers/promises';
import type { AuditStore } from '../audit/store.ts';
import { contentsOf, type Evidence, type Proof, paced, prove } from '../audit/verify/verify.ts';

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
    const contents = await contentsOf(audit);
    // The probes above all must be answered in between.
    const records = paced(contents.records, async () => {
      signal.throwIfAborted();
      await setImmediate();
    });
    return prove({ ...contents, records, evidence: noted });
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
