import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ErrorCode } from '../../core/error-codes.ts';
import type { Fingerprint, Fingerprinter } from '../../core/fingerprint.ts';
import {
  isCurrentSecretRef,
  type ReadResult,
  refId,
  type StoreRef,
  totalSizeOf,
} from '../../core/read-result.ts';
import type { SyncContext } from '../runs/sync-context.ts';
import type { SourceAges } from './source-ages.ts';

/** What a reference was found to be. Never a value. */
export type Finding =
  | { readonly kind: 'version'; readonly version: string; readonly by: 'list' }
  | { readonly kind: 'version'; readonly version: string; readonly by: 'read'; readonly content: Fingerprint }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly code: ErrorCode };

export interface FindingsDeps {
  readonly context: SyncContext;
  readonly ages: Pick<SourceAges, 'note'>;
  /** Whether asking the store for versions costs less than reading. */
  readonly tellsVersions: boolean;
  /** Told of progress. */
  readonly onProgress: () => void;
}

/**
 * At first the audit is asked about each: as many as go in one question, since whoever writes would wait behind
 * thousands.
 */
const AUDIT_BATCH = 50;
const READ_BATCH = 200;
/** Before it is known how large they are. */
const FIRST_READ_BATCH = 5;
/** Of values that are only looked at for their versions. */
const READ_BATCH_BYTES = 4 * 2 ** 20;

/** What references of a store are now, by `refId`: by their versions alone where that is cheaper, else by reading. */
export async function checkReferences(
  store: string,
  refs: readonly StoreRef[],
  { context, ages, tellsVersions, onProgress: onProgress }: FindingsDeps,
): Promise<ReadonlyMap<string, Finding>> {
  const findings = new Map<string, Finding>();
  // A list knows the current version of a plain key and nothing else.
  const plain = refs.filter(({ ref }) => isCurrentSecretRef(ref));
  if (tellsVersions && plain.length > 0) {
    const keys = plain.map(({ ref }) => ref.key);
    const versions = await context.versions(store, keys);
    for (const [index, ref] of plain.entries()) {
      const result = versions[index];
      if (result?.kind !== 'known') continue;
      findings.set(refId(ref), { kind: 'version', version: result.version, by: 'list' });
      ages.note(store, ref.ref.key, result);
    }
  }
  // That a failure has ended is to be on record, as that it began.
  const unread: StoreRef[] = [];
  let pendingChecks: (readonly [StoreRef, Promise<boolean>])[] = [];
  const awaitChecks = async (): Promise<void> => {
    const isToRead = await Promise.all(pendingChecks.map(([, answer]) => answer));
    unread.push(...pendingChecks.filter((_, index) => isToRead[index]).map(([ref]) => ref));
    pendingChecks = [];
    onProgress();
    // An audit in a file answers on this thread: probes and writes come in between.
    await nextTurn();
  };
  for (const ref of refs) {
    const isToRead = !findings.has(refId(ref)) || context.recorder.isFailing(ref);
    if (isToRead === true) unread.push(ref);
    else if (isToRead !== false) pendingChecks.push([ref, isToRead]);
    if (pendingChecks.length === AUDIT_BATCH) await awaitChecks();
  }
  if (pendingChecks.length > 0) await awaitChecks();
  // In parts, so that a long one is seen to go on.
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
      // A list that tells of it has not failed: to read again what it does not say is no haste.
      if (result.kind !== 'failed' || !findings.has(id))
        findings.set(id, findingOf(result, context.fingerprints));
      // A named version, or another object of that name, tells nothing of the current value.
      if (result.kind === 'found' && isCurrentSecretRef(ref.ref)) ages.note(store, ref.ref.key, result);
    }
  }
  return findings;
}

/** How many to read at once after some that were so large. */
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
