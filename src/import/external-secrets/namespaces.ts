import { matchesRegExp } from '../../config/shape/fields.ts';
import { isNamespaceName } from '../../core/target.ts';
import { createNode, isText, type Json, type Node, type Notes } from '../node.ts';
import type { ToolObject } from '../objects.ts';
import { disjointSelectors, type Selector, selectorOf } from './selectors.ts';

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

/** The namespaces of a ClusterExternalSecret: a list of names, or several targets that never overlap. */
type Where =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'labels'; readonly targets: readonly Json[] };

/**
 * Returns the namespaces that the object selects. Returns `undefined` and adds a note if a mapping cannot express them.
 */
export function whereOf(spec: Node, status: Json, notes: Notes): Where | undefined {
  const names = spec.list('namespaces');
  const single = spec.child('namespaceSelector');
  const additional = spec.children('namespaceSelectors');
  const nodes = single === undefined ? additional : [single, ...additional];
  const at = nodes[0]?.path ?? 'spec';
  const read = nodes.map(requirementsOf);
  const named = names.length === 0 ? [] : [[{ key: NAME, operator: 'In' as const, values: names }]];
  const isKnown = read.every((selector) => selector !== undefined && selector.length > 0);
  const selectors = isKnown
    ? disjointSelectors([...named, ...read.flatMap((one) => (one ? [one] : []))])
    : [];
  const listed = selectors?.map(namesIn);
  if (listed !== undefined && listed.length > 0 && listed.every((list) => list !== undefined))
    return { kind: 'names', names: [...new Set(listed.flatMap((list) => list ?? []))].toSorted() };
  if (selectors !== undefined && selectors.length > 0) {
    if (selectors.length > 1)
      notes.changed(
        at,
        `several selectors become ${selectors.length} mappings, whose selectors never select the same namespace`,
      );
    return { kind: 'labels', targets: selectors.map(targetOf) };
  }
  const provisioned = createNode(status, 'status', notes).list('provisionedNamespaces').toSorted();
  if (provisioned.length > 0) {
    notes.changed(
      at,
      'cannot be expressed as label selectors; the mapping lists the namespaces where the object exists now',
      'Add later namespaces to `target.namespaces`.',
    );
    return { kind: 'names', names: provisioned };
  }
  notes.lost(
    at,
    'cannot be expressed as label selectors or a list of namespaces',
    'List the namespaces under `target.namespaces`.',
  );
  return undefined;
}

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/** Returns the requirements of a selector, or `undefined` if one of them is not valid. */
function requirementsOf(selector: Node): Selector | undefined {
  const labels = Object.entries(selector.texts('matchLabels')).map(([key, value]) => ({
    key,
    operator: 'In' as const,
    values: [value],
  }));
  const expressions = selector.children('matchExpressions').map((node) => {
    const [key, given, values] = [node.text('key'), node.text('operator'), node.list('values')];
    const operator = OPERATORS.find((known) => known === given);
    return key === undefined || operator === undefined ? undefined : { key, operator, values };
  });
  const valid = expressions.flatMap((expression) => expression ?? []);
  return valid.length === expressions.length ? [...labels, ...valid] : undefined;
}

function targetOf(selector: Selector): Json {
  const names = namesIn(selector);
  if (names === undefined) return { namespaceSelector: selectorOf(selector) };
  return names.length === 1 ? { namespace: names[0] } : { namespaces: names };
}

/** Returns the namespaces of a selector that selects only by name. */
function namesIn([requirement, ...more]: Selector): readonly string[] | undefined {
  if (requirement === undefined || more.length > 0) return undefined;
  return requirement.key === NAME && requirement.operator === 'In' ? requirement.values : undefined;
}

/** https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name */
const NAME = 'kubernetes.io/metadata.name';

export function ownerOf(object: ToolObject): string | undefined {
  const owner = object.owners.find(({ kind }) => kind === 'ClusterExternalSecret');
  return isText(owner?.name) ? owner.name : undefined;
}
