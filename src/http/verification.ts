import { setImmediate } from 'node:timers/promises';
import type { StoredRecord } from '../audit/chain.ts';
import type { AuditStore } from '../audit/store.ts';
import { verify } from '../audit/verify.ts';

/** What `audit verify` prints. */
export interface VerificationAnswer {
  readonly ok: boolean;
  /** Good ones; with a problem, those before it. */
  readonly records: number;
  /** Signed checkpoints that were compared. */
  readonly checkpoints: number;
  readonly problem?: { readonly kind: string; readonly sequence: number };
}

export interface Verification {
  /** Those who ask while it runs share its answer: it reads every record that there is. */
  run(): Promise<VerificationAnswer>;
}

/** Hashing this many takes a few milliseconds. */
const AT_ONCE = 200;

export function createVerification(
  audit: Pick<AuditStore, 'stored' | 'head'>,
  signal: AbortSignal,
): Verification {
  let running: Promise<VerificationAnswer> | undefined;

  async function prove(): Promise<VerificationAnswer> {
    // The head first: records that are added meanwhile lie behind it.
    const head = await audit.head();
    const until = head.sequence === 0 ? {} : { until: head };
    const state = await verify(withPauses(audit.stored(1), signal), until);
    if (state.kind === 'intact') return { ok: true, records: state.records, checkpoints: 0 };
    const { kind, sequence } = state;
    return { ok: false, records: sequence - 1, checkpoints: 0, problem: { kind, sequence } };
  }

  return {
    run() {
      running ??= prove().finally(() => {
        running = undefined;
      });
      return running;
    },
  };
}

/** Lets everything else run in between, the probes above all. */
async function* withPauses(
  records: AsyncIterable<StoredRecord>,
  signal: AbortSignal,
): AsyncGenerator<StoredRecord> {
  let count = 0;
  for await (const record of records) {
    yield record;
    count += 1;
    if (count % AT_ONCE > 0) continue;
    signal.throwIfAborted();
    await setImmediate();
  }
}
