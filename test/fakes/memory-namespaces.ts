import { type LabelSelector, selects } from '../../src/core/label-selector.ts';
import { compareText } from '../../src/core/target.ts';

/** The labels of each namespace. */
export type Namespaces = Readonly<Record<string, Readonly<Record<string, string>>>>;

export function namespacesOf(list: readonly string[] | Namespaces): Namespaces {
  return 'length' in list ? Object.fromEntries((list as readonly string[]).map((name) => [name, {}])) : list;
}

/** Returns the names of the namespaces that the selector matches, sorted. */
export function selectedIn(all: Namespaces, selector: LabelSelector): string[] {
  return Object.entries(all)
    .filter(([name, labels]) => {
      const carried = new Map(Object.entries({ ...labels, 'kubernetes.io/metadata.name': name }));
      return selects(selector, carried);
    })
    .map(([name]) => name)
    .sort(compareText);
}
