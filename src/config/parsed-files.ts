import { createHash } from 'node:crypto';
import type { Place } from './problem.ts';
import { type Located, type Member, type ParsedYaml, parseYaml } from './yaml.ts';

export type Parse = (text: string, file: string) => ParsedYaml;

/**
 * What the files of a configuration were parsed to the last time: to parse a thousand mappings takes ten times as long
 * as everything else that is done when one of them changes, and mostly they stand in a file that did not change.
 */
export interface ParsedFiles {
  /** For one load. What the load before it did not parse is forgotten. */
  begin(): Parse;
}

interface Kept {
  readonly digest: string;
  readonly packed: Packed;
}

export function createParsedFiles(): ParsedFiles {
  let kept = new Map<string, Kept>();
  return {
    begin() {
      const before = kept;
      const now = new Map<string, Kept>();
      kept = now;
      return (text, file) => {
        const digest = createHash('sha256').update(text).digest('hex');
        const known = before.get(file);
        if (known?.digest === digest) {
          now.set(file, known);
          return { documents: unpack(known.packed, file), problems: [], isWhole: true };
        }
        const parsed = parseYaml(text, file);
        const packed = parsed.isWhole && parsed.problems.length === 0 ? pack(parsed.documents) : undefined;
        if (packed !== undefined) now.set(file, { digest, packed });
        return parsed;
      };
    },
  };
}

/** Documents in about twice the room of their text: as objects they take twenty times that. */
interface Packed {
  /** JSON: a scalar is itself, a list `[0, item…]`, an object `[1, name, value…]`. */
  readonly shape: string;
  /** Line and column of each node and each name, in the order in which the shape has them. */
  readonly places: Uint32Array;
}

/** `undefined`: there is something in it that JSON does not have. */
function pack(documents: readonly Located[]): Packed | undefined {
  const places: number[] = [];
  let isWhole = true;
  const put = ({ line, column }: Place) => void places.push(line, column);
  const shapeOf = ({ value, place, members, items }: Located): unknown => {
    put(place);
    if (items !== undefined) return [0, ...items.map(shapeOf)];
    if (members === undefined) {
      // Infinity, NaN and -0.
      if (typeof value === 'number' && !Object.is(JSON.parse(JSON.stringify(value)), value)) isWhole = false;
      return value;
    }
    const parts: unknown[] = [1];
    for (const [name, { keyPlace, node }] of members) {
      put(keyPlace);
      parts.push(name, shapeOf(node));
    }
    return parts;
  };
  const shape = JSON.stringify(documents.map(shapeOf));
  return isWhole ? { shape, places: Uint32Array.from(places) } : undefined;
}

function unpack({ shape, places }: Packed, file: string): readonly Located[] {
  let next = 0;
  const place = (): Place => {
    const at = { file, line: places[next] ?? 0, column: places[next + 1] ?? 0 };
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
  return (JSON.parse(shape) as unknown[]).map(nodeOf);
}
