import { matchesRegExp } from '../config/shape/linear-regexp.ts';
import { isNamespaceName } from '../core/kubernetes-names.ts';
import { createNode, type Json, type Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { Found } from './objects.ts';

/** Who may use a store; `undefined`: everybody, unless others' bounds need it said. */
export interface Bounds {
  readonly namespaces: readonly string[] | undefined;
}

/**
 * A store of a namespace is for that namespace alone; one of the whole cluster for those that its conditions name.
 * What cannot be said exactly is made narrower, never wider: the namespaces that use it now.
 */
export function boundsOf(found: Found, users: readonly string[], notes: Notes): Bounds {
  if (found.namespace !== undefined) return { namespaces: [found.namespace] };
  const spec = createNode(found.spec, 'spec', notes);
  const conditions = spec.children('conditions');
  if (conditions.length === 0) return { namespaces: undefined };
  const namespaces = new Set<string>();
  for (const condition of conditions)
    for (const one of ofCondition(condition, users, notes)) namespaces.add(one);
  return { namespaces: [...namespaces].toSorted() };
}

function ofCondition(condition: Node, users: readonly string[], notes: Notes): readonly string[] {
  const globs = condition.list('namespaceRegexes').map((pattern) => ({ pattern, glob: globOf(pattern) }));
  const selector = condition.child('namespaceSelector');
  const unsaid = globs.filter(({ glob }) => glob === undefined).map(({ pattern }) => pattern);
  selector?.ignore('matchLabels', 'matchExpressions');
  // Which labels they have is not known; what their names match is.
  const now = users
    .filter(isNamespaceName)
    .filter((name) => selector !== undefined || unsaid.some((pattern) => matchesRegExp(pattern, name)));
  if (selector !== undefined || unsaid.length > 0)
    notes.changed(
      `${condition.path}.${selector === undefined ? 'namespaceRegexes' : 'namespaceSelector'}`,
      `\`access\` goes by names: the store is open to the namespaces that use it now${now.length === 0 ? ', which are none' : ''}`,
      'Add to `access` those that may use it later.',
    );
  // Theirs are names; in `access` a `*` would be a glob.
  const names = condition.list('namespaces');
  const wrong = names.filter((name) => !isNamespaceName(name)).map((name) => JSON.stringify(name));
  if (wrong.length > 0)
    notes.changed(
      `${condition.path}.namespaces`,
      `${wrong.join(', ')} can be the name of no namespace, and is left out`,
      'Add to `access` whom it should name.',
    );
  return [...names.filter(isNamespaceName), ...globs.flatMap(({ glob }) => glob ?? []), ...now];
}

/** A regular expression of literal parts and `.*`, as an anchored glob. Theirs matches anywhere; any other `*` repeats. */
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
