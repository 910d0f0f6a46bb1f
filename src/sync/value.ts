import { findSuspects } from '../core/credential-shapes.ts';
import { ERRORS } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import { JsonError, type JsonNode, parseJson, printJson } from '../core/json.ts';
import { MAX_JSON_VALUES } from '../core/json-bounds.ts';
import type { Decoding, Source } from '../core/mapping.ts';
import { nearest } from '../core/nearest.ts';
import type { FoundRead, SearchedPlace } from '../core/read-result.ts';
import { SecretValue } from '../core/secret-value.ts';

/** Members by name, in the order of the store. */
type Members = ReadonlyMap<string, JsonNode>;

/** A value from a store: its bytes, and the JSON text of its properties if it differs from the bytes. */
type StoreValue = Pick<FoundRead, 'value' | 'object'>;

/**
 * Caches parsed JSON, so that a value is parsed only once even if many of its properties are used. Parsing blocks the
 * process. The parsed form is another copy of the secret, several times its size. So the cache must not outlive one
 * synchronous step.
 */
export interface JsonCache {
  node(storeValue: StoreValue): JsonNode;
  /** @throws AppError NOT_AN_OBJECT */
  members(node: JsonNode, source: Source): Members;
  /** Releases the parsed form after its last use. */
  forget(storeValue: StoreValue): void;
}

export function createJsonCache(): JsonCache {
  const nodes = new Map<StoreValue, JsonNode>();
  const indexes = new WeakMap<JsonNode, Members>();
  return {
    node(storeValue) {
      const node = nodes.get(storeValue) ?? parse(storeValue.object ?? storeValue.value);
      nodes.set(storeValue, node);
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

/** Returns the bytes of a source: the whole value or one property, decoded if requested. */
export function pickValue(source: Source, storeValue: StoreValue, parsed = createJsonCache()): SecretValue {
  const { property } = source;
  const value =
    property === undefined
      ? storeValue.value
      : nodeValue(resolveProperty(source, property, storeValue, parsed), source);
  return decode(value, source);
}

/**
 * Returns the members of a spread source, in the order of the store. Null members are skipped if the source is
 * optional.
 */
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

/** Describes the source for messages. */
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

/**
 * Returns the error for a source that does not exist in its store.
 * @param details More about the target, for the end of the message.
 */
export function absentError(
  source: Parameters<typeof describeSource>[0],
  place: SearchedPlace | undefined,
  details: readonly string[] = [],
): AppError {
  const detail = [...(place === undefined ? [] : [`asked in ${place.name}`]), ...details].join('; ');
  return new AppError('SOURCE_ABSENT', {
    subject: describeSource(source),
    ...(detail === '' ? {} : { detail }),
    ...(place === undefined
      ? {}
      : { remedy: `${ERRORS.SOURCE_ABSENT.remedy} Also check \`${place.setting}\` of the store.` }),
  });
}

/** Looks for the literal name first, then for a dotted path with array indexes. */
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
    throw new AppError('PROPERTY_MISSING', {
      subject: describeSource(source),
      ...propertyRemedy(property, parsed.members(top, source)),
    });
  return node;
}

/**
 * Suggests the nearest member that has a text, a number or an object. Only an ordinary name is shown, because the names
 * of members are a part of the value.
 */
function propertyRemedy(property: string, members: Members): { remedy?: string } {
  if (members.size > MAX_COMPARED) return {};
  const names = [...members].filter(([name, { kind }]) => ORDINARY_NAME.test(name) && kind !== 'null');
  const near = nearest(
    property,
    names.map(([name]) => name),
  );
  if (near === undefined || findSuspects(near).length > 0) return {};
  return { remedy: `Did you mean the property \`${near}\`? ${ERRORS.PROPERTY_MISSING.remedy}` };
}

/** Comparing more names takes too long for a message. */
const MAX_COMPARED = 1_000;
const ORDINARY_NAME = /^[A-Za-z_][A-Za-z_.-]{0,39}\d{0,2}$/;

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

/** Invalid JSON is treated like a value that is not an object. @throws AppError TOO_LARGE */
function parse(value: SecretValue): JsonNode {
  const text = utf8(value);
  if (text === undefined) return NOT_JSON;
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (!error.isTooLarge) return NOT_JSON;
    throw new AppError('TOO_LARGE', { detail: `a value with more than ${MAX_JSON_VALUES} members` });
  }
}

/** Duplicate member names are ambiguous, so they are an error. */
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
  // Half of a surrogate pair has no UTF-8 form. Encoding it as U+FFFD would change the value.
  if (!node.value.isWellFormed())
    throw new AppError('DECODE_FAILED', {
      subject: describeSource(source),
      detail: 'it holds half of a surrogate pair',
    });
  return SecretValue.fromText(node.value);
}

/**
 * Decodes RFC 4648. `base64` requires padding; for `base64url` it is optional. `hex` may have both letter cases. No
 * other characters are allowed. Empty input returns empty output.
 */
function decode(value: SecretValue, source: Source): SecretValue {
  if (source.decode === undefined) return value;
  const digits = digitsOf(value.revealText('latin1'), source.decode);
  const bytes = Buffer.from(digits, source.decode);
  // Node ignores invalid characters, so encode the result again to check that all were valid.
  if (bytes.toString(source.decode) !== digits)
    throw new AppError('DECODE_FAILED', {
      subject: describeSource(source),
      detail: `it is not ${source.decode}`,
    });
  return SecretValue.fromBytes(bytes);
}

/** Returns the text that encoding the decoded bytes gives, if the text is valid. */
function digitsOf(text: string, decoding: Decoding): string {
  if (decoding === 'hex') return text.toLowerCase();
  return decoding === 'base64url' && text.length % 4 === 0 ? text.replace(/={1,2}$/, '') : text;
}

function utf8(value: SecretValue): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value.reveal());
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
