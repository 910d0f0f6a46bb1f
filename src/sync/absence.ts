import { AppError } from '../core/errors.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import { objectTypeOf } from '../core/read-result.ts';
import type { LiveSecret } from '../core/secret.ts';
import { type Desired, isSpread } from './desired.ts';
import {
  ANNOTATION,
  configHash,
  isListedAsRemoved,
  LABEL,
  parseSources,
  parseStores,
  REMOVED,
} from './ownership-metadata.ts';
import { describeSource } from './value.ts';

/** What is known about absent sources beyond the current reads. */
export interface AbsenceInput {
  readonly mapping: Mapping;
  readonly live: LiveSecret | undefined;
  /** Maps the name of each store to the hash of its current definition. */
  readonly stores: ReadonlyMap<string, string>;
  /** Whether the recorded reads prove that a source is gone. */
  readonly isProvenAbsent: (source: Source) => boolean;
  /** For a missing target: whether its last recorded write lacked a source that an earlier write used. */
  readonly isWrittenWithout?: ((source: Source) => boolean) | undefined;
}

/**
 * `go`: write the data without the absent sources. `removed` lists the required ones, which the target must record.
 * `delete`: nothing of the target is left.
 */
export type AbsenceVerdict =
  | { readonly kind: 'go'; readonly removed: readonly Source[] }
  | { readonly kind: 'delete' }
  | { readonly kind: 'stop'; readonly error: AppError };

/**
 * Decides what to do with a target whose sources are partly absent.
 *
 * A source that the target was never made from removes nothing. If it is optional, it is skipped. Otherwise it is an
 * error, unless its keys were removed before, so that the other keys stay in sync.
 *
 * A source that the target was made from is gone only with proof. It must have been read under the same store
 * definition and reported absent often and long enough. Then `optional` removes its keys; for other sources,
 * `onSourceMissing` decides.
 */
export function judgeAbsence(
  { absent, data }: Extract<Desired, { kind: 'ready' }>,
  sources: readonly Source[],
  input: AbsenceInput,
): AbsenceVerdict {
  const { mapping, live } = input;
  const writtenFrom = absent.filter((source) => wasWritten(source, input));
  const required = absent.filter(({ optional }) => !optional);
  const removedBefore = required.filter(
    (source) => !writtenFrom.includes(source) && wasRemoved(source, input),
  );
  const neverWritten = required.find(
    (source) => !writtenFrom.includes(source) && !removedBefore.includes(source),
  );
  if (neverWritten !== undefined) return stop(neverWritten, live, undefined);
  for (const source of writtenFrom) {
    const doubt = missingProof(source, input);
    if (doubt !== undefined) return stop(source, live, doubt);
  }
  const [first] = writtenFrom.filter(({ optional }) => !optional);
  if (first === undefined || mapping.onSourceMissing === 'removeKeys') {
    // A key from a search is forgotten once it is removed. A source that the mapping names must be recorded as removed.
    const isNamed = (source: Source): boolean =>
      sources.some((other) => !other.optional && isSame(other, source));
    return { kind: 'go', removed: required.filter(isNamed) };
  }
  // All sources must be proved gone, including those never written, because their values may be about to appear. A
  // search has no fixed sources, so the data must be empty too.
  const isGone = (source: Source): boolean =>
    absent.some((other) => isSame(other, source) && input.isProvenAbsent(other));
  const isAllGone = data.size === 0 && sources.every(isGone);
  if (mapping.onSourceMissing === 'delete' && isAllGone) return { kind: 'delete' };
  return stop(first, live, undefined);
}

function isSame(a: Source, b: Source): boolean {
  return (
    a.store === b.store && a.key === b.key && a.version === b.version && objectTypeOf(a) === objectTypeOf(b)
  );
}

/** Why an absence is not proved. Undefined if it is proved. */
function missingProof(source: Source, { live, stores, isProvenAbsent }: AbsenceInput): string | undefined {
  const before = parseStores(live?.annotations[ANNOTATION.stores])?.get(source.store);
  if (before === undefined || before !== stores.get(source.store))
    return 'it was last read from another definition of the store';
  return isProvenAbsent(source)
    ? undefined
    : 'its absence is not proved yet; this takes more reads or more time';
}

/**
 * Whether the target was made from this source and lost its keys because the source is gone. The target records this
 * itself. For a missing target, the audit records it; otherwise the target could not be recreated before its source
 * returns.
 */
function wasRemoved(
  source: Source,
  { live, mapping, isProvenAbsent, isWrittenWithout }: Omit<AbsenceInput, 'stores'>,
): boolean {
  if (mapping.onSourceMissing !== 'removeKeys') return false;
  return live?.labels[LABEL.mapping] === undefined
    ? isProvenAbsent(source) && isWrittenWithout?.(source) === true
    : isListedAsRemoved(live.annotations[REMOVED], source);
}

/** Whether the live target was made from this source. If that is unknown, assume it was. */
function wasWritten(source: Source, { live, mapping }: Pick<AbsenceInput, 'live' | 'mapping'>): boolean {
  if (live?.labels[LABEL.mapping] === undefined) return false;
  const written = parseSources(live.annotations[ANNOTATION.sources]);
  if (written === undefined) return !lacksKeysOf(source, live, mapping);
  const isByThisMapping = live.annotations[ANNOTATION.config] === configHash(mapping);
  return [...written].some(
    ([name, { store, key }]) =>
      store === source.store &&
      key === source.key &&
      !(isByThisMapping && isFromOtherObject(name, source, mapping)),
  );
}

/** Whether a target with unknown sources lacks the keys of this source, so that nothing would be lost. */
function lacksKeysOf(
  source: Source,
  { data: liveData }: LiveSecret,
  { data, dataFrom, template }: Mapping,
): boolean {
  if (template?.only || dataFrom.some(({ store }) => store === source.store)) return false;
  const names = Object.entries(data).flatMap(([name, giver]) => (isSame(giver, source) ? [name] : []));
  return names.every((name) => !liveData.has(name));
}

/**
 * Whether a key of the target was made from another object with the same name. The annotation does not record the
 * object type. It is taken from the mapping that wrote the target, unless several of its sources may give that key.
 */
function isFromOtherObject(name: string, source: Source, { data, dataFrom }: Mapping): boolean {
  const explicit = Object.entries(data).flatMap(([key, giver]) => (key === name ? [giver] : []));
  const givers = [...explicit, ...dataFrom].filter(
    (giver) => giver.store === source.store && (!isSpread(giver) || giver.key === source.key),
  );
  const objects = givers.map((giver) => objectTypeOf(isSpread(giver) ? giver : {}));
  return objects.length > 0 && !objects.includes(objectTypeOf(source));
}

function stop(source: Source, live: LiveSecret | undefined, doubt: string | undefined): AbsenceVerdict {
  const parts = [live === undefined ? undefined : 'the target is kept', doubt];
  const detail = parts.filter((part) => part !== undefined).join('; ');
  return {
    kind: 'stop',
    error: new AppError('SOURCE_ABSENT', { subject: describeSource(source), ...(detail ? { detail } : {}) }),
  };
}
