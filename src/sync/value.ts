import { AppError } from '../core/errors.ts';
import { type JsonNode, parseIfJson, printJson } from '../core/json.ts';
import type { Source } from '../core/mapping.ts';
import type { FoundRead } from '../core/read-result.ts';
import { SecretValue } from '../core/secret-value.ts';

/** By their names, in the store's order. */
type Members = ReadonlyMap<string, JsonNode>;

/** A value as a store gave it: its bytes, and the JSON text of its properties where that is another. */
type StoreValue = Pick<FoundRead, 'value' | 'object'>;

/**
 * The JSON of values, so that one of which a hundred properties are taken is parsed once: each time holds up the
 * process. It is what is secret a second time, and several times its size, so it lives for one piece of work without a
 * wait.
 */
export interface JsonCache {
  node(storeValue: StoreValue): JsonNode;
  /** @throws AppError NOT_AN_OBJECT */
  members(node: JsonNode, source: Source): Members;
  /** No more is taken of it. */
  forget(storeValue: StoreValue): void;
}

export function createJsonCache(): JsonCache {
  const nodes = new Map<StoreValue, JsonNode>();
  const indexes = new WeakMap<JsonNode, Members>();
  return {
    node(found) {
      const node = nodes.get(found) ?? parse(found.object ?? found.value);
      nodes.set(found, node);
      return node;
    },
    members(node, source) {
      const members = indexes.get(node) ?? uniqueMembers(node, source);
      indexes.set(node, members);
      return members;
    },
    forget(storeValue) {
      nodes.delete(storeValue);
    },
  };
}

/** The bytes that one source means: the whole value, or one property of it, decoded if asked. */
export function pickValue(source: Source, storeValue: StoreValue, parsed = createJsonCache()): SecretValue {
  const { property } = source;
  const value =
    property === undefined
      ? storeValue.value
      : nodeValue(resolveProperty(source, property, storeValue, parsed), source);
  return decode(value, source);
}

/** The members of a source that is to be spread, in the store's order; null ones only where they may be missing. */
export function membersOf(
  source: Source,
  storeValue: StoreValue,
  parsed = createJsonCache(),
): readonly (readonly [string, SecretValue])[] {
  const { property } = source;
  const node =
    property === undefined ? parsed.node(storeValue) : resolveProperty(source, property, storeValue, parsed);
  const members = parsed.members(node, source);
  const values: [string, SecretValue][] = [];
  for (const [name, node] of members) {
    if (node.kind === 'null' && source.optional) continue;
    const member = { ...source, property: name };
    if (node.kind === 'null') throw new AppError('PROPERTY_MISSING', { subject: describeSource(member) });
    values.push([name, decode(nodeValue(node, member), member)]);
  }
  return values;
}

/** A source by its names, for messages. */
export function describeSource({
  store,
  key,
  property,
  version,
}: Pick<Source, 'store' | 'key' | 'property' | 'version'>): string {
  const parts = [`store ${store}`, `key ${key}`];
  if (property !== undefined) parts.push(`property ${property}`);
  if (version !== undefined) parts.push(`version ${version}`);
  return parts.join(', ');
}

/** The literal name first, then a dotted path with array indexes. */
function resolveProperty(
  source: Source,
  property: string,
  storeValue: StoreValue,
  parsed: JsonCache,
): JsonNode {
  const top = parsed.node(storeValue);
  const literal = parsed.members(top, source).get(property);
  const node = literal ?? walk(top, property.split('.'), source, parsed);
  if (node === undefined || node.kind === 'null')
    throw new AppError('PROPERTY_MISSING', { subject: describeSource(source) });
  return node;
}

function walk(
  top: JsonNode,
  path: readonly string[],
  source: Source,
  parsed: JsonCache,
): JsonNode | undefined {
  let node: JsonNode | undefined = top;
  for (const step of path) {
    if (node?.kind === 'object') node = parsed.members(node, source).get(step);
    else if (node?.kind === 'array')
      node = /^(0|[1-9]\d{0,9})$/.test(step) ? node.items[Number(step)] : undefined;
    else return undefined;
  }
  return node;
}

const NOT_JSON: JsonNode = { kind: 'null' };

/** What is no JSON is no object either. */
function parse(value: SecretValue): JsonNode {
  const text = utf8(value);
  return (text === undefined ? undefined : parseIfJson(text)) ?? NOT_JSON;
}

/** Which of two members of one name is meant, nobody can say. */
function uniqueMembers(node: JsonNode, source: Source): Members {
  if (node.kind !== 'object') throw notAnObject(source);
  const members = new Map(node.members);
  if (members.size !== node.members.length) throw notAnObject(source);
  return members;
}

function notAnObject(source: Source): AppError {
  return new AppError('NOT_AN_OBJECT', { subject: describeSource(source) });
}

function nodeValue(node: JsonNode, source: Source): SecretValue {
  if (node.kind !== 'string') return SecretValue.fromText(printJson(node));
  // Half a surrogate pair has no UTF-8 form; writing U+FFFD instead would be another value.
  if (!node.value.isWellFormed())
    throw new AppError('DECODE_FAILED', {
      subject: describeSource(source),
      detail: 'it holds half of a surrogate pair',
    });
  return SecretValue.fromText(node.value);
}

/** RFC 4648: `base64` with its padding, `base64url` with or without; nothing else in between, empty stays empty. */
function decode(value: SecretValue, source: Source): SecretValue {
  if (source.decode === undefined) return value;
  const text = value.revealText('latin1');
  const digits = source.decode === 'base64url' && text.length % 4 === 0 ? text.replace(/={1,2}$/, '') : text;
  const bytes = Buffer.from(digits, source.decode);
  // Node skips what it does not know, so only a round trip shows that every character was meant.
  if (bytes.toString(source.decode) !== digits)
    throw new AppError('DECODE_FAILED', {
      subject: describeSource(source),
      detail: `it is not ${source.decode}`,
    });
  return SecretValue.fromBytes(bytes);
}

function utf8(value: SecretValue): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value.reveal());
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
