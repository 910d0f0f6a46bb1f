import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ErrorCode } from '../../core/error-codes.ts';
import type { Fingerprint, Fingerprinter } from '../../core/fingerprint.ts';
import { isPlain, type ReadResult, refId, type StoreRef, sizeOfAll } from '../../core/reading.ts';
import type { Pass } from '../runs/pass.ts';
import type { Ages } from './ages.ts';

/** What a reference was found to be. Never a value. */
export type Finding =
  | { readonly kind: 'version'; readonly version: string; readonly by: 'list' }
  | { readonly kind: 'version'; readonly version: string; readonly by: 'read'; readonly content: Fingerprint }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly code: ErrorCode };

export interface FindingsDeps {
  readonly pass: Pass;
  readonly ages: Pick<Ages, 'note'>;
  /** Whether asking the store for versions costs less than reading. */
  readonly tellsVersions: boolean;
  /** Told of progress. */
  readonly beat: () => void;
}

/** At first the audit is asked about each: as many as go in one question, since whoever writes would wait behind thousands. */
const ASKED_AT_ONCE = 50;
const READ_AT_ONCE = 200;
/** Before it is known how large they are. */
const READ_AT_FIRST = 5;
/** Of values that are only looked at for their versions. */
const BYTES_AT_ONCE = 4 * 2 ** 20;

/** What references of a store are now, by `refId`: by their versions alone where that is cheaper, else by reading. */
export async function findingsOf(
  store: string,
  refs: readonly StoreRef[],
  { pass, ages, tellsVersions, beat }: FindingsDeps,
): Promise<ReadonlyMap<string, Finding>> {
  const findings = new Map<string, Finding>();
  // A list knows the current version of a plain key and nothing else.
  const plain = refs.filter(({ ref }) => isPlain(ref));
  if (tellsVersions && plain.length > 0) {
    const keys = plain.map(({ ref }) => ref.key);
    const versions = await pass.versions(store, keys);
    for (const [index, ref] of plain.entries()) {
      const told = versions[index];
      if (told?.kind !== 'known') continue;
      findings.set(refId(ref), { kind: 'version', version: told.version, by: 'list' });
      ages.note(store, ref.ref.key, told);
    }
  }
  // That a failure has ended is to be on record, as that it began.
  const unread: StoreRef[] = [];
  let asked: (readonly [StoreRef, Promise<boolean>])[] = [];
  const hear = async (): Promise<void> => {
    const isToRead = await Promise.all(asked.map(([, answer]) => answer));
    unread.push(...asked.filter((_, index) => isToRead[index]).map(([ref]) => ref));
    asked = [];
    beat();
    // An audit in a file answers on this thread: probes and writes come in between.
    await nextTurn();
  };
  for (const ref of refs) {
    const isToRead = !findings.has(refId(ref)) || pass.recorder.isFailing(ref);
    if (isToRead === true) unread.push(ref);
    else if (isToRead !== false) asked.push([ref, isToRead]);
    if (asked.length === ASKED_AT_ONCE) await hear();
  }
  if (asked.length > 0) await hear();
  // In parts, so that a long one is seen to go on.
  for (let start = 0, size = READ_AT_FIRST; start < unread.length; ) {
    const part = unread.slice(start, start + size);
    const results = await pass.read(part);
    beat();
    start += part.length;
    size = partAfter(results);
    for (const ref of part) {
      const id = refId(ref);
      const result = results.get(id);
      if (result === undefined) continue;
      // A list that tells of it has not failed: to read again what it does not say is no haste.
      if (result.kind !== 'failed' || !findings.has(id))
        findings.set(id, findingOf(result, pass.fingerprints));
      // A named version, or another object of that name, tells nothing of the current value.
      if (result.kind === 'found' && isPlain(ref.ref)) ages.note(store, ref.ref.key, result);
    }
  }
  return findings;
}

/** How many to read at once after some that were so large. */
function partAfter(results: ReadonlyMap<string, ReadResult>): number {
  const bytes = Math.max(1, sizeOfAll(results));
  return Math.max(1, Math.min(READ_AT_ONCE, Math.floor((BYTES_AT_ONCE * results.size) / bytes)));
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
