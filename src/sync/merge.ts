import { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret, MergeManifest } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { judgeAbsence } from './absence.ts';
import { type Desired, sourcesOf } from './desired.ts';
import { compareData, isDrift, type KeyPlan } from './drift.ts';
import { mergeRefusal } from './merge-checks.ts';
import {
  FIELDS,
  formatMergeRecord,
  type MergeRecord,
  mergesIn,
  OPTIONAL_FIELDS,
  parseMergeRecord,
} from './merge-record.ts';
import { deletionInProgress } from './ownership.ts';
import {
  hasAll,
  isEquivalentMetadata,
  LABEL,
  mergeAnnotation,
  mergeManager,
  ownershipMetadata,
} from './ownership-metadata.ts';
import {
  type FormerMerge,
  type MergeOwner,
  type Plan,
  type PlanInput,
  withoutContent,
} from './plan-types.ts';
import { withTemplates } from './template.ts';

// Implements `mode: merge`, which writes our keys into a Secret that others own. The field manager identifies our keys.

interface ViewInput extends MergeOwner {
  readonly merged: readonly string[];
  readonly former?: readonly FormerMerge[] | undefined;
}

/** Returns the Secret as one merging mapping sees it: only its own keys and its own record. */
export function mergedView(
  live: LiveSecret,
  { instance, mapping, merged, former = [] }: ViewInput,
): LiveSecret {
  const written = [{ instance, mapping }, ...former]
    .map((merge) => parseMergeRecord(live.annotations[mergeAnnotation(merge.instance, merge.mapping)]))
    .find((readonly) => readonly !== undefined);
  const keys = new Set([...merged, ...former.flatMap((formerMerge) => formerMerge.keys)]);
  // The annotation may be missing. If our manager owns keys, they are ours even without the annotation, but their
  // sources are unknown.
  const isOurs = written !== undefined || keys.size > 0;
  return {
    ...live,
    labels: isOurs ? { [LABEL.instance]: instance, [LABEL.mapping]: mapping } : {},
    annotations: written ?? {},
    data: new Map([...live.data].filter(([key]) => keys.has(key))),
  };
}

export function planMerge(input: PlanInput): Plan {
  const { desired, live, mapping, instance, fingerprints, merged, orphaned = [] } = input;
  if (desired.kind === 'failed') return withoutContent(desired.error);
  if (live === undefined) return fail(new AppError('SECRET_MISSING'));
  const deletionError = deletionInProgress(live);
  if (deletionError !== undefined) return fail(deletionError);
  const claimant = claimDescription(live, input);
  if (claimant !== undefined)
    return { kind: 'refuse', keys: [], error: new AppError('TARGET_CLAIMED', { detail: claimant }) };

  const former = [...(input.former ?? []), ...renamedMerges(mapping, desired, orphaned)];
  const view = mergedView(live, { instance, mapping: mapping.name, merged, former });
  const absence = judgeAbsence(desired, sourcesOf(mapping), { ...input, live: view });
  if (absence.kind === 'stop') return fail(absence.error);
  const data =
    absence.kind === 'delete'
      ? new Map<string, SecretValue>()
      : withTemplates(mapping, desired, input.rendered);
  // Add a key even if others already own it with the same value. The key then has several owners.
  const keys = compareData(data, view.data, fingerprints);
  const removed = absence.kind === 'go' ? absence.removed : [];
  const metadata = ownershipMetadata({ ...input, data, sources: desired.sources, removed });
  const manifest = mergeManifest(input, data, metadata.annotations);
  const alone = input.exclusivelyOwned?.([{ instance, mapping: mapping.name }, ...former]);
  const refusalError = mergeRefusal(live, manifest, keys, { view, exclusive: alone });
  if (refusalError !== undefined) return { kind: 'refuse', keys, error: refusalError };
  if (data.size === 0 && view.data.size > 0) return holdPlan(live, keys, { ...input, former });

  const isUnchanged =
    former.length === 0 &&
    keys.every(({ action }) => action === 'keep') &&
    hasAll(live.labels, manifest.labels) &&
    hasAll(live.annotations, mapping.target.annotations) &&
    isSameMetadata(view.annotations, metadata.annotations);
  if (isUnchanged) return { kind: 'unchanged', keys };
  return {
    kind: 'merge',
    keys,
    live,
    manifest,
    first: takeoverSteps(view, live, manifest, { ...input, former }),
    drift: former.length === 0 && isMergeDrift(view, metadata.annotations, data, input),
  };
}

/**
 * Returns the orphaned merges that may belong to this mapping under a former name. If an orphaned merge also has keys
 * that this mapping does not name, it belongs to another mapping, and its keys stay.
 */
function renamedMerges(
  mapping: Mapping,
  desired: Extract<Desired, { kind: 'ready' }>,
  orphaned: readonly FormerMerge[],
): readonly FormerMerge[] {
  const namedKeys = new Set([...namedKeysOf(mapping), ...desired.data.keys()]);
  return orphaned.filter(({ keys }) => keys.length > 0 && keys.every((key) => namedKeys.has(key)));
}

