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
import { ANNOTATION, hasAll, LABEL, marks, PIN, REMOVED, sameMark } from './marks.ts';
import { refusal } from './merge-checks.ts';
import { ending } from './ownership.ts';
import type { Plan, PlanInput } from './plan.ts';
import { withTemplates } from './template.ts';

// `mode: merge`: our keys in a Secret that others own. Which keys are ours, the API server knows by field manager;
// what they were made of stands in one annotation for each mapping, since several may merge into one Secret.

/** The API server takes 128 bytes: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers */
const MAX_MANAGER = 128;

export function mergeManager(instance: string, mapping: string): string {
  const name = `secretbridge.${instance}.${mapping}`;
  return name.length <= MAX_MANAGER ? name : `secretbridge.${digest(instance, mapping)}`;
}

const MARK_PREFIX = 'secretbridge.dev/merge-';

/** The annotation of one mapping. Names of 63 characters each would not fit into its name. */
export function mergeMark(instance: string, mapping: string): string {
  return `${MARK_PREFIX}${digest(instance, mapping).slice(0, 16)}`;
}

function digest(instance: string, mapping: string): string {
  return createHash('sha256')
    .update(JSON.stringify([instance, mapping]))
    .digest('hex');
}

/** What one mapping wrote last, in the forms of the annotations of a target that is ours alone. */
type Written = Readonly<Record<string, string>>;

const FIELDS: Readonly<Record<string, string>> = {
  sources: ANNOTATION.sources,
  stores: ANNOTATION.stores,
  fingerprint: ANNOTATION.fingerprint,
  config: ANNOTATION.config,
  onMappingRemoved: ANNOTATION.onMappingRemoved,
};

/** Only where there is something to say. */
const AT_TIMES: Readonly<Record<string, string>> = { pin: PIN, removed: REMOVED };

function markText(instance: string, mapping: string, annotations: Written): string {
  const parts = Object.entries(FIELDS).map(([field, name]) => [field, annotations[name] ?? '']);
  const more = Object.entries(AT_TIMES).map(([field, name]) => [field, annotations[name]]);
  return JSON.stringify({ instance, mapping, ...Object.fromEntries([...parts, ...more]) });
}

/** What a merge is known by. */
export interface Merger {
  readonly instance: string;
  readonly mapping: string;
}

/** A mapping that merges into a Secret, or did. */
export interface Merge extends Merger {
  readonly onMappingRemoved: 'keep' | 'delete';
}

/** By the marks that they left. Only what stands under its own name is believed: anybody may write an annotation. */
export function mergesIn({ annotations }: Pick<LiveSecret, 'annotations'>): readonly Merge[] {
  return Object.entries(annotations).flatMap(([name, text]): readonly Merge[] => {
    const { instance, mapping, ...written } = name.startsWith(MARK_PREFIX) ? membersOf(text) : {};
    if (instance === undefined || mapping === undefined || name !== mergeMark(instance, mapping)) return [];
    return [
      { instance, mapping, onMappingRemoved: written.onMappingRemoved === 'delete' ? 'delete' : 'keep' },
    ];
  });
}

