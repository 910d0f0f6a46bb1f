import { AppError } from '../../core/errors.ts';
import { formatTarget } from '../../core/target.ts';
import type { Place } from '../problem.ts';
import {
  type Division,
  type EntryClaims,
  type EntryFacts,
  linesIn,
  type Packed,
  type PlacedEntry,
} from './entries.ts';
import { locate } from './merge.ts';
import { unpackNodes } from './packed.ts';
import { memberOf, namespacesIn, textOf } from './raw.ts';
import type { Located, ParsedYaml } from './yaml.ts';

/** Returns what is known of an entry without its content. */
export function factsOf(node: Located): EntryFacts {
  const { value, place } = node;
  const target = memberOf(value, 'target');
  const name = textOf(value, 'name');
  const secret = textOf(target, 'secret') ?? name;
  const namespaces = secret === undefined ? [] : namespacesIn(value, []).map(([, namespace]) => namespace);
  const ids = [...new Set(namespaces)].map((namespace) => formatTarget({ namespace, secret: secret ?? '' }));
  const [nameAt, targetAt] = [locate(node, ['name']), locate(node, ['target'])];
  const [single] = ids;
  return {
    ...{ line: place.line, column: place.column, size: sizeOf(node), name },
    targets: ids.length === 1 && single !== undefined ? single : ids,
    ...{ nameLine: nameAt.line, nameColumn: nameAt.column },
    ...{ targetLine: targetAt.line, targetColumn: targetAt.column },
  };
}

export function claimsIn(node: Located): EntryClaims {
  return node.entry?.facts ?? factsOf(node);
}

/** Returns the targets of claims, as `<namespace>/<secret>`. */
export function targetsIn({ targets }: EntryClaims): readonly string[] {
  return typeof targets === 'string' ? [targets] : targets;
}

function sizeOf({ items = [], members }: Located): number {
  let size = 1;
  for (const item of items) size += sizeOf(item);
  for (const { node } of members?.values() ?? []) size += sizeOf(node);
  return size;
}

/** Returns a mapping with its content. */
export function opened(node: Located): Located {
  const { entry, place } = node;
  if (entry === undefined) return node;
  const { packed, facts } = entry;
  if (packed === undefined || facts === undefined)
    throw new AppError('INTERNAL', { detail: 'a mapping is used before it is parsed' });
  const shift = place.line - facts.line;
  const [content = node] = unpackNodes(packed, place.file, (line) => line + shift);
  return content;
}

/** Returns the place in the file for a position of the text of an entry. */
export function placeIn({ entry, place }: Located, line: number, column: number): Place {
  const shift = place.line - (entry?.facts?.line ?? place.line);
  return { file: place.file, line: line + shift, column };
}

/**
 * Puts the parts of a divided file together. Returns undefined if a part is not valid by itself, or if the list is not
 * the section `mappings`. Then only a parse of the whole file shows its meaning.
 *
 * @param rest The parsed text without the entries.
 * @param before The previous result. Its nodes are reused.
 */
export function assemble(
  { head, entries, listLine, indent }: Division,
  rest: Packed,
  file: string,
  before?: ParsedYaml,
): ParsedYaml | undefined {
  const firstLine = entries[0]?.line ?? 0;
  const last = entries.at(-1);
  const headLines = linesIn(head);
  const count = (last?.line ?? 0) + linesIn(last?.entry.text ?? '') - firstLine;
  const [root, ...others] = unpackNodes(rest, file, (line) => (line > headLines ? line + count : line));
  const list = root?.members?.get('mappings');
  const [top] = root?.members?.values() ?? [];
  if (root === undefined || others.length > 0 || list === undefined || top === undefined) return undefined;
  // An object in brackets may contain the name of the list too.
  if (top.keyPlace.line !== root.place.line || top.keyPlace.column !== root.place.column) return undefined;
  const { keyPlace, node } = list;
  if (node.value !== null || keyPlace.line !== listLine || keyPlace.column !== 1) return undefined;
  const known = before?.documents[0]?.members?.get('mappings')?.node.items ?? [];
  const nodes = entries.map((placed, index) => nodeOf(placed, file, known[index]));
  const isSame = nodes.length === known.length && nodes.every((entry, index) => entry === known[index]);
  const place = { file, line: firstLine, column: indent + 1 };
  const items = isSame ? known : nodes;
  const members = new Map(root.members).set('mappings', { keyPlace, node: { value: [], place, items } });
  const value = Object.fromEntries([...members].map(([name, member]) => [name, member.node.value]));
  return { documents: [{ ...root, value, members }], problems: [], isWhole: true };
}

function nodeOf({ entry, line }: PlacedEntry, file: string, known: Located | undefined): Located {
  const { line: offset = 1, column = 1 } = entry.facts ?? {};
  const at = line + offset - 1;
  if (known?.entry === entry && known.place.line === at) return known;
  return { value: undefined, place: { file, line: at, column }, entry };
}
