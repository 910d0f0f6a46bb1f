import { checkJsonBounds, endOfString } from './json-bounds.ts';

/**
 * Lossless JSON (RFC 8259): numbers keep their text, members keep their order, and duplicate members stay visible.
 * `JSON.parse` loses all three. With it, `1.10` or an 18-digit id would reach the target as a different value.
 */
export type JsonNode =
  | { readonly kind: 'object'; readonly members: readonly (readonly [name: string, value: JsonNode])[] }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'true' | 'false' | 'null' };

/** An object from `JSON.parse` with unknown members. For uses where number text and member order do not matter. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A changed field of a document. `before` is absent for a new field, and `after` for a removed field. */
export interface FieldChange {
  /** For example `mappings.payments-db.data.USER.key`. */
  readonly path: string;
  readonly before?: string;
  readonly after?: string;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses a JSON object. Returns undefined if the text is not a JSON object. */
export function parseObject(text: unknown): JsonObject | undefined {
  const value = typeof text === 'string' ? parseAny(text) : undefined;
  return isObject(value) ? value : undefined;
}

/** Parses a JSON text. Returns undefined if the text is not JSON. */
export function parseAny(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The error does not quote the text, because the text may be a secret. */
export class JsonError extends Error {
  /** Whether the text has too many values. Then it may be JSON. */
  readonly isTooLarge: boolean;

  constructor({ isTooLarge = false } = {}) {
    super('not valid JSON');
    this.name = 'JsonError';
    this.isTooLarge = isTooLarge;
  }
}

/** @throws JsonError for text that is not JSON, has more than 500 nesting levels, or more than 200,000 values. */
export function parseJson(text: string): JsonNode {
  const bounds = checkJsonBounds(text);
  if (bounds !== 'ok') throw new JsonError({ isTooLarge: bounds === 'too-many' });
  validate(text);
  return build(text);
}

/** Does the same as `parseJson`, but returns undefined instead of throwing JsonError. */
export function parseIfJson(text: string): JsonNode | undefined {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** Prints compact JSON. Escapes only the characters that must be escaped. */
export function printJson(node: JsonNode): string {
  return joinParts((parts) => printNode(node, parts));
}

/** Prints plain data like `JSON.stringify`, but copies long texts less often. */
export function toJson(value: unknown): string {
  return joinParts((parts) => printPlain(value, parts));
}

function printNode(node: JsonNode, parts: string[]): void {
  if (node.kind === 'object') printMembers(node.members, parts, printNode);
  else if (node.kind === 'array') printList(node.items, parts, printNode);
  else if (node.kind === 'string') printText(node.value, parts);
  else parts.push(node.kind === 'number' ? node.text : node.kind);
}

function printPlain(value: unknown, parts: string[]): void {
  if (typeof value === 'string') printText(value, parts);
  else if (Array.isArray(value)) printList(value, parts, printPlain);
  else if (isObject(value) && !('toJSON' in value)) {
    const members = Object.entries(value).filter(([, item]) => item !== undefined);
    printMembers(members, parts, printPlain);
  } else parts.push(JSON.stringify(value ?? null));
}

/** Joins all parts once at the end. A value may have 1 MiB, and concatenation would copy it at each nesting level. */
function joinParts(print: (parts: string[]) => void): string {
  const parts: string[] = [];
  print(parts);
  return parts.join('');
}

type Print<T> = (item: T, parts: string[]) => void;

function printMembers<T>(
  members: readonly (readonly [name: string, value: T])[],
  parts: string[],
  print: Print<T>,
): void {
  parts.push('{');
  for (const [n, [name, value]] of members.entries()) {
    if (n > 0) parts.push(',');
    printText(name, parts);
    parts.push(':');
    print(value, parts);
  }
  parts.push('}');
}

function printList<T>(items: readonly T[], parts: string[], print: Print<T>): void {
  parts.push('[');
  for (const [n, item] of items.entries()) {
    if (n > 0) parts.push(',');
    print(item, parts);
  }
  parts.push(']');
}

/**
 * Adds quotes itself where possible. `JSON.stringify` would assemble the text from many small pieces, and most texts
 * only need quotes.
 */
function printText(text: string, parts: string[]): void {
  if (NEEDS_ESCAPE.test(text) || !text.isWellFormed()) parts.push(JSON.stringify(text));
  else parts.push('"', text, '"');
}

/** The characters that JSON must escape (RFC 8259, 7). */
const NEEDS_ESCAPE = /["\\\u0000-\u001f]/;

/** Returns the nested member at this path. If a name is duplicated, uses the first member. */
export function member(node: JsonNode | undefined, ...path: readonly string[]): JsonNode | undefined {
  let at = node;
  for (const name of path) {
    if (at?.kind !== 'object') return undefined;
    at = at.members.find(([candidate]) => candidate === name)?.[1];
  }
  return at;
}

export function textOf(node: JsonNode | undefined): string | undefined {
  return node?.kind === 'string' ? node.value : undefined;
}

/** Checks the grammar with `JSON.parse`, so that `build` can rely on it. */
function validate(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    // The error of `JSON.parse` quotes the text, so it is not passed on.
    if (error instanceof SyntaxError) throw new JsonError();
    throw error;
  }
}

type Open =
  | { readonly kind: 'object'; readonly members: [string, JsonNode][]; name: string | undefined }
  | { readonly kind: 'array'; readonly items: JsonNode[] };

function build(text: string): JsonNode {
  const stack: Open[] = [];
  let result: JsonNode = { kind: 'null' };
  const put = (node: JsonNode): void => {
    const open = stack.at(-1);
    if (open === undefined) result = node;
    else if (open.kind === 'array') open.items.push(node);
    else if (open.name === undefined) open.name = node.kind === 'string' ? node.value : '';
    else {
      open.members.push([open.name, node]);
      open.name = undefined;
    }
  };
  let at = 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '"') {
      // The text is valid, so the string ends.
      const end = endOfString(text, at) ?? text.length;
      put({ kind: 'string', value: stringAt(text, at, end) });
      at = end;
    } else if (char === '{' || char === '[') {
      stack.push(
        char === '{' ? { kind: 'object', members: [], name: undefined } : { kind: 'array', items: [] },
      );
      at += 1;
    } else if (char === '}' || char === ']') {
      const closed = stack.pop();
      if (closed?.kind === 'object') put({ kind: 'object', members: closed.members });
      else if (closed?.kind === 'array') put(closed);
      at += 1;
    } else if (SEPARATORS.includes(char)) {
      at += 1;
    } else {
      const word = wordAt(text, at);
      put(
        word === 'true' || word === 'false' || word === 'null'
          ? { kind: word }
          : { kind: 'number', text: word },
      );
      at += word.length;
    }
  }
  return result;
}

/** Separators between values and names. */
const SEPARATORS = ',: \n\r\t';

/**
 * Extracts a string without keeping the whole source text in memory. V8 copies short slices, but a longer slice
 * references the source text. So slices are used only for short texts, and for long texts that are most of the source
 * anyway. Other texts are parsed, which makes a copy.
 */
function stringAt(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  const usesSlice = inner.length < MIN_SLICE_LENGTH || inner.length > MAX_COPY_LENGTH;
  return usesSlice && !inner.includes('\\') ? inner : (JSON.parse(text.slice(start, end)) as string);
}

/** Slices of at least this length reference the source text. */
const MIN_SLICE_LENGTH = 13;
const MAX_COPY_LENGTH = 64 * 1024;

const WORD = /[-+.0-9a-zE]+/y;

function wordAt(text: string, at: number): string {
  WORD.lastIndex = at;
  const [word] = WORD.exec(text) ?? [];
  // In valid JSON, only a word can be at this position.
  if (word === undefined) throw new JsonError();
  return word.length < MIN_SLICE_LENGTH ? word : (JSON.parse(`"${word}"`) as string);
}

/** Parses the bytes of a JSON document. Returns undefined if they are not UTF-8 or not JSON. */
export function parseIfJsonBytes(bytes: Uint8Array): JsonNode | undefined {
  try {
    return parseIfJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
