import { createNode, isText, type Json, type Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { Found } from './objects.ts';

/** Where a ClusterExternalSecret makes its objects: names, or labels that we can follow too. */
export type Where =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'labels'; readonly matchLabels: Json };

/** `undefined` if it cannot be said, and then that is noted. */
export function whereOf(spec: Node, status: Json, notes: Notes): Where | undefined {
  const names = spec.list('namespaces');
  const one = spec.child('namespaceSelector');
  const several = spec.children('namespaceSelectors');
  const selectors = one === undefined ? several : [one, ...several];
  const [selector] = selectors;
  const read = selectors.map((it) => ({ labels: it.texts('matchLabels'), named: namedBy(it) }));
  const listed = read.flatMap(({ named }) => named ?? []);
  if (read.every(({ named }) => named !== undefined)) {
    const all = [...new Set([...names, ...listed])].toSorted();
    if (all.length > 0) return { kind: 'names', names: all };
  }
  const [first] = read;
  if (
    names.length === 0 &&
    read.length === 1 &&
    first !== undefined &&
    Object.keys(first.labels).length > 0 &&
    selector?.has('matchExpressions') !== true
  )
    return { kind: 'labels', matchLabels: first.labels };
  const provisioned = createNode(status, 'status', notes).list('provisionedNamespaces').toSorted();
  const at = selector?.path ?? 'spec';
  if (provisioned.length > 0) {
    notes.changed(
      at,
      'cannot be said by one selector of labels: the namespaces are those where it has objects now',
      'Add those that come later to `target.namespaces`.',
    );
    return { kind: 'names', names: provisioned };
  }
  notes.lost(
    at,
    'cannot be said by one selector of labels or a list of namespaces',
    'Name the namespaces under `target.namespaces`.',
  );
  return undefined;
}

/** The names that a selector comes to, if that is all it asks for. */
function namedBy(selector: Node): readonly string[] | undefined {
  const labels = selector.texts('matchLabels');
  const expressions = selector.children('matchExpressions').map((it) => ({
    key: it.text('key'),
    operator: it.text('operator'),
    values: it.list('values').filter(isText),
  }));
  const name = labels[NAME];
  const [expression, ...more] = expressions;
  if (expression === undefined)
    return name !== undefined && Object.keys(labels).length === 1 ? [name] : undefined;
  if (more.length > 0 || Object.keys(labels).length > 0) return undefined;
  return expression.key === NAME && expression.operator === 'In' ? expression.values : undefined;
}

/** https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name */
const NAME = 'kubernetes.io/metadata.name';

export function isMadeBy(found: Found): string | undefined {
  const owner = found.owners.find(({ kind }) => kind === 'ClusterExternalSecret');
  return isText(owner?.name) ? owner.name : undefined;
}
