import { createHash } from 'node:crypto';
import { isObject, type JsonObject } from '../core/json.ts';
import type { Holdings } from '../core/secret.ts';
import { compareText } from '../core/target.ts';
import { listIn, objectIn, textIn } from './json.ts';

/** The labels and annotations that one field manager wrote last. */
export interface Ownership {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
}

export type Part = keyof Holdings;

export const PARTS = ['labels', 'annotations', 'data'] as const satisfies readonly Part[];

/** One entry of `metadata.managedFields`. */
export interface FieldsEntry {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly holds: Holdings;
}

/**
 * Reads `metadata.managedFields` (FieldsV1: https://kubernetes.io/docs/reference/using-api/server-side-apply/).
 * A manager has one entry for each operation and version.
 */
export function entriesIn(metadata: JsonObject): readonly FieldsEntry[] {
  return listIn(metadata, 'managedFields')
    .filter(isObject)
    .map((entry) => ({
      manager: textIn(entry, 'manager') ?? '',
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      holds: holdingsOf((part) => membersUnder(entry, part)),
    }));
}

/** All entries of a manager count together; `undefined`: it has none. */
export function ownershipIn(metadata: JsonObject, manager: string): Ownership | undefined {
  const entries = entriesIn(metadata).filter((entry) => entry.manager === manager);
  if (entries.length === 0) return undefined;
  const { labels, annotations } = together(entries);
  return { labels, annotations };
}

/** https://github.com/kubernetes/kubernetes/blob/v1.36.3/staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go */
const MANAGER_BYTES = 128;

/** A manager's name as the API server takes it: one that is too long is cut, with a hash that keeps it apart. */
export function managerName(name: string): string {
  if (name.length <= MANAGER_BYTES) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
  // Names of instances and mappings are ASCII, so that a character is a byte.
  return `${name.slice(0, MANAGER_BYTES - hash.length - 1)}.${hash}`;
}

/** What a manager holds by server-side apply. */
export function appliedIn(metadata: JsonObject, manager: string): Holdings {
  return together(
    entriesIn(metadata).filter((entry) => entry.manager === manager && entry.operation === 'Apply'),
  );
}

/** What these managers hold by server-side apply, and nobody beside them. */
export function heldAloneIn(metadata: JsonObject, managers: readonly string[]): Holdings {
  const isOne = ({ manager, operation }: FieldsEntry) => managers.includes(manager) && operation === 'Apply';
  const entries = entriesIn(metadata);
  const theirs = together(entries.filter((entry) => !isOne(entry)));
  const mine = together(entries.filter(isOne));
  return holdingsOf((part) => {
    const shared = new Set(theirs[part]);
    return mine[part].filter((name) => !shared.has(name));
  });
}

export function together(entries: readonly FieldsEntry[]): Holdings {
  return holdingsOf((part) => [...new Set(entries.flatMap(({ holds }) => holds[part]))].sort(compareText));
}

export function holdingsOf(names: (part: Part) => readonly string[]): Holdings {
  return { labels: names('labels'), annotations: names('annotations'), data: names('data') };
}

/** `f:<name>` is a member; `.` is the map itself. */
function membersUnder(entry: JsonObject, part: Part): readonly string[] {
  const fields = objectIn(entry, 'fieldsV1') ?? {};
  const parent = part === 'data' ? fields : (objectIn(fields, 'f:metadata') ?? {});
  return Object.keys(objectIn(parent, `f:${part}`) ?? {})
    .filter((name) => name.startsWith('f:'))
    .map((name) => name.slice(2));
}

/** Of the annotations of a pod template, those that a manager does not hold; none where nobody notes who wrote what. */
export function foreignPodAnnotations(
  metadata: JsonObject,
  names: readonly string[],
  manager: string,
): readonly string[] {
  const entries = listIn(metadata, 'managedFields').filter(isObject);
  if (entries.length === 0) return [];
  const path = ['fieldsV1', 'f:spec', 'f:template', 'f:metadata', 'f:annotations'];
  const held = new Set(
    entries
      .filter((entry) => entry.manager === manager)
      .flatMap((entry) => Object.keys(path.reduce((at, name) => objectIn(at, name) ?? {}, entry))),
  );
  return names.filter((name) => !held.has(`f:${name}`));
}

/** An entry in the form of the API server, for clusters that have none. */
export function entryOf({ manager, operation, holds }: FieldsEntry): JsonObject {
  const fields = (part: Part) => ({
    [`f:${part}`]: Object.fromEntries(holds[part].map((name) => [`f:${name}`, {}])),
  });
  return {
    manager,
    operation,
    apiVersion: 'v1',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:metadata': { ...fields('labels'), ...fields('annotations') }, ...fields('data') },
  };
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
