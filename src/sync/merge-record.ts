import { parseAny } from '../core/json.ts';
import type { LiveSecret } from '../core/secret.ts';
import { ANNOTATION, MERGE_ANNOTATION_PREFIX, mergeAnnotation, PIN, REMOVED } from './ownership-metadata.ts';
import type { MergeOwner } from './plan-types.ts';

// Several mappings may merge into one Secret. Each mapping records its last write in an annotation of its own.

/** The last write of one mapping. Its members have the names of the annotations on an owned target. */
export type MergeRecord = Readonly<Record<string, string>>;

export const FIELDS: Readonly<Record<string, string>> = {
  sources: ANNOTATION.sources,
  stores: ANNOTATION.stores,
  fingerprint: ANNOTATION.fingerprint,
  config: ANNOTATION.config,
  onMappingRemoved: ANNOTATION.onMappingRemoved,
};

/** Fields of the record that may be missing. */
export const OPTIONAL_FIELDS: Readonly<Record<string, string>> = { pin: PIN, removed: REMOVED };

export function formatMergeRecord(instance: string, mapping: string, annotations: MergeRecord): string {
  const parts = Object.entries(FIELDS).map(([field, name]) => [field, annotations[name] ?? '']);
  const optional = Object.entries(OPTIONAL_FIELDS).map(([field, name]) => [field, annotations[name]]);
  return JSON.stringify({ instance, mapping, ...Object.fromEntries([...parts, ...optional]) });
}

/** A mapping that is merged, or was merged, into a Secret. */
export interface Merge extends MergeOwner {
  readonly onMappingRemoved: 'keep' | 'delete';
}

/**
 * Returns the merges that annotations of the Secret record. Anybody can write annotations, so the content must match
 * the annotation name.
 */
export function mergesIn({ annotations }: Pick<LiveSecret, 'annotations'>): readonly Merge[] {
  return Object.entries(annotations).flatMap(([name, text]): readonly Merge[] => {
    const { instance, mapping, ...written } = name.startsWith(MERGE_ANNOTATION_PREFIX) ? membersOf(text) : {};
    if (instance === undefined || mapping === undefined || name !== mergeAnnotation(instance, mapping))
      return [];
    return [
      { instance, mapping, onMappingRemoved: written.onMappingRemoved === 'delete' ? 'delete' : 'keep' },
    ];
  });
}

export function parseMergeRecord(text: string | undefined): MergeRecord | undefined {
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

/** Returns the string members of a merge record. Returns no members if the record is damaged. */
function membersOf(text: string): Readonly<Record<string, string | undefined>> {
  const parsed = parseAny(text);
  const members = typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : [];
  return Object.fromEntries(
    members.filter((member): member is [string, string] => typeof member[1] === 'string'),
  );
}

/** Returns all records of writes in the annotations of a Secret: the record of its owner and the records of merges. */
export function writeRecordsIn(live: LiveSecret): readonly MergeRecord[] {
  const merged = Object.entries(live.annotations)
    .filter(([name]) => name.startsWith(MERGE_ANNOTATION_PREFIX))
    .map(([, text]) => parseMergeRecord(text) ?? {});
  return [live.annotations, ...merged];
}
