import { isMap, isScalar, isSeq, type Node, type Pair, parseDocument } from 'yaml';
import { type JsonNode, printJson } from '../../core/json.ts';
import { defineTask } from '../../core/worker-thread.ts';

/** A longer document is not converted and so has no properties, because parsing takes seconds. */
const MAX_LENGTH = 512 * 1024;
const MAX_DEPTH = 500;
/** A number in JSON (RFC 8259, section 6). */
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;

/**
 * Converts a YAML document to JSON text and keeps the order of its members. Returns undefined for invalid YAML. Also
 * returns undefined for YAML that has no exact JSON form: several documents, anchors, aliases, tags, duplicate keys,
 * and keys that are lists or objects. Numbers keep their source text. If JSON cannot represent a number (`007`, `0x1F`,
 * `.5`, `.inf`), the number becomes a string. A key such as `8080` or `true` becomes a string too.
 */
export function yamlToJson(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const contents = parse(text);
  const node = contents === undefined ? undefined : toJson(contents, 0);
  return node === undefined ? undefined : printJson(node);
}

export const YAML_TO_JSON = defineTask(import.meta.url, yamlToJson);

function parse(text: string): Node | null | undefined {
  try {
    const { contents, errors, warnings } = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      uniqueKeys: false, // this check compares all pairs of keys, and took 90 s for 40,000 keys; `toJson` rejects duplicates instead
      prettyErrors: false, // for each line, pretty errors search from the start of the document
    });
    return errors.length + warnings.length > 0 ? undefined : contents;
  } catch (error) {
    if (error instanceof RangeError) return undefined; // the document is nested too deeply for the recursive parser
    throw error;
  }
}

function toJson(node: Node | null, depth: number): JsonNode | undefined {
  if (node === null) return { kind: 'null' };
  if (depth > MAX_DEPTH || isMarked(node)) return undefined;
  if (isSeq<Node | null>(node)) {
    const items = node.items.map((item) => toJson(item, depth + 1));
    return items.every((item) => item !== undefined) ? { kind: 'array', items } : undefined;
  }
  if (isMap<Node, Node | null>(node)) {
    const members = node.items.map((pair) => toMember(pair, depth + 1));
    if (!members.every((member) => member !== undefined)) return undefined;
    const isUnique = new Set(members.map(([name]) => name)).size === members.length;
    return isUnique ? { kind: 'object', members } : undefined;
  }
  if (!isScalar(node)) return undefined; // it is an alias
  const { value, source = '' } = node;
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value === 'number') {
    return JSON_NUMBER.test(source) ? { kind: 'number', text: source } : { kind: 'string', value: source };
  }
  if (typeof value === 'boolean') return { kind: value ? 'true' : 'false' };
  return value === null ? { kind: 'null' } : undefined;
}

function toMember(
  { key, value }: Pair<Node, Node | null>,
  depth: number,
): readonly [string, JsonNode] | undefined {
  if (!isScalar(key) || isMarked(key)) return undefined;
  const name = typeof key.value === 'string' ? key.value : (key.source ?? '');
  const json = toJson(value, depth);
  return json === undefined ? undefined : [name, json];
}

/**
 * Whether a node has an anchor or a tag. An anchor is the target of aliases, and a tag can change the meaning of the
 * text.
 */
function isMarked(node: Node): boolean {
  return ('anchor' in node && node.anchor !== undefined) || ('tag' in node && node.tag !== undefined);
}
