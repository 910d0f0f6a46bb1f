import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ErrorCode } from '../../core/error-codes.ts';
import type { Fingerprint, Fingerprinter } from '../../core/fingerprint.ts';
import { append } from '../../core/lists.ts';
import {
  isCurrentSecretRef,
  type ReadResult,
  refId,
  type StoreRef,
  totalSizeOf,
} from '../../core/read-result.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import type { SourceAges } from './source-ages.ts';

/** The result of the check of a reference, without its value. */
export type Finding =
  | { readonly kind: 'version'; readonly version: string; readonly by: 'list' }
  | { readonly kind: 'version'; readonly version: string; readonly by: 'read'; readonly content: Fingerprint }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly code: ErrorCode };

export interface CheckReferencesDeps {
  readonly context: SyncContext;
  readonly ages: Pick<SourceAges, 'note'>;
  /** Whether listing the versions of a store costs less than reading them. */
  readonly tellsVersions: boolean;
  /** Called after each step. */
  readonly onProgress: () => void;
}

/** Number of references in one audit query. A larger query would delay writers. */
const AUDIT_BATCH = 50;
const READ_BATCH = 200;
/** The first batch is small because the value sizes are unknown. */
const FIRST_READ_BATCH = 5;
/** Memory limit for a batch of values that are read only for their versions. */
const READ_BATCH_BYTES = 4 * 2 ** 20;

/**
 * Checks the given references. Returns the findings by `refId`. Lists the versions of a store if a list costs less than
 * reads. Reads the references that are not listed.
 */
export async function checkReferences(
  store: string,
  refs: readonly StoreRef[],
  { context, ages, tellsVersions, onProgress }: CheckReferencesDeps,
): Promise<ReadonlyMap<string, Finding>> {
  const findings = new Map<string, Finding>();
  // A list contains only the current versions of plain secrets.
  const plain = refs.filter(({ ref }) => isCurrentSecretRef(ref));
  if (tellsVersions && plain.length > 0) {
    const keys = plain.map(({ ref }) => ref.key);
    const versions = await context.versions(store, keys);
    for (const [index, ref] of plain.entries()) {
      const result = versions[index];
      if (result?.kind !== 'known') continue;
      findings.set(refId(ref), { kind: 'version', version: result.version, by: 'list' });
      ages.note(store, ref.ref.key, result, refId(ref));
    }
  }
  // Read a listed reference too if its last read failed, so that the end of the failure is recorded.
  const unread: StoreRef[] = [];
  let pendingChecks: (readonly [StoreRef, Promise<boolean>])[] = [];
  const awaitChecks = async (): Promise<void> => {
    const isToRead = await Promise.all(pendingChecks.map(([, answer]) => answer));
    append(
      unread,
      pendingChecks.filter((_, index) => isToRead[index]).map(([ref]) => ref),
    );
    pendingChecks = [];
    onProgress();
    // A file-based audit runs its queries on this thread, so let probes and writes run in between.
    await nextTurn();
  };
  for (const ref of refs) {
    const isToRead = !findings.has(refId(ref)) || context.recorder.isFailing(ref);
    if (isToRead === true) unread.push(ref);
    else if (isToRead !== false) pendingChecks.push([ref, isToRead]);
    if (pendingChecks.length === AUDIT_BATCH) await awaitChecks();
  }
  if (pendingChecks.length > 0) await awaitChecks();
  // Read in batches, so that a long sweep shows progress.
  for (let start = 0, size = FIRST_READ_BATCH; start < unread.length; ) {
    const batch = unread.slice(start, start + size);
    const results = await context.read(batch);
    onProgress();
    start += batch.length;
    size = nextBatchSize(results);
    for (const ref of batch) {
      const id = refId(ref);
      const result = results.get(id);
      if (result === undefined) continue;
      // If the list contains the key, use the listed version and ignore the failed read.
      if (result.kind !== 'failed' || !findings.has(id))
        findings.set(id, findingOf(result, context.fingerprints));
      // A pinned version or another object type does not show the age of the current value.
      if (result.kind === 'found' && isCurrentSecretRef(ref.ref)) ages.note(store, ref.ref.key, result, id);
    }
  }
  return findings;
}

/** Returns the size of the next batch, calculated from the value sizes of the last batch. */
function nextBatchSize(results: ReadonlyMap<string, ReadResult>): number {
  const bytes = Math.max(1, totalSizeOf(results));
  return Math.max(1, Math.min(READ_BATCH, Math.floor((READ_BATCH_BYTES * results.size) / bytes)));
}

function findingOf(result: ReadResult, fingerprints: Fingerprinter): Finding {
  if (result.kind === 'found')
    return {
      kind: 'version',
      version: result.version,
      by: 'read',
      content: fingerprints.value(result.value),
    };
  return result.kind === 'absent' ? { kind: 'absent' } : { kind: 'failed', code: result.error.code };
}