function parseMark(text: string | undefined): Written | undefined {
  if (text === undefined) return undefined;
  const members = membersOf(text);
  const known = Object.entries({ ...FIELDS, ...AT_TIMES }).flatMap(
    ([field, name]): readonly [string, string][] => {
      const value = members[field];
      return value === undefined ? [] : [[name, value]];
    },
  );
  return Object.fromEntries(known);
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
export function writtenInto(live: LiveSecret): readonly Written[] {
  const merged = Object.entries(live.annotations)
    .filter(([name]) => name.startsWith(MARK_PREFIX))
    .map(([, text]) => parseMark(text) ?? {});
  return [live.annotations, ...merged];
}

/** The keys that were merged under a former name, of the instance or of the mapping, which its field manager still holds. */
export interface FormerMerge extends Merger {
  readonly keys: readonly string[];
}

interface ViewInput extends Merger {
  readonly merged: readonly string[];
  readonly former?: readonly FormerMerge[] | undefined;
}

/** A Secret as a mapping sees it that merges into it: its own keys, and what it made them of, as if they were all. */
export function mergedView(
  live: LiveSecret,
  { instance, mapping, merged, former = [] }: ViewInput,
): LiveSecret {
  const written = [{ instance, mapping }, ...former]
    .map((it) => parseMark(live.annotations[mergeMark(it.instance, it.mapping)]))
    .find((it) => it !== undefined);
  const keys = new Set([...merged, ...former.flatMap((it) => it.keys)]);
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
  const { desired, live, mapping, instance, fingerprints, merged, left = [] } = input;
  if (desired.kind === 'failed') return fail(desired.error);
  if (live === undefined) return fail(new AppError('SECRET_MISSING'));
  const ends = ending(live);
  if (ends !== undefined) return fail(ends);
  const claimed = claimedBy(live, input);
  if (claimed !== undefined)
    return { kind: 'refuse', keys: [], error: new AppError('TARGET_CLAIMED', { detail: claimed }) };

  const viewOf = (former: PlanInput['former']): LiveSecret =>
    mergedView(live, { instance, mapping: mapping.name, merged, former });
  // One that keeps other keys as well is none that was renamed: those are to stay.
  const named = new Set([...namedBy(mapping), ...desired.data.keys()]);
  const renamed = left.filter(({ keys }) => keys.length > 0 && keys.every((key) => named.has(key)));
  const former = [...(input.former ?? []), ...renamed];
  const view = viewOf(former);
  const absence = judgeAbsence(desired, sourcesOf(mapping), { ...input, live: view });
  if (absence.kind === 'stop') return fail(absence.error);
  const data = absence.kind === 'delete' ? new Map<string, SecretValue>() : withTemplates(mapping, desired);
  // A key that others hold with our value is one to add: from then on both hold it.
  const keys = compareData(data, view.data, fingerprints);
  const removed = absence.kind === 'go' ? absence.removed : [];
  const own = marks({ ...input, data, sources: desired.sources, removed });
  const mark = mergeMark(instance, mapping.name);
  const manifest: MergeManifest = {
    manager: mergeManager(instance, mapping.name),
    labels: mapping.target.labels,
    annotations: {
      ...mapping.target.annotations,
      [mark]: markText(instance, mapping.name, own.annotations),
    },
    data,
  };
  const alone = input.heldAlone?.([{ instance, mapping: mapping.name }, ...former]);
  const wrong = refusal(live, manifest, keys, { view, alone });
  if (wrong !== undefined) return { kind: 'refuse', keys, error: wrong };
  if (data.size === 0 && view.data.size > 0) return holding(live, keys, { ...input, former });

  const same =
    former.length === 0 &&
    keys.every(({ action }) => action === 'keep') &&
    hasAll(live.labels, manifest.labels) &&
    hasAll(live.annotations, mapping.target.annotations) &&
    Object.values(AT_TIMES).every((name) => view.annotations[name] === own.annotations[name]) &&
    Object.values(FIELDS).every((name) =>
      sameMark(name, view.annotations[name], own.annotations[name] ?? ''),
    );
  if (same) return { kind: 'unchanged', keys };
  // Nobody notes who wrote a part of our annotation; what stands there is believed to be ours.
  const made = { labels: {}, annotations: view.annotations, ours: undefined };
  const more = Object.values(AT_TIMES).filter((name) => name in own.annotations);
  const wanted = { labels: {}, annotations: pick(own.annotations, [...Object.values(FIELDS), ...more]) };
  const isOfWanted = (it: string) => fingerprints.isOfTarget(it, input.id, data);
  return {
    kind: 'merge',
    keys,
    live,
    manifest,
    first: takeOver(view, live, manifest, { ...input, former }),
    drift: former.length === 0 && isDrift({ live: made, wanted, isOfWanted }),
  };
}

/** The keys that a mapping names, whether their sources are there or not. */
function namedBy({ data, template }: Mapping): readonly string[] {
  return [...Object.keys(data), ...Object.keys(template?.data ?? {})];
}

/**
 * A Secret that a bridge owns has exactly the keys of its owner: the two would undo each other's work for ever. So
 * would two that merge under one field manager, as instance `a` with mapping `b.c` and instance `a.b` with `c`.
 */
function claimedBy({ labels, ...live }: LiveSecret, { instance, mapping }: PlanInput): string | undefined {
  const [owner, by] = [labels[LABEL.instance], labels[LABEL.mapping]];
  if (owner !== undefined && by !== undefined)
    return owner === instance && by === mapping.name
      ? 'this mapping owns all of it since its time without `mode: merge`'
      : `owned by instance ${owner}, mapping ${by}`;
  const manager = mergeManager(instance, mapping.name);
  const other = mergesIn(live).find(
    (it) =>
      !(it.instance === instance && it.mapping === mapping.name) &&
      mergeManager(it.instance, it.mapping) === manager,
  );
  return (
    other && `merged into as the same field manager by instance ${other.instance}, mapping ${other.mapping}`
  );
}

/** None of our keys would be left. Whoever holds them has to let go: after a renaming that is who merged under the former name. */
function holding(
  live: LiveSecret,
  keys: readonly KeyPlan[],
  { instance, mapping, former = [] }: PlanInput,
): Plan {
  const error = new AppError('HELD', { detail: 'no key of ours would be left' });
  const holder = former[0] ?? { instance, mapping: mapping.name };
  return { kind: 'hold', keys, live, error, ending: mergeEnd(holder) };
}

/**
 * What was merged under a former name becomes ours as it stands, and only then does its manager let go: so nothing leaves
 * the Secret, and no force is needed, which would take from others what they hold as well. The mark tells of these
 * bytes still, so that a crash in between leaves nothing untrue.
 */
function takeOver(
  view: LiveSecret,
  live: LiveSecret,
  { manager, labels, annotations }: MergeManifest,
  { instance, mapping, former = [] }: PlanInput,
): readonly MergeManifest[] {
  if (former.length === 0) return [];
  const mark = markText(instance, mapping.name, view.annotations);
  return [
    {
      manager,
      labels: standing(labels, live.labels),
      annotations: {
        ...standing(annotations, live.annotations),
        [mergeMark(instance, mapping.name)]: mark,
      },
      data: view.data,
    },
    ...former.map(mergeEnd),
  ];
}

/** Those that are there already: any other value may be held by the manager that is still to let go. */
function standing(wanted: Written, live: Written): Written {
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => live[name] === value));
}

function pick(from: Written, names: readonly string[]): Written {
  return Object.fromEntries(names.map((name) => [name, from[name] ?? '']));
}

function fail(error: AppError): Plan {
  return { kind: 'fail', keys: [], error };
}

/** The end of a merge: an empty set, so that our keys go and nothing else does. */
export function mergeEnd({ instance, mapping }: Merger): MergeManifest {
  return { manager: mergeManager(instance, mapping), labels: {}, annotations: {}, data: new Map() };
}
