import { AppError } from '../core/errors.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import { objectTypeOf } from '../core/read-result.ts';
import type { LiveSecret } from '../core/secret.ts';
import { type Desired, isSpread } from './desired.ts';
import {
  ANNOTATION,
  configHash,
  LABEL,
  parseSources,
  parseStores,
  REMOVED,
  isListedAsRemoved,
} from './ownership-metadata.ts';
import { describeSource } from './value.ts';

/** What is known of the absence of a source beyond this pass. */
export interface AbsenceInput {
  readonly mapping: Mapping;
  readonly live: LiveSecret | undefined;
  /** Store name to the hash of its definition now. */
  readonly stores: ReadonlyMap<string, string>;
  /** Whether the readings on record prove that it is gone. */
  readonly isProvenAbsent: (source: Source) => boolean;
  /**
   * Of a target that is gone, whether its last write on record was without a source that an earlier one was made from.
   */
  readonly isWrittenWithout?: ((source: Source) => boolean) | undefined;
}

/**
 * `go`: the data as it is may be written, without the absent ones; `removed`: those of them that stay away for being
 * gone, which the target has to say. `delete`: nothing of the target is left.
 */
export type AbsenceVerdict =
  | { readonly kind: 'go'; readonly removed: readonly Source[] }
  | { readonly kind: 'delete' }
  | { readonly kind: 'stop'; readonly error: AppError };

/**
 * What becomes of a target some of whose sources are absent.
 *
 * A source from which the target was never made takes nothing away: an optional one is passed over, any other is an
 * error, unless its keys were removed before: the others are to stay in step. One from which it was made is gone only
 * with proof: read under the same definition of its store, and found absent often and long enough. Then `optional` lets
 * its keys go, and otherwise `onSourceMissing` decides.
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
    // What a search found is asked for no more once its key is gone, unless the mapping cannot do without it.
    const isNamed = (source: Source): boolean =>
      sources.some((other) => !other.optional && isSame(other, source));
    return { kind: 'go', removed: required.filter(isNamed) };
  }
  // All of it, and all of it proved, also what the target was not made from: nothing may be about to come. A search has
  // no fixed sources, so that no data is left must show as well.
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

/** Why an absence is not proved, or nothing. */
function missingProof(
  source: Source,
  { live, stores, isProvenAbsent }: AbsenceInput,
): string | undefined {
  const before = parseStores(live?.annotations[ANNOTATION.stores])?.get(source.store);
  if (before === undefined || before !== stores.get(source.store))
    return 'it was read from another definition of the store before';
  return isProvenAbsent(source) ? undefined : 'it takes more readings, or longer, to prove it';
}

/**
 * Whether the target was made from this source, and lost its keys because that was gone. It says so itself. Of one that
 * is gone, by hand or while it was made anew, the records tell; else it would not come back before its source does.
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

/** Whether the live target was made from this source; where that cannot be told, it was. */
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

/** Whether a target of unknown sources lacks the keys that a source would have given it, so that nothing is lost. */
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
 * Whether a key of the target was made of another object of the same name as this source. The annotation does not tell
 * objects apart; the mapping by which it was written does, unless it may have given that key in several ways.
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
  const parts = [live === undefined ? undefined : 'the target is kept as it is', doubt];
  const detail = parts.filter((part) => part !== undefined).join('; ');
  return {
    kind: 'stop',
    error: new AppError('SOURCE_ABSENT', { subject: describeSource(source), ...(detail ? { detail } : {}) }),
  };
}
