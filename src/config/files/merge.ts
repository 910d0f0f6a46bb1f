import { append } from '../../core/lists.ts';
import { type Finding, formatPlace, type Path, type Place, quoted } from '../problem.ts';
import { LIST_SECTIONS } from '../schema.ts';
import { appendItems, type Located, type Member } from './yaml.ts';

/** A finding whose place in the files is known. */
export interface PlacedFinding extends Finding {
  readonly place: Place;
}

export interface Merged {
  /** One object with all sections. Entries of list sections keep their places in the original files. */
  readonly root: Located;
  readonly findings: readonly PlacedFinding[];
}

/** @param start The place to report for missing content. */
export function mergeDocuments(documents: readonly Located[], start: Place): Merged {
  const members = new Map<string, Member>();
  const findings: PlacedFinding[] = [];
  const addFinding = (place: Place, path: Path, message: string) =>
    findings.push({ place, path, code: 'CONFIG_INVALID', message });
  const addMember = (name: string, member: Member): void => {
    const first = members.get(name);
    if (first === undefined) members.set(name, member);
    else if (isListSection(name)) addList(name, first, member);
    // Each file may set the same `apiVersion`.
    else if (name !== 'apiVersion' || first.node.value !== member.node.value)
      addFinding(
        member.keyPlace,
        [name],
        `${quoted(name)} is set twice, first at ${formatPlace(first.keyPlace)}`,
      );
  };
  // Append all items of a list at once, because copying the list for each of thousands of files takes long.
  const more = new Map<string, Located[]>();
  const addList = (name: string, first: Member, member: Member): void => {
    if (first.node.items !== undefined && member.node.items !== undefined) {
      const items = more.get(name) ?? [];
      append(items, member.node.items);
      more.set(name, items);
      return;
    }
    // Reports the value that is dropped because it is not a list. If the kept value is not a list either, the schema
    // reports the kept value.
    const [kept, other] = first.node.items === undefined ? [member, first] : [first, member];
    members.set(name, kept);
    if (other.node.isUnclear !== true) addFinding(other.node.place, [name], 'expected a list');
  };
  for (const { members: own, isUnclear, place } of documents) {
    for (const [name, member] of own ?? []) addMember(name, member);
    if (own === undefined && !isUnclear)
      addFinding(place, [], 'expected an object with sections such as `stores` and `mappings`');
  }
  for (const [name, items] of more) {
    const first = members.get(name);
    if (first !== undefined) members.set(name, appendItems(first, items));
  }
  const value = Object.fromEntries([...members].map(([name, { node }]) => [name, node.value]));
  return { root: { value, place: documents[0]?.place ?? start, members }, findings };
}

/**
 * Returns the place of the value at a path, or of its key if `at` is set. If the path does not exist, returns the place
 * of its nearest parent.
 */
export function locate(root: Located, path: Path, at: 'value' | 'key' = 'value'): Place {
  let node = root;
  let place = root.place;
  for (const part of path) {
    const member = typeof part === 'string' ? node.members?.get(part) : undefined;
    const next = typeof part === 'number' ? node.items?.[part] : member?.node;
    if (next === undefined) return place;
    node = next;
    place = at === 'key' && member !== undefined ? member.keyPlace : next.place;
  }
  return place;
}

/**
 * Whether a node on the path has an unknown meaning (`isUnclear`). A problem that is found there may then be false. In
 * an object with an unreadable name, existing members are clear and missing members are unclear.
 */
export function isUnclear(root: Located, path: Path): boolean {
  let node: Located = root;
  for (const part of path) {
    const next: Located | undefined =
      typeof part === 'number' ? node.items?.[part] : node.members?.get(part)?.node;
    if (next === undefined) return node.isPartial === true;
    if (next.isUnclear) return true;
    node = next;
  }
  return node.isPartial === true;
}

/**
 * Whether any part of this node has an unknown meaning (`isUnclear`). A check may then be wrong if it compares the
 * parts of the node.
 */
export function holdsUnclear(root: Located, path: Path): boolean {
  let node: Located | undefined = root;
  for (const part of path)
    node = typeof part === 'number' ? node?.items?.[part] : node?.members?.get(part)?.node;
  return node !== undefined && anyUnclear(node);
}

function anyUnclear({ isUnclear: unclear, isPartial, items = [], members = new Map() }: Located): boolean {
  return (
    unclear === true ||
    isPartial === true ||
    items.some(anyUnclear) ||
    [...members.values()].some(({ node }) => anyUnclear(node))
  );
}

function isListSection(name: string): boolean {
  return LIST_SECTIONS.some((section) => section === name);
}
