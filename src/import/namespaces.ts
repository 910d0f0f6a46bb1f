import { createNode, isText, type Json, type Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { ExternalObject } from './objects.ts';

/** The namespaces of a ClusterExternalSecret: a list of names, or labels that a mapping can select. */
export type Where =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'labels'; readonly matchLabels: Json };

/** The namespaces of the object. Returns `undefined` and adds a note if a mapping cannot express them. */
export function whereOf(spec: Node, status: Json, notes: Notes): Where | undefined {
  const names = spec.list('namespaces');
  const single = spec.child('namespaceSelector');
  const additional = spec.children('namespaceSelectors');
  const selectors = single === undefined ? additional : [single, ...additional];
  const [selector] = selectors;
  const read = selectors.map((node) => ({ labels: node.texts('matchLabels'), named: namedBy(node) }));
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
      'cannot be expressed as one label selector; the mapping lists the namespaces where the object exists now',
      'Add later namespaces to `target.namespaces`.',
    );
    return { kind: 'names', names: provisioned };
  }
  notes.lost(
    at,
    'cannot be expressed as one label selector or a list of namespaces',
    'List the namespaces under `target.namespaces`.',
  );
  return undefined;
}

/** The namespace names of a selector that selects only by name. */
function namedBy(selector: Node): readonly string[] | undefined {
  const labels = selector.texts('matchLabels');
  const expressions = selector.children('matchExpressions').map((node) => ({
    key: node.text('key'),
    operator: node.text('operator'),
    values: node.list('values').filter(isText),
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

export function ownerOf(object: ExternalObject): string | undefined {
  const owner = object.owners.find(({ kind }) => kind === 'ClusterExternalSecret');
  return isText(owner?.name) ? owner.name : undefined;
}
