import { compareText } from '../core/target.ts';
import { isObject, type JsonObject, listIn, objectIn } from './json.ts';

/** The labels and annotations that one field manager wrote last. */
export interface Ownership {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
}

/**
 * Reads `metadata.managedFields` (FieldsV1: https://kubernetes.io/docs/reference/using-api/server-side-apply/).
 * A manager has one entry for each operation and version, so all of its entries count together.
 */
export function ownershipIn(metadata: JsonObject, manager: string): Ownership | undefined {
  const entries = listIn(metadata, 'managedFields').filter(
    (entry): entry is JsonObject => isObject(entry) && entry.manager === manager,
  );
  if (entries.length === 0) return undefined;
  const under = (part: string) =>
    [...new Set(entries.flatMap((entry) => membersUnder(entry, part)))].sort(compareText);
  return { labels: under('labels'), annotations: under('annotations') };
}

/** `f:<name>` is a member; `.` is the map itself. */
function membersUnder(entry: JsonObject, part: string): string[] {
  const metadata = objectIn(objectIn(entry, 'fieldsV1') ?? {}, 'f:metadata') ?? {};
  return Object.keys(objectIn(metadata, `f:${part}`) ?? {})
    .filter((name) => name.startsWith('f:'))
    .map((name) => name.slice(2));
}

/** The same in the form of the API server, for clusters that have none. */
export function managedFieldsOf({ labels, annotations }: Ownership, manager: string): readonly JsonObject[] {
  const fields = (names: readonly string[]) => Object.fromEntries(names.map((name) => [`f:${name}`, {}]));
  const metadata = { 'f:labels': fields(labels), 'f:annotations': fields(annotations) };
  return [
    {
      manager,
      operation: 'Update',
      apiVersion: 'v1',
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:metadata': metadata },
    },
  ];
}

type Marks = {
  readonly labels: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, unknown>>;
};

/** What a manager owns after its write, as the API server counts it: what it set anew, and what it had and kept. */
export function ownershipAfter(previous: Ownership | undefined, before: Marks, after: Marks): Ownership {
  const owned = (part: 'labels' | 'annotations') =>
    Object.keys(after[part])
      .filter((name) => previous?.[part].includes(name) || before[part][name] !== after[part][name])
      .sort(compareText);
  return { labels: owned('labels'), annotations: owned('annotations') };
}
