import { quoted } from '../problem.ts';
import type { SyntaxProblem } from './syntax.ts';
import type { Located, Member, ParsedYaml } from './yaml.ts';

// Mappings of a ConfigMap have targets in its own namespace only, and do not name it. The namespace is added when the
// text is parsed, so that all later code sees ordinary mappings.

/** The maximum length of the name of a mapping, which becomes the value of a label. */
const MAX_NAME = 63;
const NAME = /^[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?$/;

/** Adds the namespace to all mappings of a file. */
export function inNamespace({ documents, problems, isWhole }: ParsedYaml, namespace: string): ParsedYaml {
  const found: SyntaxProblem[] = [];
  const placed = documents.map((document) => {
    const list = document.members?.get('mappings');
    if (list?.node.items === undefined) return document;
    const items = list.node.items.map((item) => mappingInNamespace(item, namespace, found));
    return withMember(document, 'mappings', {
      ...list,
      node: { ...list.node, items, value: items.map((item) => item.value) },
    });
  });
  return { documents: placed, problems: [...problems, ...found], isWhole };
}

/**
 * Adds the namespace to the target of a mapping, and puts it in front of the name of the mapping. With this prefix, no
 * team can take the name of a mapping of another team.
 *
 * @param problems Receives the problems of the mapping.
 */
export function mappingInNamespace(mapping: Located, namespace: string, problems: SyntaxProblem[]): Located {
  if (mapping.members === undefined) return mapping;
  const name = mapping.members.get('name');
  const written = name?.node.value;
  const target = targetInNamespace(mapping, namespace, written, problems);
  const placed = target === undefined ? mapping : withMember(mapping, 'target', target);
  // The schema reports an invalid name.
  if (name === undefined || typeof written !== 'string' || !NAME.test(written)) return placed;
  const value = `${namespace}.${written}`;
  if (value.length > MAX_NAME) {
    const message = `the name with its namespace, ${quoted(value)}, has ${value.length} characters; at most ${MAX_NAME} are allowed`;
    problems.push({ place: name.node.place, message });
    return placed;
  }
  return withMember(placed, 'name', { ...name, node: { ...name.node, value } });
}

const NAMESPACE_FIELDS = ['namespace', 'namespaces', 'namespaceSelector'] as const;

/** @param secret The name of the mapping, which is the default name of the Secret. */
function targetInNamespace(
  { place, members }: Located,
  namespace: string,
  secret: unknown,
  problems: SyntaxProblem[],
): Member | undefined {
  const target = members?.get('target');
  const { node = { value: {}, place } } = target ?? {};
  if (node.isUnclear === true) return target;
  const isEmpty = target === undefined || node.value === null;
  // The schema reports a target that is not an object.
  if (!isEmpty && node.members === undefined) return target;
  const own = new Map(node.members);
  for (const field of NAMESPACE_FIELDS) {
    const named = own.get(field);
    if (named === undefined) continue;
    own.delete(field);
    const message = `${quoted(field)} is not allowed here: a mapping of a ConfigMap targets the namespace of the ConfigMap; remove it`;
    problems.push({ place: named.keyPlace, message });
  }
  const leaf = (value: unknown): Member => ({ keyPlace: node.place, node: { value, place: node.place } });
  own.set('namespace', leaf(namespace));
  // The schema reports an invalid name once.
  if (!own.has('secret') && typeof secret === 'string' && NAME.test(secret)) own.set('secret', leaf(secret));
  return {
    keyPlace: target?.keyPlace ?? place,
    node: { ...node, members: own, value: objectOf(own) },
  };
}

function withMember(node: Located, name: string, member: Member): Located {
  const members = new Map(node.members).set(name, member);
  return { ...node, members, value: objectOf(members) };
}

function objectOf(members: ReadonlyMap<string, Member>): object {
  return Object.fromEntries([...members].map(([name, { node }]) => [name, node.value]));
}
