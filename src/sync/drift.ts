import type { Fingerprinter } from '../core/fingerprint.ts';
import { isFingerprint, keyIdOf } from '../core/fingerprint.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { TargetId } from '../core/target.ts';
import {
  ANNOTATION,
  isNewVersion,
  isUnderOtherKey,
  type OwnershipMetadata,
  PIN,
  isEquivalentMetadata,
  type TargetSource,
} from './ownership-metadata.ts';

// What a target was made of stands in its own annotations. When they say the same as what would be written now, and the
// target is not as it would be written, then neither sources nor configuration changed: somebody changed it by hand.
// Without that proof a difference is an ordinary change.

export interface DriftInput {
  /** As read; of a Secret of somebody else, our part of it. */
  readonly live: Pick<LiveSecret, 'labels' | 'annotations' | 'ours'>;
  readonly desired: OwnershipMetadata;
  /** Whether a fingerprint under an older key is that of what is wanted; nothing where we do not have its key. */
  matchesDesired(fingerprint: string): boolean | undefined;
}

/**
 * Whether a target of ours that differs from what is wanted was only changed by hand: what is wanted is what we wrote
 * last. Where the fingerprint is under a key that we do not have, the versions tell, unless they are fingerprints too.
 */
export function isDrift({ live, desired, matchesDesired: isOfWanted }: DriftInput): boolean {
  const isUnchanged = (name: string): boolean => isSame(live, desired, name);
  // Whoever pins a target, or lets it go, has not touched it yet.
  if (live.annotations[PIN] !== desired.annotations[PIN]) return false;
  const written = live.annotations[ANNOTATION.fingerprint];
  const desiredFingerprint = desired.annotations[ANNOTATION.fingerprint] ?? '';
  if (written !== desiredFingerprint) {
    if (written !== undefined && isUnderOtherKey(written, desiredFingerprint)) {
      const sameSources = live.annotations[ANNOTATION.sources] === desired.annotations[ANNOTATION.sources];
      if (!(isOfWanted(written) ?? sameSources)) return false;
    } else if (isAsWritten(live, 'annotations', ANNOTATION.fingerprint)) return false;
    // It cannot be compared, is gone or changed by hand itself: then all the others must say so.
    if (![ANNOTATION.sources, ANNOTATION.stores, ANNOTATION.config].every(isUnchanged)) return false;
  }
  return changedMetadata(live, desired).every(({ part, name }) => !isAsWritten(live, part, name));
}

type Part = 'labels' | 'annotations';

function isSame({ annotations }: DriftInput['live'], desired: OwnershipMetadata, name: string): boolean {
  return isEquivalentMetadata(name, annotations[name], desired.annotations[name] ?? '');
}

/** The marks that are not as they would be written. */
function changedMetadata(
  live: DriftInput['live'],
  desired: OwnershipMetadata,
): readonly { part: Part; name: string }[] {
  const labels = Object.entries(desired.labels).filter(([name, value]) => live.labels[name] !== value);
  const annotations = Object.keys(desired.annotations).filter((name) => !isSame(live, desired, name));
  return [
    ...labels.map(([name]) => ({ part: 'labels' as const, name })),
    ...annotations.map((name) => ({ part: 'annotations' as const, name })),
  ];
}

/** Whether a mark is as we wrote it. Where nobody notes who wrote what, each of ours that is there is. */
function isAsWritten(live: DriftInput['live'], part: Part, name: string): boolean {
  return live.ours === undefined ? live[part][name] !== undefined : live.ours[part].includes(name);
}

/** What the audit knows of the last write of a target. */
export interface LastWrite {
  readonly after?: string;
  readonly sources: readonly TargetSource[];
}

/**
 * Whether a target that is gone would be made again just as it was: it was deleted by hand, and nothing else happened.
 */
export function isLoss(
  lastWrite: LastWrite,
  id: TargetId,
  desired: {
    readonly data: ReadonlyMap<string, SecretValue>;
    readonly sources: ReadonlyMap<string, TargetSource>;
  },
  fingerprints: Pick<Fingerprinter, 'matchesTarget'>,
): boolean {
  if (lastWrite.after === undefined || fingerprints.matchesTarget(lastWrite.after, id, desired.data) !== true)
    return false;
  return [...desired.sources.values()].every((source) =>
    lastWrite.sources.some(
      ({ store, key, property, version }) =>
        store === source.store &&
        key === source.key &&
        property === source.property &&
        !isNewVersion(version, source.version),
    ),
  );
}

/** Whether two fingerprints of one target say that its content changed; under different keys none can tell. */
export function isContentDifferent(before: string | undefined, after: string | undefined): boolean {
  if (before === undefined || after === undefined || before === after) return false;
  return isFingerprint(before) && isFingerprint(after) && keyIdOf(before) === keyIdOf(after);
}
