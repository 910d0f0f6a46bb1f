import { AppError } from '../core/errors.ts';
import type { LiveSecret, SecretManifest } from '../core/secret.ts';
import { type Instances, instancesOf } from '../core/target.ts';
import { judgeAbsence } from './absence.ts';
import { checkTarget } from './checks.ts';
import { sourcesOf } from './desired.ts';
import { compareData, isDrift, type KeyPlan } from './drift.ts';
import { planMerge } from './merge.ts';
import { mergesIn } from './merge-record.ts';
import { deletionInProgress, ownership } from './ownership.ts';
import {
  hasAll,
  isEquivalentMetadata,
  LABEL,
  mergeAnnotation,
  type OwnershipMetadata,
  ownershipMetadata,
  PIN,
} from './ownership-metadata.ts';
import { type Plan, type PlanInput, withoutContent } from './plan-types.ts';
import { obsoleteNames, preserveForeignMetadata } from './preserved-metadata.ts';
import { withTemplates } from './template.ts';

export function plan(input: PlanInput): Plan {
  try {
    return input.mapping.target.mode === 'merge' ? planMerge(input) : planOwn(input);
  } catch (error) {
    // A template failed, so the existing content stays.
    if (error instanceof AppError) return { kind: 'fail', keys: [], error };
    throw error;
  }
}

function planOwn(input: PlanInput): Plan {
  const { desired, live, mapping } = input;
  const owner = live === undefined ? undefined : ownership(live, input);
  if (owner?.kind === 'refused') return { kind: 'refuse', keys: [], error: owner.error };
  if (desired.kind === 'failed') return withoutContent(desired.error);
  const deletionError = live && deletionInProgress(live);
  if (deletionError !== undefined) return { kind: 'fail', keys: [], error: deletionError };

  // If the Secret is not ours, ignore its annotations, even if they name this mapping.
  const owned = owner?.kind === 'ours' ? live : undefined;
  const absence = judgeAbsence(desired, sourcesOf(mapping), { ...input, live: owned });
  if (absence.kind === 'stop') return { kind: 'fail', keys: [], error: absence.error };
  if (absence.kind === 'delete' && owned !== undefined) return planRemoval(owned, input);

  const data = withTemplates(mapping, desired, input.rendered);
  const checkError = checkTarget(mapping.target.type, data);
  if (checkError !== undefined) return { kind: 'refuse', keys: [], error: checkError };
  const keys = compareData(data, live?.data ?? new Map(), input.fingerprints);
  const removed = absence.kind === 'go' ? absence.removed : [];
  const metadata = ownershipMetadata({ ...input, data, sources: desired.sources, removed });
  const { type, immutable } = mapping.target;
  const manifest: SecretManifest = { type, immutable, ...metadata, data };
  if (live === undefined) return { kind: 'create', keys, manifest };
  return planChange(input, live, keys, manifest, owner?.kind === 'adoptable');
}

const EMPTY_FOREIGN_SECRET = {
  detail: 'no key would be left',
  remedy: 'Check the sources of the mapping, or delete the Secret yourself.',
};

/** The remedy for a Secret that `recreate` must not delete. */
const FOREIGN_REMEDY =
  'secretbridge never deletes what it did not create. Delete the Secret yourself, or keep its type and data.';

