import type { JsonObject } from '../core/json.ts';
import { compareText } from '../core/target.ts';
import { FIELD_MANAGER } from './cluster.ts';
import { objectIn } from './json.ts';
import {
  entriesIn,
  entryOf,
  type FieldsEntry,
  holdingsOf,
  mergeHoldings,
  type Ownership,
  ownershipAfter,
  PARTS,
  type Part,
} from './managed-fields.ts';
import type { RawSecret } from './manifest.ts';

/** The recorded manager name for fields that other managers share with us. The real names are not recorded. */
const OTHER_MANAGERS = 'others';

type Texts = Readonly<Record<string, unknown>>;

/** `keys`: the keys that other managers own with another value. */
export type Merged =
  | { readonly kind: 'merged'; readonly raw: RawSecret }
  | { readonly kind: 'conflict'; readonly keys: readonly string[] };

/**
 * Implements server-side apply without force, for clusters without an API server. A field without a recorded manager
 * was written by hand, so it counts as owned by others.
 * @param body The fields that the manager wants to own afterwards, from `appliedSecret`.
 */
export function applyTo(raw: RawSecret, body: RawSecret, manager: string): Merged {
  const metadata = objectIn(raw, 'metadata') ?? {};
  const entries = entriesIn(metadata);
  const isOurs = (entry: FieldsEntry) => entry.manager === manager && entry.operation === 'Apply';
  const ownHoldings = mergeHoldings(entries.filter(isOurs));
  const otherEntries = entries.filter((entry) => !isOurs(entry));
  const otherHoldings = mergeHoldings(otherEntries);
  const desiredEntries = (part: Part) => Object.entries(partOf(body, part));
  const currentText = (part: Part, name: string) => textOf(partOf(raw, part), name);

  const conflictingEntries = (part: Part) =>
    desiredEntries(part).filter(([name, value]) => {
      const now = currentText(part, name);
      const isHeldByOthers = !ownHoldings[part].includes(name) || otherHoldings[part].includes(name);
      return now !== undefined && now !== value && isHeldByOthers;
    });
  if (PARTS.some((part) => conflictingEntries(part).length > 0)) {
    const keys = conflictingEntries('data').map(([name]) => name);
    return { kind: 'conflict', keys: keys.sort(compareText) };
  }

  const shared = holdingsOf((part) =>
    desiredEntries(part)
      .map(([name]) => name)
      .filter((name) => currentText(part, name) !== undefined)
      .filter((name) => !ownHoldings[part].includes(name) && !otherHoldings[part].includes(name)),
  );
  const after = (part: Part): JsonObject => {
    const dropped = ownHoldings[part].filter((name) => !otherHoldings[part].includes(name));
    const kept = Object.entries(partOf(raw, part)).filter(([name]) => !dropped.includes(name));
    return Object.fromEntries([...kept, ...desiredEntries(part)]);
  };
  const holds = holdingsOf((part) =>
    desiredEntries(part)
      .map(([name]) => name)
      .sort(compareText),
  );
  const managedFields = [
    ...otherEntries,
    { manager: OTHER_MANAGERS, operation: 'Update' as const, holds: shared },
    { manager, operation: 'Apply' as const, holds },
  ];
  return {
    kind: 'merged',
    raw: {
      ...raw,
      metadata: {
        ...metadata,
        labels: after('labels'),
        annotations: after('annotations'),
        managedFields: compactEntries(managedFields),
      },
      data: after('data'),
    },
  };
}

/** Updates the ownership entries for a change. A manager loses each field that was changed or removed. */
export function entriesAfterUpdate(before: RawSecret, after: RawSecret): readonly FieldsEntry[] {
  const isSame = (part: Part, name: string) =>
    textOf(partOf(before, part), name) === textOf(partOf(after, part), name);
  return entriesIn(objectIn(before, 'metadata') ?? {}).map((entry) => ({
    ...entry,
    holds: holdingsOf((part) => entry.holds[part].filter((name) => isSame(part, name))),
  }));
}

/** Records the fields that we own after our write. An API server records these fields itself. */
export function withOwnership(raw: RawSecret, before?: RawSecret): RawSecret {
  const metadata = objectIn(raw, 'metadata') ?? {};
  const metadataMaps = (of: RawSecret | undefined) => ({
    labels: of === undefined ? {} : partOf(of, 'labels'),
    annotations: of === undefined ? {} : partOf(of, 'annotations'),
  });
  const isOurs = (entry: FieldsEntry) => entry.manager === FIELD_MANAGER && entry.operation === 'Update';
  const entries = before === undefined ? [] : entriesIn(objectIn(before, 'metadata') ?? {});
  const previous: Ownership = mergeHoldings(entries.filter(isOurs));
  const holds = { ...ownershipAfter(previous, metadataMaps(before), metadataMaps(raw)), data: [] };
  const rest = before === undefined ? [] : entriesAfterUpdate(before, raw).filter((entry) => !isOurs(entry));
  const managedFields = [
    entryOf({ manager: FIELD_MANAGER, operation: 'Update', holds }),
    ...compactEntries(rest),
  ];
  return { ...raw, metadata: { ...metadata, managedFields } };
}

/** Merges entries with the same manager and operation, and drops entries without fields. */
export function compactEntries(entries: readonly FieldsEntry[]): readonly JsonObject[] {
  const groups = Map.groupBy(entries, ({ manager, operation }) => `${operation} ${manager}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const holds = mergeHoldings(group);
    const empty = PARTS.every((part) => holds[part].length === 0);
    return first === undefined || (empty && first.manager !== FIELD_MANAGER)
      ? []
      : [entryOf({ ...first, holds })];
  });
}

export function partOf(raw: RawSecret, part: Part): Texts {
  return objectIn(part === 'data' ? raw : (objectIn(raw, 'metadata') ?? {}), part) ?? {};
}

/** Use `hasOwn`, because Kubernetes allows the key `__proto__`. */
function textOf(texts: Texts, name: string): unknown {
  return Object.hasOwn(texts, name) ? texts[name] : undefined;
}
