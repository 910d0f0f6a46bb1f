import { type Finding, formatPlace, type Path, type Place, quoted } from '../problem.ts';
import { LIST_SECTIONS } from '../schema.ts';
import { joined, type Located, type Member } from './yaml.ts';

/** A finding whose place is known already. */
export interface PlacedFinding extends Finding {
  readonly place: Place;
}

export interface Merged {
  /** One object with every section; the entries of list sections keep the places of their own files. */
  readonly root: Located;
  readonly findings: readonly PlacedFinding[];
}

/** @param start The place for what is missing altogether. */
export function mergeDocuments(documents: readonly Located[], start: Place): Merged {
  const members = new Map<string, Member>();
  const findings: PlacedFinding[] = [];
  const refuse = (place: Place, path: Path, message: string) =>
    findings.push({ place, path, code: 'CONFIG_INVALID', message });
  const enter = (name: string, member: Member): void => {
    const first = members.get(name);
    if (first === undefined) members.set(name, member);
    else if (isListSection(name)) enterList(name, first, member);
    // Each file may say which format it is written in, as each has to.
    else if (name !== 'apiVersion' || first.node.value !== member.node.value)
      refuse(
        member.keyPlace,
        [name],
        `${quoted(name)} is given twice, first at ${formatPlace(first.keyPlace)}`,
      );
  };
  const enterList = (name: string, first: Member, member: Member): void => {
    if (first.node.items !== undefined && member.node.items !== undefined) {
      members.set(name, joined(first, member.node.items));
      return;
    }
    // What is kept and is no list either is found by the schema.
    const [kept, other] = first.node.items === undefined ? [member, first] : [first, member];
    members.set(name, kept);
    if (other.node.isUnclear !== true) refuse(other.node.place, [name], 'expected a list');
  };
  for (const { members: own, isUnclear, place } of documents) {
    for (const [name, member] of own ?? []) enter(name, member);
    if (own === undefined && !isUnclear)
      refuse(place, [], 'expected an object with sections such as `stores` and `mappings`');
  }
  const value = Object.fromEntries([...members].map(([name, { node }]) => [name, node.value]));
  return { root: { value, place: documents[0]?.place ?? start, members }, findings };
}

/** Where a path leads: its value, or its name where `at` says so, or what is nearest above it. */
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
 * Whether something on the way there is unclear, so that what is found there may be no problem. Of an object that lacks
 * a name, what stands there is clear, and what is missing is not.
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

/** Whether anything of what stands there is unclear, so that a check of several places in it may find what is none. */
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

/** The root with more entries at the end of a list section; as it was when that is no list. */
export function withEntries(root: Located, section: string, more: readonly Located[]): Located {
  const known = root.members?.get(section);
  const [first] = more;
  if (first === undefined || (known !== undefined && known.node.items === undefined)) return root;
  const empty: Member = { keyPlace: first.place, node: { value: [], place: first.place, items: [] } };
  const members = new Map(root.members).set(section, joined(known ?? empty, more));
  const value = Object.fromEntries([...members].map(([name, { node }]) => [name, node.value]));
  return { ...root, value, members };
}
