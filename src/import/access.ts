import { matchesRegExp } from '../config/shape/linear-regexp.ts';
import { isNamespaceName } from '../core/kubernetes-names.ts';
import { createNode, type Json, type Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { ExternalObject } from './objects.ts';

/** The namespaces that may use a store. `undefined`: all namespaces. */
export interface Bounds {
  readonly namespaces: readonly string[] | undefined;
}

/**
 * Derives access bounds. A SecretStore serves only its own namespace. A ClusterSecretStore serves the namespaces in its
 * conditions. A condition without an exact equivalent becomes narrower, never wider: it allows only the namespaces that
 * use the store now.
 */
export function boundsOf(object: ExternalObject, users: readonly string[], notes: Notes): Bounds {
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
  // The labels of namespaces are unknown, so every current user may match a label selector. Regular expressions can be
  // matched against the names.
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
  // Keep only literal names, because in `access` a `*` is a glob.
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
 * Converts a regular expression of literal parts and `.*` to a glob for the whole name. Without anchors, the expression
 * matches anywhere in the name. Any other `*` is a repetition, which a glob cannot express.
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
