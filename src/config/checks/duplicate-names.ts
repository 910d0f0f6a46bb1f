import { locate } from '../files/merge.ts';
import { entriesOf, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { type Finding, formatPlace, type Path, quoted } from '../problem.ts';

/** An entry with a `name`, which identifies it in audit records and metrics. */
export interface NamedEntry {
  readonly value: unknown;
  readonly path: Path;
}

/** Finds entries whose name an earlier entry already uses. Reports both places. */
export function findDuplicateNames(root: Located, entries: readonly NamedEntry[]): readonly Finding[] {
  const first = new Map<string, Path>();
  return entries.flatMap(({ value, path: entry }): Finding[] => {
    const name = textOf(value, 'name');
    if (name === undefined) return [];
    const path = [...entry, 'name'];
    const earlier = first.get(name);
    first.set(name, earlier ?? path);
    if (earlier === undefined) return [];
    const message = `the name ${quoted(name)} is used twice, first at ${formatPlace(locate(root, earlier))}`;
    return [{ path, code: 'CONFIG_INVALID', message }];
  });
}

/** The entries of the list at this path that have a name. */
export function namedEntries(list: unknown, path: Path): readonly NamedEntry[] {
  return entriesOf(list).map(([index, value]) => ({ value, path: [...path, index] }));
}
