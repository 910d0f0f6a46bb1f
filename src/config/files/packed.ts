import type { Place } from '../problem.ts';
import type { Packed } from './entries.ts';
import type { Located, Member, ParsedYaml } from './yaml.ts';

/** Returns the parsed text unchanged if it has problems or contains a value that JSON cannot represent. */
export function pack(parsed: ParsedYaml): Packed | ParsedYaml {
  const { documents, problems, isWhole } = parsed;
  return isWhole && problems.length === 0 ? (packNodes(documents) ?? parsed) : parsed;
}

/** Returns undefined if a value cannot be represented in JSON. */
export function packNodes(nodes: readonly Located[]): Packed | undefined {
  const places: number[] = [];
  let isJson = true;
  const addPlace = ({ line, column }: Place) => void places.push(line, column);
  const shapeOf = ({ value, place, members, items }: Located): unknown => {
    addPlace(place);
    if (items !== undefined) return [0, ...items.map(shapeOf)];
    if (members === undefined) {
      // JSON cannot represent Infinity, NaN and -0.
      if (typeof value === 'number' && !Object.is(JSON.parse(JSON.stringify(value)), value)) isJson = false;
      return value;
    }
    const parts: unknown[] = [1];
    for (const [name, { keyPlace, node }] of members) {
      addPlace(keyPlace);
      parts.push(name, shapeOf(node));
    }
    return parts;
  };
  const packed = JSON.stringify([nodes.map(shapeOf), places]);
  return isJson ? packed : undefined;
}

/**
 * Restores packed nodes, including all places.
 * @param lineOf Returns the line in the file for a line of the packed text.
 */
export function unpackNodes(
  packed: Packed,
  file: string,
  lineOf: (line: number) => number = (line) => line,
): readonly Located[] {
  const [shapes, places] = JSON.parse(packed) as [unknown[], number[]];
  let next = 0;
  const place = (): Place => {
    const at = { file, line: lineOf(places[next] ?? 0), column: places[next + 1] ?? 0 };
    next += 2;
    return at;
  };
  const nodeOf = (part: unknown): Located => {
    const at = place();
    if (!Array.isArray(part)) return { value: part, place: at };
    if (part[0] === 0) {
      const items = part.slice(1).map(nodeOf);
      return { value: items.map((item) => item.value), place: at, items };
    }
    const members = new Map<string, Member>();
    const value: Record<string, unknown> = {};
    for (let index = 1; index < part.length; index += 2) {
      const name = String(part[index]);
      const keyPlace = place();
      const node = nodeOf(part[index + 1]);
      members.set(name, { keyPlace, node });
      value[name] = node.value;
    }
    return { value, place: at, members };
  };
  return shapes.map(nodeOf);
}