function planChange(
  input: PlanInput,
  live: LiveSecret,
  keys: readonly KeyPlan[],
  manifest: SecretManifest,
  adopts: boolean,
): Plan {
  const { mapping, id, fingerprints } = input;
  const dropLabels = obsoleteNames(live, manifest, 'labels');
  const dropAnnotations = [
    ...obsoleteNames(live, manifest, 'annotations'),
    ...foreignPin(live, manifest),
    ...obsoleteMergeAnnotations(live, input),
  ];
  const dropOwners = adopts && mapping.onConflict === 'adoptAndDropOwner';
  const sameData = keys.every(({ action }) => action === 'keep');
  const immutableChange = findImmutableChange(live, manifest, sameData);
  // Never delete a Secret that we did not write, even if it has our labels.
  const mayDestroy = !adopts && live.ours !== undefined;
  if (immutableChange !== undefined && !(mapping.target.recreate && mayDestroy)) {
    const remedy =
      immutableChange === IMMUTABLE_SET
        ? { remedy: IMMUTABLE_REMEDY }
        : mayDestroy
          ? {}
          : { remedy: FOREIGN_REMEDY };
    return { kind: 'refuse', keys, error: new AppError('IMMUTABLE', { detail: immutableChange, ...remedy }) };
  }
  if (manifest.data.size === 0 && live.data.size > 0)
    return mayDestroy
      ? { kind: 'hold', keys, live, error: new AppError('HELD', { detail: 'no key would be left' }) }
      : { kind: 'refuse', keys, error: new AppError('NOT_OWNED', EMPTY_FOREIGN_SECRET) };
  const dropsNothing = dropLabels.length === 0 && dropAnnotations.length === 0;
  const isOfWanted = (fingerprint: string) => fingerprints.matchesTarget(fingerprint, id, manifest.data);
  const drift = !adopts && dropsNothing && isDrift({ live, desired: manifest, matchesDesired: isOfWanted });
  if (immutableChange !== undefined)
    return { kind: 'recreate', keys, live, manifest: preserveForeignMetadata(live, manifest), drift };
  const isUnchanged =
    sameData &&
    !adopts &&
    live.immutable === manifest.immutable &&
    dropsNothing &&
    hasSameMetadata(live, manifest);
  if (isUnchanged) return { kind: 'unchanged', keys };
  return {
    kind: 'update',
    keys,
    live,
    adopts,
    drift,
    change: { ...manifest, dropLabels, dropAnnotations, dropOwners },
  };
}

/** Plans the removal of a target. Labels can be copied to another Secret, so our field manager must be present too. */
export function planRemoval(
  live: LiveSecret,
  { fingerprints, ...instances }: Pick<PlanInput, 'instance' | 'formerInstances' | 'fingerprints'>,
): Plan {
  const keys = compareData(new Map(), live.data, fingerprints);
  const owner = live.labels[LABEL.mapping] === undefined ? undefined : live.labels[LABEL.instance];
  if (owner === undefined || !instancesOf(instances).includes(owner))
    return { kind: 'refuse', keys: [], error: new AppError('NOT_OWNED') };
  if (live.ours !== undefined) return { kind: 'delete', keys, live };
  const detail = 'its labels say that it is ours, but we never wrote it';
  return { kind: 'refuse', keys: [], error: new AppError('NOT_OWNED', { detail }) };
}

/** The reason that is reported if only the `immutable` field differs. */
const IMMUTABLE_SET = 'it is immutable and would no longer be';
const IMMUTABLE_REMEDY =
  'Set `target.immutable: true`, or delete the Secret yourself so that it is recreated.';

/** Finds a change that the API server does not allow in place. */
function findImmutableChange(
  live: LiveSecret,
  manifest: SecretManifest,
  sameData: boolean,
): string | undefined {
  if (live.type !== manifest.type) return `its type is ${live.type}, not ${manifest.type}`;
  if (!live.immutable) return undefined;
  if (!sameData) return 'it is immutable and its data would change';
  return manifest.immutable ? undefined : IMMUTABLE_SET;
}

function hasSameMetadata(live: LiveSecret, { labels, annotations }: OwnershipMetadata): boolean {
  return (
    hasAll(live.labels, labels) &&
    Object.entries(annotations).every(([name, value]) =>
      isEquivalentMetadata(name, live.annotations[name], value),
    )
  );
}

/** Returns a pin annotation that somebody else wrote. It would misinform people, so it is removed. */
function foreignPin(
  { annotations, ours: ownedFields }: LiveSecret,
  desired: OwnershipMetadata,
): readonly string[] {
  const isForeign = annotations[PIN] !== undefined && !(ownedFields?.annotations.includes(PIN) ?? false);
  return isForeign && desired.annotations[PIN] === undefined ? [PIN] : [];
}

/**
 * Returns the annotations of our earlier merges into a Secret that we now own. If they stayed, the rules of those
 * merges could remove our keys.
 */
function obsoleteMergeAnnotations(live: LiveSecret, instances: Instances): readonly string[] {
  const ownInstances = instancesOf(instances);
  return mergesIn(live)
    .filter(({ instance }) => ownInstances.includes(instance))
    .map(({ instance, mapping }) => mergeAnnotation(instance, mapping));
}
