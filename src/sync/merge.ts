import { createHash } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import { parseAny } from '../core/json.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret, MergeManifest } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { judgeAbsence } from './absence.ts';
import { compareData, type KeyPlan } from './compare.ts';
import { sourcesOf } from './desired.ts';
import { isDrift } from './drift.ts';
import {
  ANNOTATION,
  hasAll,
  LABEL,
  ownershipMetadata,
  PIN,
  REMOVED,
  isEquivalentMetadata,
} from './ownership-metadata.ts';
import { mergeRefusal } from './merge-checks.ts';
import { deletionInProgress } from './ownership.ts';
import type { Plan, PlanInput } from './plan.ts';
import { withTemplates } from './template.ts';

// `mode: merge`: our keys in a Secret that others own. Which keys are ours, the API server knows by field manager; what
// they were made of stands in one annotation for each mapping, since several may merge into one Secret.

/** The API server takes 128 bytes: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers */
const MAX_MANAGER = 128;

export function mergeManager(instance: string, mapping: string): string {
  const name = `secretbridge.${instance}.${mapping}`;
  return name.length <= MAX_MANAGER ? name : `secretbridge.${digest(instance, mapping)}`;
}

const ANNOTATION_PREFIX = 'secretbridge.dev/merge-';

/** The annotation of one mapping. Names of 63 characters each would not fit into its name. */
export function mergeAnnotation(instance: string, mapping: string): string {
  return `${ANNOTATION_PREFIX}${digest(instance, mapping).slice(0, 16)}`;
}

function digest(instance: string, mapping: string): string {
  return createHash('sha256')
    .update(JSON.stringify([instance, mapping]))
    .digest('hex');
}

/** What one mapping wrote last, in the forms of the annotations of a target that is ours alone. */
type MergeRecord = Readonly<Record<string, string>>;

const FIELDS: Readonly<Record<string, string>> = {
  sources: ANNOTATION.sources,
  stores: ANNOTATION.stores,
  fingerprint: ANNOTATION.fingerprint,
  config: ANNOTATION.config,
  onMappingRemoved: ANNOTATION.onMappingRemoved,
};

/** Only where there is something to say. */
const OPTIONAL_FIELDS: Readonly<Record<string, string>> = { pin: PIN, removed: REMOVED };

function formatMergeRecord(instance: string, mapping: string, annotations: MergeRecord): string {
  const parts = Object.entries(FIELDS).map(([field, name]) => [field, annotations[name] ?? '']);
  const optional = Object.entries(OPTIONAL_FIELDS).map(([field, name]) => [field, annotations[name]]);
  return JSON.stringify({ instance, mapping, ...Object.fromEntries([...parts, ...optional]) });
}

/** What a merge is known by. */
export interface MergeOwner {
  readonly instance: string;
  readonly mapping: string;
}

/** A mapping that merges into a Secret, or did. */
export interface Merge extends MergeOwner {
  readonly onMappingRemoved: 'keep' | 'delete';
}

/** By the marks that they left. Only what stands under its own name is believed: anybody may write an annotation. */
export function mergesIn({ annotations }: Pick<LiveSecret, 'annotations'>): readonly Merge[] {
  return Object.entries(annotations).flatMap(([name, text]): readonly Merge[] => {
    const { instance, mapping, ...written } = name.startsWith(ANNOTATION_PREFIX) ? membersOf(text) : {};
    if (instance === undefined || mapping === undefined || name !== mergeAnnotation(instance, mapping))
      return [];
    return [
      { instance, mapping, onMappingRemoved: written.onMappingRemoved === 'delete' ? 'delete' : 'keep' },
    ];
  });
}

function parseMergeRecord(text: string | undefined): MergeRecord | undefined {
  if (text === undefined) return undefined;
  const members = membersOf(text);
  const fields = Object.entries({ ...FIELDS, ...OPTIONAL_FIELDS }).flatMap(
    ([field, name]): readonly [string, string][] => {
      const value = members[field];
      return value === undefined ? [] : [[name, value]];
    },
  );
  return Object.fromEntries(fields);
}

