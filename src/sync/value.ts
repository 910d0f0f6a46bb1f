import { AppError } from '../core/errors.ts';
import { JsonError, type JsonNode, parseJson, printJson } from '../core/json.ts';
import type { Source } from '../core/mapping.ts';
import { SecretValue } from '../core/secret-value.ts';

type Members = Extract<JsonNode, { kind: 'object' }>['members'];

/** A value as a store gave it: its bytes, and the JSON text of its properties where that is another. */
export interface Found {
  readonly value: SecretValue;
  readonly object?: SecretValue;
}

/** The bytes that one source means: the whole value, or one property of it, decoded if asked. */
export function pickValue(source: Source, found: Found): SecretValue {
  const value =
    source.property === undefined ? found.value : nodeValue(lookUp(source, found, source.property), source);
  return decode(value, source);
}

/** The members of a source that is to be spread, in the store's order; null ones only where they may be missing. */
export function membersOf(source: Source, found: Found): readonly (readonly [string, SecretValue])[] {
  const members =
    source.property === undefined
      ? topMembers(source, found)
      : uniqueMembers(lookUp(source, found, source.property), source);
  const values: [string, SecretValue][] = [];
  for (const [name, node] of members) {
    if (node.kind === 'null' && source.optional) continue;
    const member = { ...source, property: name };
    if (node.kind === 'null') throw new AppError('PROPERTY_MISSING', { about: describeSource(member) });
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
function lookUp(source: Source, found: Found, property: string): JsonNode {
  const top = topMembers(source, found);
  const literal = top.find(([name]) => name === property)?.[1];
  const node = literal ?? walk(top, property.split('.'), source);
  if (node === undefined || node.kind === 'null')
    throw new AppError('PROPERTY_MISSING', { about: describeSource(source) });
  return node;
}

function walk(top: Members, path: readonly string[], source: Source): JsonNode | undefined {
  let node: JsonNode | undefined = { kind: 'object', members: top };
  for (const step of path) {
    if (node?.kind === 'object') node = uniqueMembers(node, source).find(([name]) => name === step)?.[1];
    else if (node?.kind === 'array')
      node = /^(0|[1-9]\d{0,9})$/.test(step) ? node.items[Number(step)] : undefined;
    else return undefined;
  }
  return node;
}

function topMembers(source: Source, found: Found): Members {
  const text = utf8(found.object ?? found.value);
  if (text === undefined) throw notAnObject(source);
  let node: JsonNode;
  try {
    node = parseJson(text);
  } catch (error) {
    if (error instanceof JsonError) throw notAnObject(source);
    throw error;
  }
  return uniqueMembers(node, source);
}

/** Which of two members of one name is meant, nobody can say. */
function uniqueMembers(node: JsonNode, source: Source): Members {
  if (node.kind !== 'object') throw notAnObject(source);
  if (new Set(node.members.map(([name]) => name)).size !== node.members.length) throw notAnObject(source);
  return node.members;
}

function notAnObject(source: Source): AppError {
  return new AppError('NOT_AN_OBJECT', { about: describeSource(source) });
}

function nodeValue(node: JsonNode, source: Source): SecretValue {
  if (node.kind !== 'string') return SecretValue.fromText(printJson(node));
  // Half a surrogate pair has no UTF-8 form; writing U+FFFD instead would be another value.
  if (!node.value.isWellFormed())
    throw new AppError('DECODE_FAILED', {
      about: describeSource(source),
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
      about: describeSource(source),
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
