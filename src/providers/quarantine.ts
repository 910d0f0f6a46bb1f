import { unlessAborted } from '../core/abort.ts';
import { AppError } from '../core/errors.ts';
import { refId, type SourceRef } from '../core/reading.ts';
import { NOT_MADE } from './breaker.ts';
import type { CallOptions, ReadResult, SecretProvider } from './provider.ts';
import { failedRead } from './settle.ts';

/** Reads of one reference at a time. More would only take the places of others. */
const TOGETHER = 2;
/** References that are remembered to hang. */
const MOST = 10_000;
const UNDER_WAY = 'its last read had no answer, and another one is under way';

interface Entry {
  running: number;
  /** Its last read had no answer. */
  isHanging: boolean;
  /** Resolves when one of those that run has ended. */
  ended: PromiseWithResolvers<void>;
}

/**
 * A key that hangs holds a place in the limits for the whole time of a call. So of many who want one reference two
 * ask, and the others wait for their outcome: once a read had no answer, one at a time is made, and whoever comes
 * meanwhile gets TIMEOUT at once. What was read for another is never shared: it may be older than the wish for it.
 */
export function withQuarantine(store: string, provider: SecretProvider): SecretProvider {
  const entries = new Map<string, Entry>();
  const idOf = (ref: SourceRef) => refId({ store, ref });

  const begin = (id: string) => {
    const entry = entries.get(id) ?? { running: 0, isHanging: false, ended: Promise.withResolvers<void>() };
    entry.running += 1;
    entries.set(id, entry);
  };
  /** @param result Undefined: it was interrupted, which tells nothing. */
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
    if (entry.isHanging) entries.set(id, entry); // as the newest one
    if (entries.size > MOST) forgetOldest(entries);
  };
  const mustWait = (id: string): 'no' | 'refused' | 'yes' => {
    const entry = entries.get(id);
    if (entry === undefined || entry.running === 0) return 'no';
    if (entry.isHanging) return 'refused';
    return entry.running < TOGETHER ? 'no' : 'yes';
  };
  const ask = async (refs: readonly SourceRef[], options: CallOptions | undefined) => {
    for (const ref of refs) begin(idOf(ref));
    let results: readonly ReadResult[] = [];
    try {
      results = await provider.read(refs, options);
      return results;
    } finally {
      for (const [index, ref] of refs.entries()) end(idOf(ref), results[index]);
    }
  };
  const askLater = async (ref: SourceRef, options: CallOptions | undefined): Promise<ReadResult> => {
    const id = idOf(ref);
    for (;;) {
      const wait = mustWait(id);
      if (wait === 'refused')
        return failedRead(store, ref.key, new AppError('TIMEOUT', { detail: UNDER_WAY }));
      if (wait === 'yes') await unlessAborted(entries.get(id)?.ended.promise, options?.signal);
      else return (await ask([ref], options))[0] ?? failedRead(store, ref.key, new AppError('INTERNAL'));
    }
  };

  return {
    ...provider,
    async read(refs, options) {
      const now = refs.filter((ref) => mustWait(idOf(ref)) === 'no');
      const [first, ...later] = await Promise.all([
        now.length === 0 ? [] : ask(now, options),
        ...refs
          .filter((ref) => !now.includes(ref))
          .map(async (ref) => [ref, await askLater(ref, options)] as const),
      ]);
      const results = new Map<SourceRef, ReadResult | undefined>(later);
      for (const [index, ref] of now.entries()) results.set(ref, first[index]);
      return refs.map((ref) => results.get(ref) ?? failedRead(store, ref.key, new AppError('INTERNAL')));
    },
  };
}

function isUnanswered(result: ReadResult): boolean {
  return result.kind === 'failed' && result.error.code === 'TIMEOUT' && result.error.detail !== NOT_MADE;
}

/** One that runs is still needed. */
function forgetOldest(entries: Map<string, Entry>): void {
  for (const [id, { running }] of entries) {
    if (running > 0) continue;
    entries.delete(id);
    return;
  }
}
