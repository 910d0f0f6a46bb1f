import type { Path } from '../problem.ts';
import type { Located } from './yaml.ts';

// Reads the unvalidated content of the files, so that one mistake does not hide another.

export function listOf(root: Located, section: string): readonly unknown[] {
  const list = memberOf(root.value, section);
  return Array.isArray(list) ? list : [];
}

/**
 * Returns the mappings with their indexes. A root may contain only some of the mappings of the files; the others are
 * holes in the list.
 */
export function mappingsIn(root: Located): readonly [number, unknown][] {
  return listOf(root, 'mappings').flatMap((mapping, index): [number, unknown][] => [[index, mapping]]);
}

export function memberOf(value: unknown, name: string | number): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string | number, unknown>>)[name];
}

export function textOf(value: unknown, name: string): string | undefined {
  const member = memberOf(value, name);
  return typeof member === 'string' ? member : undefined;
}

export function entriesOf(value: unknown): readonly [string | number, unknown][] {
  // Other than `entries`, this skips the holes of a list.
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => [[index, item]]);
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

/** Whether users choose the member names below this field, as in session tags. */
export function isFreeForm(name: string | number): boolean {
  return name === 'tags';
}

/**
 * Returns the names of all stores. Returns `undefined` if a store has no valid name, because any reference may then be
 * correct. The schema reports the cause.
 */
export function storeNamesIn(root: Located): readonly string[] | undefined {
  const section = memberOf(root.value, 'stores');
  if (section !== undefined && !Array.isArray(section)) return undefined;
  const names = listOf(root, 'stores').map((store) => textOf(store, 'name'));
  return names.every((name) => name !== undefined) ? names : undefined;
}

/** Returns each source of a mapping, under `data` and `dataFrom`, with its path. */
export function sourcesIn(mapping: unknown, path: Path): readonly [Path, unknown][] {
  return ['data', 'dataFrom'].flatMap((part) =>
    entriesOf(memberOf(mapping, part)).map(([key, source]): [Path, unknown] => [
      [...path, part, key],
      source,
    ]),
  );
}

/** Returns the namespaces that a mapping lists, each with its path. Empty for a selector. */
export function namespacesIn(mapping: unknown, path: Path): readonly [Path, string][] {
  const target = memberOf(mapping, 'target');
  const at: [Path, unknown][] = [
    [[...path, 'target', 'namespace'], memberOf(target, 'namespace')],
    ...entriesOf(memberOf(target, 'namespaces')).map(([index, name]): [Path, unknown] => [
      [...path, 'target', 'namespaces', index],
      name,
    ]),
  ];
  return at.flatMap(([where, name]): [Path, string][] => (typeof name === 'string' ? [[where, name]] : []));
}