/** The members of a mark that are text; none when it is damaged. */
function membersOf(text: string): Readonly<Record<string, string | undefined>> {
  const parsed = parseAny(text);
  const members = typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : [];
  return Object.fromEntries(
    members.filter((member): member is [string, string] => typeof member[1] === 'string'),
  );
}

/** The annotations of everything that was ever written into a Secret: as its owner, and by merging. */
export function writeRecordsIn(live: LiveSecret): readonly MergeRecord[] {
  const merged = Object.entries(live.annotations)
    .filter(([name]) => name.startsWith(ANNOTATION_PREFIX))
    .map(([, text]) => parseMergeRecord(text) ?? {});
  return [live.annotations, ...merged];
}

/**
 * The keys that were merged under a former name, of the instance or of the mapping, which its field manager still
 * holds.
 */
export interface FormerMerge extends MergeOwner {
  readonly keys: readonly string[];
}

interface ViewInput extends MergeOwner {
  readonly merged: readonly string[];
  readonly former?: readonly FormerMerge[] | undefined;
}

/** A Secret as a mapping sees it that merges into it: its own keys, and what it made them of, as if they were all. */
export function mergedView(
  live: LiveSecret,
  { instance, mapping, merged, former = [] }: ViewInput,
): LiveSecret {
  const written = [{ instance, mapping }, ...former]
    .map((merge) => parseMergeRecord(live.annotations[mergeAnnotation(merge.instance, merge.mapping)]))
    .find((readonly) => readonly !== undefined);
  const keys = new Set([...merged, ...former.flatMap((formerMerge) => formerMerge.keys)]);
  // The annotation may be gone. A key that our manager holds was written all the same, nobody knows from what.
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
  if (desired.kind === 'failed') return fail(desired.error);
  if (live === undefined) return fail(new AppError('SECRET_MISSING'));
  const deletionError = deletionInProgress(live);
  if (deletionError !== undefined) return fail(deletionError);
  const claimant = claimDescription(live, input);
  if (claimant !== undefined)
    return { kind: 'refuse', keys: [], error: new AppError('TARGET_CLAIMED', { detail: claimant }) };

  const viewOf = (former: PlanInput['former']): LiveSecret =>
    mergedView(live, { instance, mapping: mapping.name, merged, former });
  // One that keeps other keys as well is none that was renamed: those are to stay.
  const namedKeys = new Set([...namedKeysOf(mapping), ...desired.data.keys()]);
  const renamed = orphaned.filter(({ keys }) => keys.length > 0 && keys.every((key) => namedKeys.has(key)));
  const former = [...(input.former ?? []), ...renamed];
  const view = viewOf(former);
  const absence = judgeAbsence(desired, sourcesOf(mapping), { ...input, live: view });
  if (absence.kind === 'stop') return fail(absence.error);
  const data = absence.kind === 'delete' ? new Map<string, SecretValue>() : withTemplates(mapping, desired);
  // A key that others hold with our value is one to add: from then on both hold it.
  const keys = compareData(data, view.data, fingerprints);
  const removed = absence.kind === 'go' ? absence.removed : [];
  const metadata = ownershipMetadata({ ...input, data, sources: desired.sources, removed });
  const annotation = mergeAnnotation(instance, mapping.name);
  const manifest: MergeManifest = {
    manager: mergeManager(instance, mapping.name),
    labels: mapping.target.labels,
    annotations: {
      ...mapping.target.annotations,
      [annotation]: formatMergeRecord(instance, mapping.name, metadata.annotations),
    },
    data,
  };
  const alone = input.exclusivelyOwned?.([{ instance, mapping: mapping.name }, ...former]);
  const refusalError = mergeRefusal(live, manifest, keys, { view, exclusive: alone });
  if (refusalError !== undefined) return { kind: 'refuse', keys, error: refusalError };
  if (data.size === 0 && view.data.size > 0) return holdPlan(live, keys, { ...input, former });

  const isUnchanged =
    former.length === 0 &&
    keys.every(({ action }) => action === 'keep') &&
    hasAll(live.labels, manifest.labels) &&
    hasAll(live.annotations, mapping.target.annotations) &&
    Object.values(OPTIONAL_FIELDS).every((name) => view.annotations[name] === metadata.annotations[name]) &&
    Object.values(FIELDS).every((name) =>
      isEquivalentMetadata(name, view.annotations[name], metadata.annotations[name] ?? ''),
    );
  if (isUnchanged) return { kind: 'unchanged', keys };
  // Nobody notes who wrote a part of our annotation; what stands there is believed to be ours.
  const written = { labels: {}, annotations: view.annotations, ours: undefined };
  const optional = Object.values(OPTIONAL_FIELDS).filter((name) => name in metadata.annotations);
  const desiredMetadata = {
    labels: {},
    annotations: pick(metadata.annotations, [...Object.values(FIELDS), ...optional]),
  };
  const isOfWanted = (fingerprint: string) => fingerprints.matchesTarget(fingerprint, input.id, data);
  return {
    kind: 'merge',
    keys,
    live,
    manifest,
    first: takeoverSteps(view, live, manifest, { ...input, former }),
    drift:
      former.length === 0 && isDrift({ live: written, desired: desiredMetadata, matchesDesired: isOfWanted }),
  };
}

