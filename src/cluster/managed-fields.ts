import { createHash } from 'node:crypto';
import { isObject, type JsonObject } from '../core/json.ts';
import type { OwnedFields } from '../core/secret.ts';
import { compareText } from '../core/target.ts';
import { listIn, objectIn, textIn } from './json.ts';

/** The labels and annotations that one field manager owns. */
export interface Ownership {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
}

export type Part = keyof OwnedFields;

export const PARTS = ['labels', 'annotations', 'data'] as const satisfies readonly Part[];

/** One entry of `metadata.managedFields`. */
export interface FieldsEntry {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly holds: OwnedFields;
}

/**
 * Parses `metadata.managedFields` (FieldsV1: https://kubernetes.io/docs/reference/using-api/server-side-apply/). A
 * manager has one entry for each operation and version.
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

/** Returns all fields that a manager owns, from all of its entries. `undefined`: the manager has no entry. */
export function ownershipIn(metadata: JsonObject, manager: string): Ownership | undefined {
  const entries = entriesIn(metadata).filter((entry) => entry.manager === manager);
  if (entries.length === 0) return undefined;
  const { labels, annotations } = mergeHoldings(entries);
  return { labels, annotations };
}

/**
 * https://github.com/kubernetes/kubernetes/blob/v1.36.3/staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go
 */
const MANAGER_BYTES = 128;

/** Shortens a manager name to the API server's limit. A longer name is cut and gets a hash that keeps it unique. */
export function managerName(name: string): string {
  if (name.length <= MANAGER_BYTES) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
  // Instance and mapping names are ASCII, so each character is one byte.
  return `${name.slice(0, MANAGER_BYTES - hash.length - 1)}.${hash}`;
}

/** Returns the fields that a manager owns by server-side apply. */
export function appliedIn(metadata: JsonObject, manager: string): OwnedFields {
  return mergeHoldings(
    entriesIn(metadata).filter((entry) => entry.manager === manager && entry.operation === 'Apply'),
  );
}

/** Returns the fields that only these managers own by server-side apply. */
export function exclusivelyOwnedIn(metadata: JsonObject, managers: readonly string[]): OwnedFields {
  const isSelected = ({ manager, operation }: FieldsEntry) =>
    managers.includes(manager) && operation === 'Apply';
  const entries = entriesIn(metadata);
  const otherHoldings = mergeHoldings(entries.filter((entry) => !isSelected(entry)));
  const selectedHoldings = mergeHoldings(entries.filter(isSelected));
  return holdingsOf((part) => {
    const shared = new Set(otherHoldings[part]);
    return selectedHoldings[part].filter((name) => !shared.has(name));
  });
}

export function mergeHoldings(entries: readonly FieldsEntry[]): OwnedFields {
  return holdingsOf((part) => [...new Set(entries.flatMap(({ holds }) => holds[part]))].sort(compareText));
}

export function holdingsOf(names: (part: Part) => readonly string[]): OwnedFields {
  return { labels: names('labels'), annotations: names('annotations'), data: names('data') };
}

/** `f:<name>` is a member of the map; `.` is the map itself. */
function membersUnder(entry: JsonObject, part: Part): readonly string[] {
  const fields = objectIn(entry, 'fieldsV1') ?? {};
  const parent = part === 'data' ? fields : (objectIn(fields, 'f:metadata') ?? {});
  return Object.keys(objectIn(parent, `f:${part}`) ?? {})
    .filter((name) => name.startsWith('f:'))
    .map((name) => name.slice(2));
}

/** Returns the annotations of a pod template that other managers own. Empty if the cluster does not record managers. */
export function foreignPodAnnotations(
  metadata: JsonObject,
  names: readonly string[],
  manager: string,
): readonly string[] {
  const entries = listIn(metadata, 'managedFields').filter(isObject);
  if (entries.length === 0) return [];
  const path = ['fieldsV1', 'f:spec', 'f:template', 'f:metadata', 'f:annotations'];
  const heldKeys = new Set(
    entries
      .filter((entry) => entry.manager === manager)
      .flatMap((entry) => Object.keys(path.reduce((parent, name) => objectIn(parent, name) ?? {}, entry))),
  );
  return names.filter((name) => !heldKeys.has(`f:${name}`));
}

/** Returns a managedFields entry in the API server's format, for clusters without an API server. */
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

type MetadataMaps = {
  readonly labels: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, unknown>>;
};

/**
 * Returns the fields that a manager owns after its write: the fields that the manager changed, and the fields that it
 * already owned and kept. An API server does the same.
 */
export function ownershipAfter(
  previous: Ownership | undefined,
  before: MetadataMaps,
  after: MetadataMaps,
): Ownership {
  const owned = (part: 'labels' | 'annotations') =>
    Object.keys(after[part])
      .filter((name) => previous?.[part].includes(name) || before[part][name] !== after[part][name])
      .sort(compareText);
  return { labels: owned('labels'), annotations: owned('annotations') };
}
