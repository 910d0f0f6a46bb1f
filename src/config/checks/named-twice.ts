import { locate } from '../files/merge.ts';
import { entriesOf, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { type Finding, formatPlace, type Path, quoted } from '../problem.ts';

/** Something that has a `name`, by which the audit, metrics and others know it. */
export interface Named {
  readonly value: unknown;
  readonly path: Path;
}

/** The names that something before has already, each with both places. */
export function namedTwice(root: Located, entries: readonly Named[]): readonly Finding[] {
  const first = new Map<string, Path>();
  return entries.flatMap(({ value, path: entry }): Finding[] => {
    const name = textOf(value, 'name');
    if (name === undefined) return [];
    const path = [...entry, 'name'];
    const earlier = first.get(name);
    first.set(name, earlier ?? path);
    if (earlier === undefined) return [];
    const message = `the name ${quoted(name)} is given twice, first at ${formatPlace(locate(root, earlier))}`;
    return [{ path, code: 'CONFIG_INVALID', message }];
  });
}

/** The entries of a list that stands at this path. */
export function namedIn(list: unknown, path: Path): readonly Named[] {
  return entriesOf(list).map(([index, value]) => ({ value, path: [...path, index] }));
}