/** The keys that a mapping names, whether their sources are there or not. */
function namedKeysOf({ data, template }: Mapping): readonly string[] {
  return [...Object.keys(data), ...Object.keys(template?.data ?? {})];
}

/**
 * A Secret that a bridge owns has exactly the keys of its owner: the two would undo each other's work for ever. So
 * would two that merge under one field manager, as instance `a` with mapping `b.c` and instance `a.b` with `c`.
 */
function claimDescription(
  { labels, ...live }: LiveSecret,
  { instance, mapping }: PlanInput,
): string | undefined {
  const [owner, ownerMapping] = [labels[LABEL.instance], labels[LABEL.mapping]];
  if (owner !== undefined && ownerMapping !== undefined)
    return owner === instance && ownerMapping === mapping.name
      ? 'this mapping owns all of it since its time without `mode: merge`'
      : `owned by instance ${owner}, mapping ${ownerMapping}`;
  const manager = mergeManager(instance, mapping.name);
  const other = mergesIn(live).find(
    (merge) =>
      !(merge.instance === instance && merge.mapping === mapping.name) &&
      mergeManager(merge.instance, merge.mapping) === manager,
  );
  return (
    other && `merged into as the same field manager by instance ${other.instance}, mapping ${other.mapping}`
  );
}

/**
 * None of our keys would be left. Whoever holds them has to let go: after a renaming that is who merged under the
 * former name.
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
 * What was merged under a former name becomes ours as it stands, and only then does its manager let go: so nothing
 * leaves the Secret, and no force is needed, which would take from others what they hold as well. The mark tells of
 * these bytes still, so that a crash in between leaves nothing untrue.
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

/** Those that are there already: any other value may be held by the manager that is still to let go. */
function alreadyPresent(desired: MergeRecord, live: MergeRecord): MergeRecord {
  return Object.fromEntries(Object.entries(desired).filter(([name, value]) => live[name] === value));
}

function pick(from: MergeRecord, names: readonly string[]): MergeRecord {
  return Object.fromEntries(names.map((name) => [name, from[name] ?? '']));
}

function fail(error: AppError): Plan {
  return { kind: 'fail', keys: [], error };
}

/** The end of a merge: an empty set, so that our keys go and nothing else does. */
export function mergeEnd({ instance, mapping }: MergeOwner): MergeManifest {
  return { manager: mergeManager(instance, mapping), labels: {}, annotations: {}, data: new Map() };
}
