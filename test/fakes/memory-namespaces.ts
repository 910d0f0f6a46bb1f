import { compareText } from '../../src/core/target.ts';

/** The labels of each namespace. */
export type Namespaces = Readonly<Record<string, Readonly<Record<string, string>>>>;

export function namespacesOf(list: readonly string[] | Namespaces): Namespaces {
  return 'length' in list ? Object.fromEntries((list as readonly string[]).map((name) => [name, {}])) : list;
}

/** Returns the names of the namespaces that have all these labels, sorted. */
export function selectedIn(all: Namespaces, matchLabels: Readonly<Record<string, string>>): string[] {
  return Object.entries(all)
    .filter(([name, labels]) => {
      const carried = new Map(Object.entries({ ...labels, 'kubernetes.io/metadata.name': name }));
      return Object.entries(matchLabels).every(([label, value]) => carried.get(label) === value);
    })
    .map(([name]) => name)
    .sort(compareText);
}
