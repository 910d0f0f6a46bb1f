import { isTargetKey } from '../core/mapping.ts';
import type { Json, Notes } from './node.ts';
import type { Query } from './query.ts';
import { keyName } from './template/value.ts';

/** The source of a key. */
export interface KeySource {
  readonly source: Json;
  /** Liquid filters that convert the value, such as `pem_leaf`. */
  readonly filters?: string;
  /** Takes the value out of a list of objects. */
  readonly query?: Query;
}

/**
 * Returns `data`, and `template` if a value needs filters. A template cannot set the key of a source, so such a source
 * gets another name.
 */
export function keyData(keys: ReadonlyMap<string, KeySource>, at: string, notes: Notes): Json {
  for (const key of keys.keys())
    if (!isTargetKey(key))
      notes.lost(at, `\`${key}\` is not a valid key of a Secret`, 'Fix the object, and import it again.');
  const all = [...keys];
  const plain = all.filter(([, keySource]) => !needsTemplate(keySource));
  const filtered = all.filter(([, keySource]) => needsTemplate(keySource));
  if (filtered.length === 0)
    return { data: Object.fromEntries(plain.map(([key, { source }]) => [key, source])) };
  if (plain.length > 0)
    notes.changed(
      at,
      `${plain.map(([key]) => key).join(', ')} ${plain.length === 1 ? 'passes' : 'pass'} through a template, so the value must be text (UTF-8)`,
    );
  const taken = new Set(keys.keys());
  const named = all.map(([key, { source, filters, query }]) => {
    const name = unusedName(key, taken);
    const text = query?.(name, filters) ?? `{{ ${[keyName(name), filters ?? []].flat().join(' | ')} }}`;
    return { key, name, source, text };
  });
  return {
    data: Object.fromEntries(named.map(({ name, source }) => [name, source])),
    template: { data: Object.fromEntries(named.map(({ key, text }) => [key, text])), only: true },
  };
}

function needsTemplate({ filters, query }: KeySource): boolean {
  return filters !== undefined || query !== undefined;
}

/** Returns another name for the source of a key that a template sets. */
export function unusedName(name: string, taken: Set<string>): string {
  let candidate = `source_${name}`;
  while (taken.has(candidate)) candidate = `source_${candidate}`;
  taken.add(candidate);
  return candidate;
}
