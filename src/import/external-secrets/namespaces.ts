import { matchesRegExp } from '../../config/shape/fields.ts';
import { isNamespaceName } from '../../core/target.ts';
import { createNode, isText, type Json, type Node, type Notes } from '../node.ts';
import type { ToolObject } from '../objects.ts';

/** The namespaces that may use a store. `undefined`: all namespaces. */
export interface Bounds {
  readonly namespaces: readonly string[] | undefined;
}

/**
 * Derives which namespaces may use a store. A SecretStore serves only its own namespace. A ClusterSecretStore serves
 * the namespaces in its conditions. A condition without an exact equivalent becomes narrower, never wider: it allows
 * only the namespaces that use the store now.
 */
export function boundsOf(object: ToolObject, users: readonly string[], notes: Notes): Bounds {
  if (object.namespace !== undefined) return { namespaces: [object.namespace] };
  const spec = createNode(object.spec, 'spec', notes);
  const conditions = spec.children('conditions');
  if (conditions.length === 0) return { namespaces: undefined };
  const namespaces = new Set<string>();
  for (const condition of conditions)
    for (const namespace of namespacesOfCondition(condition, users, notes)) namespaces.add(namespace);
  return { namespaces: [...namespaces].toSorted() };
}

function namespacesOfCondition(condition: Node, users: readonly string[], notes: Notes): readonly string[] {
  const globs = condition.list('namespaceRegexes').map((pattern) => ({ pattern, glob: globOf(pattern) }));
  const selector = condition.child('namespaceSelector');
  const inexactPatterns = globs.filter(({ glob }) => glob === undefined).map(({ pattern }) => pattern);
  selector?.ignore('matchLabels', 'matchExpressions');
  // The labels of namespaces are unknown. If there is a label selector, keep every namespace that uses the store now.
  // If there are only regular expressions, keep each namespace that uses the store now and whose name matches.
  const currentUsers = users
    .filter(isNamespaceName)
    .filter(
      (name) => selector !== undefined || inexactPatterns.some((pattern) => matchesRegExp(pattern, name)),
    );
  if (selector !== undefined || inexactPatterns.length > 0)
    notes.changed(
      `${condition.path}.${selector === undefined ? 'namespaceRegexes' : 'namespaceSelector'}`,
      `\`access\` matches by name, so the store is open only to the namespaces that use it now${currentUsers.length === 0 ? ' (none)' : ''}`,
      'Add namespaces to `access` that may use it later.',
    );
  // Keep only literal names. In `access`, a `*` in a name would be a glob.
  const names = condition.list('namespaces');
  const invalidNames = names.filter((name) => !isNamespaceName(name)).map((name) => JSON.stringify(name));
  if (invalidNames.length > 0)
    notes.changed(
      `${condition.path}.namespaces`,
      `${invalidNames.join(', ')} is not a valid namespace name and is left out`,
      'Add the intended namespaces to `access`.',
    );
  return [...names.filter(isNamespaceName), ...globs.flatMap(({ glob }) => glob ?? []), ...currentUsers];
}

/**
 * Converts a regular expression to a glob for the whole name. The expression can contain literal parts and `.*`.
 * Without anchors, it matches anywhere in the name. Any other `*` is a repetition, which a glob cannot express.
 */
function globOf(pattern: string): string | undefined {
  const [, start, inner = '', end] = /^(\^?)(.*?)(\$?)$/s.exec(pattern) ?? [];
  if (inner.replaceAll('.*', '').includes('*')) return undefined;
  const glob = inner.replaceAll('.*', '*');
  if (!/^[-a-z0-9*]+$/.test(glob)) return undefined;
  return `${start === '^' ? '' : '*'}${glob}${end === '$' ? '' : '*'}`.replace(/\*+/g, '*');
}

export function ruleOf(stores: readonly string[], { namespaces }: Bounds): Json {
  return { namespaces: namespaces ?? ['**'], stores, keys: ['**'] };
}

/** The namespaces of a ClusterExternalSecret: a list of names, or a label selector. */
type Where =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'labels'; readonly selector: Json };

/**
 * Returns the namespaces that the object selects. Returns `undefined` and adds a note if a mapping cannot express them.
 */
export function whereOf(spec: Node, status: Json, notes: Notes): Where | undefined {
  const names = spec.list('namespaces');
  const single = spec.child('namespaceSelector');
  const additional = spec.children('namespaceSelectors');
  const selectors = single === undefined ? additional : [single, ...additional];
  const [selector] = selectors;
  const read = selectors.map((node) => {
    const parts = partsOf(node);
    return { ...parts, named: namedBy(parts) };
  });
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
    Object.keys(first.labels).length + first.expressions.length > 0
  )
    return { kind: 'labels', selector: selectorOf(first) };
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

type SelectorParts = ReturnType<typeof partsOf>;

function partsOf(selector: Node) {
  return {
    labels: selector.texts('matchLabels'),
    expressions: selector.children('matchExpressions').map((node) => ({
      key: node.text('key'),
      operator: node.text('operator'),
      values: node.list('values').filter(isText),
    })),
  };
}

function selectorOf({ labels, expressions }: SelectorParts): Json {
  return {
    ...(Object.keys(labels).length === 0 ? {} : { matchLabels: labels }),
    ...(expressions.length === 0
      ? {}
      : {
          matchExpressions: expressions.map(({ key = '', operator = '', values }) => ({
            key,
            operator,
            ...(values.length === 0 ? {} : { values }),
          })),
        }),
  };
}

/** Returns the namespace names of a selector that selects only by name. */
function namedBy({ labels, expressions }: SelectorParts): readonly string[] | undefined {
  const name = labels[NAME];
  const [expression, ...more] = expressions;
  if (expression === undefined)
    return name !== undefined && Object.keys(labels).length === 1 ? [name] : undefined;
  if (more.length > 0 || Object.keys(labels).length > 0) return undefined;
  return expression.key === NAME && expression.operator === 'In' ? expression.values : undefined;
}

/** https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name */
const NAME = 'kubernetes.io/metadata.name';

export function ownerOf(object: ToolObject): string | undefined {
  const owner = object.owners.find(({ kind }) => kind === 'ClusterExternalSecret');
  return isText(owner?.name) ? owner.name : undefined;
}