/** Returns the target keys that a mapping names explicitly. */
function namedKeysOf({ data, template }: Mapping): readonly string[] {
  return [...Object.keys(data), ...Object.keys(template?.data ?? {})];
}

function mergeManifest(
  { instance, mapping }: PlanInput,
  data: ReadonlyMap<string, SecretValue>,
  record: MergeRecord,
): MergeManifest {
  return {
    manager: mergeManager(instance, mapping.name),
    labels: mapping.target.labels,
    annotations: {
      ...mapping.target.annotations,
      [mergeAnnotation(instance, mapping.name)]: formatMergeRecord(instance, mapping.name, record),
    },
    data,
  };
}

function isMergeDrift(
  view: LiveSecret,
  record: MergeRecord,
  data: ReadonlyMap<string, SecretValue>,
  { fingerprints, id }: PlanInput,
): boolean {
  const optional = Object.values(OPTIONAL_FIELDS).filter((name) => name in record);
  return isDrift({
    // A field manager owns the whole annotation and not single members of it. So `ours` is undefined, and every member
    // counts as written by us.
    live: { labels: {}, annotations: view.annotations, ours: undefined },
    desired: { labels: {}, annotations: pick(record, [...Object.values(FIELDS), ...optional]) },
    matchesDesired: (fingerprint) => fingerprints.matchesTarget(fingerprint, id, data),
  });
}

function isSameMetadata(current: MergeRecord, desired: MergeRecord): boolean {
  return (
    Object.values(OPTIONAL_FIELDS).every((name) => current[name] === desired[name]) &&
    Object.values(FIELDS).every((name) => isEquivalentMetadata(name, current[name], desired[name] ?? ''))
  );
}

/**
 * Returns a description of another claim on the Secret, or undefined if there is none. If an instance of secretbridge
 * owns the Secret, its keys are exactly the keys of its owner, so the owner and a merge would undo each other's writes.
 * Two merges with the same field manager name would also undo each other's writes. Example: instance `a` with mapping
 * `b.c`, and instance `a.b` with mapping `c`.
 */
function claimDescription(
  { labels, ...live }: LiveSecret,
  { instance, mapping }: PlanInput,
): string | undefined {
  const [owner, ownerMapping] = [labels[LABEL.instance], labels[LABEL.mapping]];
  if (owner !== undefined && ownerMapping !== undefined)
    return owner === instance && ownerMapping === mapping.name
      ? 'this mapping owns the whole Secret from before it had `mode: merge`'
      : `owned by instance ${owner}, mapping ${ownerMapping}`;
  const manager = mergeManager(instance, mapping.name);
  const other = mergesIn(live).find(
    (merge) =>
      !(merge.instance === instance && merge.mapping === mapping.name) &&
      mergeManager(merge.instance, merge.mapping) === manager,
  );
  return (
    other &&
    `instance ${other.instance}, mapping ${other.mapping} merges into it with the same field manager name`
  );
}

/**
 * Holds a merge that would remove all our keys. The keys must be released by the field manager that owns them. After a
 * rename of the mapping, the field manager with the former name owns the keys.
 */
function holdPlan(
  live: LiveSecret,
  keys: readonly KeyPlan[],
  { instance, mapping, former = [] }: PlanInput,
): Plan {
  const error = new AppError('HELD', { detail: 'no key of ours would be left' });
  const holder = former[0] ?? { instance, mapping: mapping.name };
  return { kind: 'hold', keys, live, error, ending: mergeEnd(holder) };
}

/**
 * Takes over the keys of a former name. First the new manager applies the same values; then the old manager releases
 * them. The Secret never loses a key. The new manager does not use force, because force could also take keys from
 * others. The record still describes the old content, so it stays correct after a crash between the two steps.
 */
function takeoverSteps(
  view: LiveSecret,
  live: LiveSecret,
  { manager, labels, annotations }: MergeManifest,
  { instance, mapping, former = [] }: PlanInput,
): readonly MergeManifest[] {
  if (former.length === 0) return [];
  const record = formatMergeRecord(instance, mapping.name, view.annotations);
  return [
    {
      manager,
      labels: alreadyPresent(labels, live.labels),
      annotations: {
        ...alreadyPresent(annotations, live.annotations),
        [mergeAnnotation(instance, mapping.name)]: record,
      },
      data: view.data,
    },
    ...former.map(mergeEnd),
  ];
}

/**
 * Returns the labels or annotations that already have the desired value. The old manager may still own the remaining
 * ones with old values, so applying them would cause a conflict.
 */
function alreadyPresent(desired: MergeRecord, live: MergeRecord): MergeRecord {
  return Object.fromEntries(Object.entries(desired).filter(([name, value]) => live[name] === value));
}

function pick(from: MergeRecord, names: readonly string[]): MergeRecord {
  return Object.fromEntries(names.map((name) => [name, from[name] ?? '']));
}

function fail(error: AppError): Plan {
  return { kind: 'fail', keys: [], error };
}

/** Ends a merge by applying no fields, which removes only our keys. */
export function mergeEnd({ instance, mapping }: MergeOwner): MergeManifest {
  return { manager: mergeManager(instance, mapping), labels: {}, annotations: {}, data: new Map() };
}
