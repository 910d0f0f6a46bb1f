import { type Fingerprint, type Fingerprinter, isFingerprint, keyIdOf } from '../core/fingerprint.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { compareText, type TargetId } from '../core/target.ts';
import {
  ANNOTATION,
  isEquivalentMetadata,
  isNewVersion,
  isUnderOtherKey,
  type OwnershipMetadata,
  PIN,
  type TargetSource,
} from './ownership-metadata.ts';

export interface KeyPlan {
  readonly name: string;
  readonly action: 'add' | 'change' | 'remove' | 'keep';
  readonly before?: Fingerprint;
  readonly after?: Fingerprint;
}

/** Plans an action for each key, sorted by name. */
export function compareData(
  desired: ReadonlyMap<string, SecretValue>,
  live: ReadonlyMap<string, SecretValue>,
  fingerprints: Fingerprinter,
): readonly KeyPlan[] {
  const names = [...new Set([...desired.keys(), ...live.keys()])].sort(compareText);
  return names.map((name): KeyPlan => {
    const [before, after] = [live.get(name), desired.get(name)];
    const fingerprintsOf = {
      ...(before === undefined ? {} : { before: fingerprints.value(before) }),
      ...(after === undefined ? {} : { after: fingerprints.value(after) }),
    };
    if (before === undefined) return { name, action: 'add', ...fingerprintsOf };
    if (after === undefined) return { name, action: 'remove', ...fingerprintsOf };
    return { name, action: before.equals(after) ? 'keep' : 'change', ...fingerprintsOf };
  });
}

// Detects manual changes. The annotations of a target record the sources and the configuration of the last write. If
// the annotations match the desired ones but the target still differs from the desired state, it was changed by hand.
// Otherwise the difference is an ordinary change.

interface DriftInput {
  /** The live target. For a Secret of another owner, this is only the part that we merged. */
  readonly live: Pick<LiveSecret, 'labels' | 'annotations' | 'ours'>;
  readonly desired: OwnershipMetadata;
  /** Whether a fingerprint under an older key matches the desired data. Undefined if the older key is not available. */
  matchesDesired(fingerprint: string): boolean | undefined;
}

/**
 * Whether a target differs from the desired state only because somebody changed it by hand. This is the case if our
 * last write already had the desired state. If the fingerprint's key is not available, the recorded sources and
 * versions decide.
 */
export function isDrift({ live, desired, matchesDesired }: DriftInput): boolean {
  const isUnchanged = (name: string): boolean => isSame(live, desired, name);
  // A different pin means that we must change the target, so the difference is not a manual change.
  if (live.annotations[PIN] !== desired.annotations[PIN]) return false;
  const written = live.annotations[ANNOTATION.fingerprint];
  const desiredFingerprint = desired.annotations[ANNOTATION.fingerprint] ?? '';
  if (written !== desiredFingerprint) {
    if (written !== undefined && isUnderOtherKey(written, desiredFingerprint)) {
      const sameSources = live.annotations[ANNOTATION.sources] === desired.annotations[ANNOTATION.sources];
      if (!(matchesDesired(written) ?? sameSources)) return false;
    } else if (isAsWritten(live, 'annotations', ANNOTATION.fingerprint)) return false;
    // The fingerprint is missing, changed by hand or not comparable. So all other annotations must match.
    if (![ANNOTATION.sources, ANNOTATION.stores, ANNOTATION.config].every(isUnchanged)) return false;
  }
  return changedMetadata(live, desired).every(({ part, name }) => !isAsWritten(live, part, name));
}

type Part = 'labels' | 'annotations';

function isSame({ annotations }: DriftInput['live'], desired: OwnershipMetadata, name: string): boolean {
  return isEquivalentMetadata(name, annotations[name], desired.annotations[name] ?? '');
}

/** Returns the labels and annotations that differ from the desired ones. */
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

/**
 * Whether a label or annotation still has the value that we wrote. Without recorded field managers, every label or
 * annotation that exists counts as written by us.
 */
function isAsWritten(live: DriftInput['live'], part: Part, name: string): boolean {
  return live.ours === undefined ? live[part][name] !== undefined : live.ours[part].includes(name);
}

/** The last recorded write of a target. */
interface LastWrite {
  readonly after?: string;
  readonly sources: readonly TargetSource[];
}

/**
 * Whether a missing target was deleted by hand. This is the case if it would be recreated with the content and sources
 * of its last write.
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

/** Whether two fingerprints of a target prove different content. Fingerprints under different keys prove nothing. */
export function isContentDifferent(before: string | undefined, after: string | undefined): boolean {
  if (before === undefined || after === undefined || before === after) return false;
  return isFingerprint(before) && isFingerprint(after) && keyIdOf(before) === keyIdOf(after);
}
