import type { Clock } from '../../core/clock.ts';
import type { Head } from '../chain.ts';
import type { AuditStore } from '../store.ts';
import { contentsOf, type Evidence, type Problem, paced, prove } from './verify.ts';

export interface ChainWatch {
  /** Proves what is new since the last time, and everything once a day. @throws AppError AUDIT_UNAVAILABLE */
  run(): Promise<void>;
  /** What was wrong the last time. */
  problem(): Problem | undefined;
}

export interface ChainWatchOptions {
  readonly store: Pick<AuditStore, 'stored' | 'head' | 'base'>;
  readonly evidence: () => Promise<Evidence | undefined>;
  readonly clock: Clock;
  /** After each few hundred records: it has all the time that there is. */
  readonly pause: () => Promise<void>;
}

const EVERYTHING_MS = 86_400_000;

/** Keeps an eye on the chain while records are added, at little cost. */
export function createChainWatch({ store, evidence, clock, pause }: ChainWatchOptions): ChainWatch {
  let proved: Head | undefined;
  let fullAt = 0;
  let problem: Problem | undefined;

  async function since(start: Head, outside: Evidence | undefined): Promise<void> {
    // The head first: records that are added meanwhile lie behind it.
    const head = await store.head();
    const records = paced(upTo(head.sequence, start), pause);
    // With nothing from outside it is a part: what comes before was proved earlier.
    const proof = await prove({ records, base: start, head, evidence: outside, part: start === proved });
    problem = proof.problem;
    if (proof.ok) proved = head;
  }

  async function* upTo(last: number, { sequence }: Head) {
    let left = last - sequence;
    if (left <= 0) return;
    for await (const record of store.stored(sequence + 1)) {
      yield record;
      left -= 1;
      if (left === 0) return;
    }
  }

  return {
    async run() {
      const [base, head] = [await store.base(), await store.head()];
      const isGone =
        proved !== undefined && (proved.sequence < base.sequence || proved.sequence > head.sequence);
      const everything = problem !== undefined || isGone || clock.now() - fullAt >= EVERYTHING_MS;
      if (proved !== undefined && !everything) return since(proved, undefined);
      const before = proved;
      await since(base, await evidence());
      const { hidden } = await contentsOf(store);
      if (hidden !== undefined) problem ??= { kind: 'edited', sequence: hidden };
      fullAt = clock.now();
      // Also without any checkpoint: what was there is there no longer.
      if (before !== undefined && before.sequence > head.sequence)
        problem ??= { kind: 'truncated', sequence: head.sequence + 1 };
    },
    problem: () => problem,
  };
}
