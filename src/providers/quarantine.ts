import { unlessAborted } from '../core/abort.ts';
import { AppError } from '../core/errors.ts';
import type { ReadResult } from '../core/read-result.ts';
import { refId, type SourceRef } from '../core/read-result.ts';
import { CALL_SKIPPED } from './breaker.ts';
import type { CallOptions, SecretProvider } from './provider.ts';
import { failedRead } from './settle.ts';

/** The maximum number of concurrent reads of one reference, so that they do not occupy all permits. */
const MAX_CONCURRENT_READS = 2;
/** The maximum number of hanging references to remember. */
const MAX_REMEMBERED = 10_000;
const STILL_RUNNING = 'its last read timed out, and another read is still running';

interface Entry {
  running: number;
  /** Whether the last read timed out. */
  isHanging: boolean;
  /** Resolves when one of the running reads ends. */
  ended: PromiseWithResolvers<void>;
}

/**
 * Limits reads of keys that hang, because each such read holds a permit until its timeout. At most two reads of one
 * reference run at a time, and further callers wait. After a timeout, only one read at a time is made, and all other
 * callers immediately get TIMEOUT. Callers never share results, because a result may be older than the caller's
 * request.
 */
export function withQuarantine(store: string, provider: SecretProvider): SecretProvider {
  const entries = new Map<string, Entry>();
  const idOf = (ref: SourceRef) => refId({ store, ref });

  const begin = (id: string) => {
    const entry = entries.get(id) ?? { running: 0, isHanging: false, ended: Promise.withResolvers<void>() };
    entry.running += 1;
    entries.set(id, entry);
  };
  /** @param result Undefined if the read was interrupted. */
  const end = (id: string, result: ReadResult | undefined) => {
    const entry = entries.get(id);
    if (entry === undefined) return;
    entry.running -= 1;
    if (result !== undefined) entry.isHanging = isUnanswered(result);
    const { ended } = entry;
    entry.ended = Promise.withResolvers();
    ended.resolve();
    if (entry.running > 0) return;
    entries.delete(id);
    if (entry.isHanging) entries.set(id, entry); // moves the entry to the newest position
    if (entries.size > MAX_REMEMBERED) forgetOldest(entries);
  };
  const admissionOf = (id: string): 'no' | 'refused' | 'yes' => {
    const entry = entries.get(id);
    if (entry === undefined || entry.running === 0) return 'no';
    if (entry.isHanging) return 'refused';
    return entry.running < MAX_CONCURRENT_READS ? 'no' : 'yes';
  };
  const readNow = async (refs: readonly SourceRef[], options: CallOptions | undefined) => {
    for (const ref of refs) begin(idOf(ref));
    let results: readonly ReadResult[] = [];
    try {
      results = await provider.read(refs, options);
      return results;
    } finally {
      for (const [index, ref] of refs.entries()) end(idOf(ref), results[index]);
    }
  };
  const readWhenFree = async (ref: SourceRef, options: CallOptions | undefined): Promise<ReadResult> => {
    const id = idOf(ref);
    for (;;) {
      const wait = admissionOf(id);
      if (wait === 'refused')
        return failedRead(store, ref.key, new AppError('TIMEOUT', { detail: STILL_RUNNING }));
      if (wait === 'yes') await unlessAborted(entries.get(id)?.ended.promise, options?.signal);
      else return (await readNow([ref], options))[0] ?? failedRead(store, ref.key, new AppError('INTERNAL'));
    }
  };

  return {
    ...provider,
    async read(refs, options) {
      const admitted = refs.filter((ref) => admissionOf(idOf(ref)) === 'no');
      const [first, ...later] = await Promise.all([
        admitted.length === 0 ? [] : readNow(admitted, options),
        ...refs
          .filter((ref) => !admitted.includes(ref))
          .map(async (ref) => [ref, await readWhenFree(ref, options)] as const),
      ]);
      const results = new Map<SourceRef, ReadResult | undefined>(later);
      for (const [index, ref] of admitted.entries()) results.set(ref, first[index]);
      return refs.map((ref) => results.get(ref) ?? failedRead(store, ref.key, new AppError('INTERNAL')));
    },
  };
}

function isUnanswered(result: ReadResult): boolean {
  return result.kind === 'failed' && result.error.code === 'TIMEOUT' && result.error.detail !== CALL_SKIPPED;
}

/** Forgets the oldest entry that has no running reads. */
function forgetOldest(entries: Map<string, Entry>): void {
  for (const [id, { running }] of entries) {
    if (running > 0) continue;
    entries.delete(id);
    return;
  }
}
