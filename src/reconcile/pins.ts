import type { Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import { type ReadResult, refId, type StoreRef } from '../core/reading.ts';
import type { TargetId } from '../core/target.ts';
import type { TargetSource } from '../sync/marks.ts';
import { OTHERWISE, type Pin, type Pinned } from '../sync/pin.ts';
import type { GatherDeps } from './gather.ts';
import { lastWord } from './last-word.ts';

// `rollback` and `unpin` are records, and the last one of a target decides. Nothing else holds a pin.

export interface RecordedPin extends Pin {
  /** The fingerprints of what a version of a source was read to be, up to the record that is gone back to. */
  readonly readThen: (source: Pick<TargetSource, 'store' | 'key' | 'version'>) => Promise<readonly string[]>;
}

/** Whether a target is pinned, by the last word of these instances. @throws AppError AUDIT_UNAVAILABLE */
export async function readPin(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  mapping: string,
  { namespace, secret }: TargetId,
  instances: readonly string[],
): Promise<RecordedPin | undefined> {
  const about = { mapping, namespace, secret, outcome: 'ok' } as const;
  const last = await lastWord(audit, about, ['rollback', 'unpin'], instances);
  const pin = last && pinOf(last);
  return pin && recordedPin(audit, pin, instances);
}

/** More values under one version than the kinds of objects of a store: it has begun to count anew, again and again. */
const MOST_READ = 20;

export function recordedPin(
  audit: Pick<AuditStore, 'list'>,
  pin: Pin,
  instances: readonly string[],
): RecordedPin {
  return {
    ...pin,
    async readThen({ store, key, version }) {
      const read = { store, key, version, action: 'read', outcome: 'ok' } as const;
      const page = { limit: MOST_READ, before: pin.to };
      const found = await Promise.all(instances.map((instance) => audit.list({ ...read, instance }, page)));
      return found.flat().flatMap(({ after }) => after ?? []);
    },
  };
}

/**
 * Reads for a pinned target. A version that is not there, or is another value than it was, is gone: the key may have
 * been made anew, and its versions with it. Nothing that a pin names counts as absent, so that nothing is taken away.
 */
export function readAsThen(
  pin: RecordedPin,
  { refs: pinned, mapping: { softDeletedIsMissing } }: Pinned,
  { read, fingerprints }: Pick<GatherDeps, 'read'> & { readonly fingerprints: Fingerprinter },
): GatherDeps['read'] {
  const isOther = async ({ store, ref }: StoreRef, found: ReadResult): Promise<boolean> => {
    if (found.kind !== 'found' || ref.version === undefined) return false;
    const then = await pin.readThen({ store, key: ref.key, version: ref.version });
    const comparable = then.flatMap((it) => fingerprints.isOf(it, found.value) ?? []);
    return comparable.length > 0 && !comparable.includes(true);
  };
  const asThen = async (ref: StoreRef, result: ReadResult): Promise<ReadResult> => {
    if (result.kind === 'absent') return gone();
    if (result.kind === 'failed') {
      const { code, detail } = result.error;
      const isGone = code === 'VERSION_GONE' || (code === 'SOURCE_DELETED' && softDeletedIsMissing);
      return isGone ? gone(code === 'VERSION_GONE' ? detail : undefined) : result;
    }
    return (await isOther(ref, result)) ? gone('another value is stored under this version now') : result;
  };
  return async (refs) => {
    const results = new Map(await read(refs));
    for (const ref of refs) {
      const result = results.get(refId(ref));
      if (result !== undefined && pinned.has(refId(ref))) results.set(refId(ref), await asThen(ref, result));
    }
    return results;
  };
}

/** The source that it is about is named by whoever asked. */
function gone(detail?: string): ReadResult {
  const error = new AppError('VERSION_GONE', {
    ...(detail === undefined ? {} : { detail }),
    todo: OTHERWISE,
  });
  return { kind: 'failed', error };
}

/** What the note of a rollback says beside its sources: the record that it goes back to, and which stores these were. */
export function pinNote({ to, stores }: Pick<Pin, 'to' | 'stores'>): string {
  return [`to record ${to}`, ...[...stores].map(([name, hash]) => `${name}@${shortened(hash)}`)].join(' ');
}

/** Enough of a store's definition to tell it from another one under the same name. */
export function shortened(definition: string): string {
  return definition.slice(0, 8);
}

/** The record to which a target is pinned by this one. */
export function pinnedTo(record: Pick<Entry, 'action' | 'sources' | 'note'>): number | undefined {
  return pinOf(record)?.to;
}

function pinOf({ action, sources, note = '' }: Pick<Entry, 'action' | 'sources' | 'note'>): Pin | undefined {
  if (action !== 'rollback') return undefined;
  const [, to, stores = ''] = /^to record (\d+)(.*)$/.exec(note) ?? [];
  if (to === undefined) return undefined;
  const pairs = [...stores.matchAll(/ ([^ @]+)@([^ @]+)/g)].map(
    ([, name = '', hash = '']) => [name, hash] as const,
  );
  return { to: Number(to), sources, stores: new Map(pairs) };
}
