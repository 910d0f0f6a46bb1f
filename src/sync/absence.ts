import { AppError } from '../core/errors.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import { objectTypeOf } from '../core/read-result.ts';
import type { LiveSecret } from '../core/secret.ts';
import { type AbsentSource, type Desired, isSpread } from './desired.ts';
import {
  ANNOTATION,
  configHash,
  isListedAsRemoved,
  LABEL,
  parseSources,
  parseStores,
  REMOVED,
} from './ownership-metadata.ts';
import { absentError, describeSource } from './value.ts';

/** The facts for deciding what to do about absent sources. The decision also needs the current read results. */
export interface AbsenceInput {
  readonly mapping: Mapping;
  readonly live: LiveSecret | undefined;
  /** Maps each store name to the hash of the store's current definition. */
  readonly stores: ReadonlyMap<string, string>;
  /** Whether the recorded reads prove that the source no longer exists. */
  readonly isProvenAbsent: (source: Source) => boolean;
  /**
   * Returns the time after which another read can confirm that the source does not exist, in milliseconds. Undefined if
   * the recorded reads confirm it. By default, one read is enough.
   */
  readonly awaitedConfirmation?: ((source: Source) => number | undefined) | undefined;
  /**
   * Whether the last recorded write of the target left out a source that an earlier write used. Used only if the target
   * is missing.
   */
  readonly isWrittenWithout?: ((source: Source) => boolean) | undefined;
}

/**
 * `go`: write the target without the absent sources. `removed` lists the required ones among the absent sources. The
 * target must record them. `delete`: all sources are gone, so delete the target. `stop`: fail with this error.
 */
type AbsenceVerdict =
  | { readonly kind: 'go'; readonly removed: readonly Source[] }
  | { readonly kind: 'delete' }
  | { readonly kind: 'stop'; readonly error: AppError };

/**
 * Decides what to do with a target if some of its sources are absent.
 *
 * If the target was never made from an absent source, no key has to be removed. An optional source is then skipped. For
 * a new target, the absence may first need confirmation, because workloads would start without the key. A required
 * source causes an error, unless its keys were already removed. In that case the other keys stay in sync.
 *
 * If the target was made from an absent source, proof is needed that the source is gone. The reads must have used the
 * same store definition and reported the absence often and long enough. With proof, the keys of an optional source are
 * removed. For a required source, `onSourceMissing` decides.
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
  const unconfirmed = findUnconfirmed(absent, input);
  if (unconfirmed !== undefined) return { kind: 'stop', error: unconfirmed };
  const [first] = writtenFrom.filter(({ optional }) => !optional);
  if (first === undefined || mapping.onSourceMissing === 'removeKeys') {
    // Record the sources that the mapping names, because their keys must stay removed. Keys from a search need no
    // record, because the search no longer finds them.
    const isNamed = (source: Source): boolean =>
      sources.some((other) => !other.optional && isSame(other, source));
    return { kind: 'go', removed: required.filter(isNamed) };
  }
  // Delete the target only if every source is proved gone. This includes each source that was never written, because
  // its value may be about to appear. If the mapping has a search, the data must also be empty, because the sources of
  // a search are not fixed.
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

/** Returns the error of a new target that has an optional source whose absence still needs confirmation. */
function findUnconfirmed(
  absent: readonly Source[],
  { live, awaitedConfirmation }: AbsenceInput,
): AppError | undefined {
  if (live?.labels[LABEL.mapping] !== undefined) return undefined;
  for (const source of absent) {
    const retryAfterMs = source.optional ? awaitedConfirmation?.(source) : undefined;
    if (retryAfterMs === undefined) continue;
    const seconds = Math.ceil(retryAfterMs / 1_000);
    return new AppError('SOURCE_ABSENT', {
      subject: describeSource(source),
      detail: `the store may be late to show a deletion, so a second read must confirm this at least ${seconds} s later`,
      remedy: `Sync again after ${seconds} s. The service does this by itself.`,
      retryAfterMs,
    });
  }
  return undefined;
}

/** Returns the reason why an absence is not proved. Undefined if it is proved. */
function missingProof(source: Source, { live, stores, isProvenAbsent }: AbsenceInput): string | undefined {
  const before = parseStores(live?.annotations[ANNOTATION.stores])?.get(source.store);
  if (before === undefined || before !== stores.get(source.store))
    return 'it was last read from another definition of the store';
  return isProvenAbsent(source)
    ? undefined
    : 'its absence is not proved yet; this takes more reads or more time';
}

/**
 * Whether the target was made from this source and its keys were then removed because the source is gone. The target
 * itself records this. If the target is missing, the audit is used instead, so that the target can be recreated without
 * the source.
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

/** Whether the live target was made from this source. If this is unknown, assume that it was. */
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

/**
 * Whether the target already lacks the keys of this source. Removing them then loses nothing. Used if the target does
 * not record its sources.
 */
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
 * Whether a key of the target was made from an object of another type with the same name. The annotation with the
 * sources does not record the object type. So the type comes from the mapping that wrote the target, unless several
 * sources of the mapping may produce the key.
 */
function isFromOtherObject(name: string, source: Source, { data, dataFrom }: Mapping): boolean {
  const explicit = Object.entries(data).flatMap(([key, giver]) => (key === name ? [giver] : []));
  const givers = [...explicit, ...dataFrom].filter(
    (giver) => giver.store === source.store && (!isSpread(giver) || giver.key === source.key),
  );
  const objects = givers.map((giver) => objectTypeOf(isSpread(giver) ? giver : {}));
  return objects.length > 0 && !objects.includes(objectTypeOf(source));
}

function stop(source: AbsentSource, live: LiveSecret | undefined, doubt: string | undefined): AbsenceVerdict {
  const details = [
    ...(live === undefined ? [] : ['the target is kept']),
    ...(doubt === undefined ? [] : [doubt]),
  ];
  return { kind: 'stop', error: absentError(source, source.place, details) };
}

/** The numbers that decide whether the deletion step may delete targets. */
interface BrakeInput {
  /** The targets to delete now. */
  readonly proposed: number;
  /** The targets already deleted within the time window. */
  readonly destroyed: number;
  /** All targets of the instance, including the targets to delete and the deleted ones. */
  readonly total: number;
  /** The targets that exist now. */
  readonly alive: number;
  /** The share of `total` that may be deleted within the time window, from 0 to 1. */
  readonly share: number;
}

/** Allows either all deletions or none. If a mass deletion is a mistake, half of it would be a mistake too. */
export function mayDestroy({ proposed, destroyed, total, alive, share }: BrakeInput): boolean {
  return proposed + destroyed <= allowedDeletions({ share, total }) && !leavesNoTarget({ proposed, alive });
}

/** Returns how many targets may be deleted within the time window. */
export function allowedDeletions({ share, total }: Pick<BrakeInput, 'share' | 'total'>): number {
  // The tolerance covers floating-point rounding, because some products are slightly below the exact integer.
  return Math.max(1, Math.floor(share * total + 1e-9));
}

/** Whether no target would be left after the deletion. */
export function leavesNoTarget({ proposed, alive }: Pick<BrakeInput, 'proposed' | 'alive'>): boolean {
  return proposed >= alive;
}
