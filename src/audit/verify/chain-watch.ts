import type { Clock } from '../../core/clock.ts';
import type { Head, StoredRecord } from '../chain.ts';
import type { AuditStore } from '../store.ts';
import type { Evidence } from './evidence.ts';
import { type Problem, readVerifyInput, verifyWithEvidence } from './verify.ts';

export interface ChainWatch {
  /**
   * Verifies the records that are new since the last run, and once a day all records. @throws AppError
   * AUDIT_UNAVAILABLE
   */
  run(): Promise<void>;
  /** The problem that the last run found, if any. */
  problem(): Problem | undefined;
  /** The number of records that no known key verifies. */
  unverifiable(): number;
  /** Whether all records were verified at least once. */
  hasRun(): boolean;
}

export interface ChainWatchOptions {
  readonly store: Pick<AuditStore, 'storedRecords' | 'head' | 'base'>;
  readonly evidence: () => Promise<Evidence | undefined>;
  readonly recordKeys?: Evidence['recordKeys'];
  readonly clock: Clock;
  /** Called after every few hundred records. More urgent work can run before the promise resolves. */
  readonly pause: () => Promise<void>;
}

const FULL_VERIFY_INTERVAL_MS = 86_400_000;

/** Verifies the chain in the background at low cost. */
export function createChainWatch(options: ChainWatchOptions): ChainWatch {
  const { store, evidence, recordKeys, clock, pause } = options;
  let verifiedHead: Head | undefined;
  let lastFullAt = 0;
  let problem: Problem | undefined;
  let unverifiable = 0;

  async function verifyFrom(start: Head, evidenceForRun: Evidence | undefined): Promise<void> {
    // Read the head first. Records that are appended after this read are left to the next run.
    const head = await store.head();
    const records = withPauses(upTo(head.sequence, start), pause);
    // A run over new records needs no checkpoints. It is partial, so that the earlier records do not count as pruned.
    const isPartial = start === verifiedHead;
    const proof = await verifyWithEvidence({
      records,
      base: start,
      head,
      ...{ isPartial, mustBeSigned: isPartial && recordKeys !== undefined },
      evidence: evidenceForRun ?? { checkpoints: [], keys: new Map(), recordKeys },
    });
    problem = proof.problem;
    unverifiable = (isPartial ? unverifiable : 0) + (proof.unverifiable ?? 0);
    if (proof.ok) verifiedHead = head;
  }

  async function* upTo(last: number, { sequence }: Head) {
    let remaining = last - sequence;
    if (remaining <= 0) return;
    for await (const record of store.storedRecords(sequence + 1)) {
      yield record;
      remaining -= 1;
      if (remaining === 0) return;
    }
  }

  return {
    async run() {
      const [base, head] = [await store.base(), await store.head()];
      const isVerifiedGone =
        verifiedHead !== undefined &&
        (verifiedHead.sequence < base.sequence || verifiedHead.sequence > head.sequence);
      const isFull =
        problem !== undefined || isVerifiedGone || clock.now() - lastFullAt >= FULL_VERIFY_INTERVAL_MS;
      if (verifiedHead !== undefined && !isFull) return verifyFrom(verifiedHead, undefined);
      const previousHead = verifiedHead;
      await verifyFrom(base, await evidence());
      const { beyondHead } = await readVerifyInput(store);
      if (beyondHead !== undefined) problem ??= { kind: 'edited', sequence: beyondHead };
      lastFullAt = clock.now();
      // The log is shorter than at the previous run.
      if (previousHead !== undefined && previousHead.sequence > head.sequence)
        problem ??= { kind: 'truncated', sequence: head.sequence + 1 };
    },
    problem: () => problem,
    unverifiable: () => unverifiable,
    hasRun: () => lastFullAt > 0,
  };
}

/** The number of records between two pauses. Hashing this many takes a few milliseconds. */
const RECORDS_PER_PAUSE = 200;

/** Yields the records, and pauses regularly so that other work can run. */
export async function* withPauses(
  records: AsyncIterable<StoredRecord>,
  pause: () => Promise<void>,
): AsyncGenerator<StoredRecord, void, undefined> {
  let count = 0;
  for await (const record of records) {
    yield record;
    count += 1;
    if (count % RECORDS_PER_PAUSE === 0) await pause();
  }
}
