import type { JsonObject } from '../core/json.ts';
import { compareText } from '../core/target.ts';
import { FIELD_MANAGER } from './cluster.ts';
import { objectIn } from './json.ts';
import {
  entriesIn,
  entryOf,
  type FieldsEntry,
  holdingsOf,
  type Ownership,
  ownershipAfter,
  PARTS,
  type Part,
  together,
} from './managed-fields.ts';
import type { RawSecret } from './manifest.ts';

/** Who holds what is not written down for most fields; those that others share with us are noted under this name. */
const OTHERS = 'others';

type Texts = Readonly<Record<string, unknown>>;

/** `keys`: what others hold with another value. */
export type Merged =
  | { readonly kind: 'merged'; readonly raw: RawSecret }
  | { readonly kind: 'conflict'; readonly keys: readonly string[] };

/**
 * Server-side apply without force, for clusters without an API server. What no manager is noted for is held by
 * others: somebody wrote it by hand.
 * @param body What the manager wants to hold afterwards, as `appliedSecret` gives it.
 */
export function applyTo(raw: RawSecret, body: RawSecret, manager: string): Merged {
  const metadata = objectIn(raw, 'metadata') ?? {};
  const entries = entriesIn(metadata);
  const isOurs = (entry: FieldsEntry) => entry.manager === manager && entry.operation === 'Apply';
  const mine = together(entries.filter(isOurs));
  const others = entries.filter((entry) => !isOurs(entry));
  const theirs = together(others);
  const wanted = (part: Part) => Object.entries(partOf(body, part));
  const there = (part: Part, name: string) => textOf(partOf(raw, part), name);

  const blocked = (part: Part) =>
    wanted(part).filter(([name, value]) => {
      const now = there(part, name);
      const held = !mine[part].includes(name) || theirs[part].includes(name);
      return now !== undefined && now !== value && held;
    });
  if (PARTS.some((part) => blocked(part).length > 0)) {
    const keys = blocked('data').map(([name]) => name);
    return { kind: 'conflict', keys: keys.sort(compareText) };
  }

  const shared = holdingsOf((part) =>
    wanted(part)
      .map(([name]) => name)
      .filter((name) => there(part, name) !== undefined)
      .filter((name) => !mine[part].includes(name) && !theirs[part].includes(name)),
  );
  const after = (part: Part): JsonObject => {
    const dropped = mine[part].filter((name) => !theirs[part].includes(name));
    const kept = Object.entries(partOf(raw, part)).filter(([name]) => !dropped.includes(name));
    return Object.fromEntries([...kept, ...wanted(part)]);
  };
  const holds = holdingsOf((part) =>
    wanted(part)
      .map(([name]) => name)
      .sort(compareText),
  );
  const managedFields = [
    ...others,
    { manager: OTHERS, operation: 'Update' as const, holds: shared },
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
        managedFields: compact(managedFields),
      },
      data: after('data'),
    },
  };
}

/** Whoever changes or removes a field takes it from those who held it. */
export function entriesAfterUpdate(before: RawSecret, after: RawSecret): readonly FieldsEntry[] {
  const same = (part: Part, name: string) =>
    textOf(partOf(before, part), name) === textOf(partOf(after, part), name);
  return entriesIn(objectIn(before, 'metadata') ?? {}).map((entry) => ({
    ...entry,
    holds: holdingsOf((part) => entry.holds[part].filter((name) => same(part, name))),
  }));
}

/** Notes what we own after a write of ours, since nothing else does. */
export function withOwnership(raw: RawSecret, before?: RawSecret): RawSecret {
  const metadata = objectIn(raw, 'metadata') ?? {};
  const marks = (of: RawSecret | undefined) => ({
    labels: of === undefined ? {} : partOf(of, 'labels'),
    annotations: of === undefined ? {} : partOf(of, 'annotations'),
  });
  const isOurs = (entry: FieldsEntry) => entry.manager === FIELD_MANAGER && entry.operation === 'Update';
  const entries = before === undefined ? [] : entriesIn(objectIn(before, 'metadata') ?? {});
  const previous: Ownership = together(entries.filter(isOurs));
  const holds = { ...ownershipAfter(previous, marks(before), marks(raw)), data: [] };
  const rest = before === undefined ? [] : entriesAfterUpdate(before, raw).filter((entry) => !isOurs(entry));
  const managedFields = [entryOf({ manager: FIELD_MANAGER, operation: 'Update', holds }), ...compact(rest)];
  return { ...raw, metadata: { ...metadata, managedFields } };
}

/** One entry for each manager and operation, none that holds nothing. */
export function compact(entries: readonly FieldsEntry[]): readonly JsonObject[] {
  const groups = Map.groupBy(entries, ({ manager, operation }) => `${operation} ${manager}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const holds = together(group);
    const empty = PARTS.every((part) => holds[part].length === 0);
    return first === undefined || (empty && first.manager !== FIELD_MANAGER)
      ? []
      : [entryOf({ ...first, holds })];
  });
}

export function partOf(raw: RawSecret, part: Part): Texts {
  return objectIn(part === 'data' ? raw : (objectIn(raw, 'metadata') ?? {}), part) ?? {};
}

/** `__proto__` is a key that Kubernetes allows. */
function textOf(texts: Texts, name: string): unknown {
  return Object.hasOwn(texts, name) ? texts[name] : undefined;
}
