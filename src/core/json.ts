/**
 * JSON (RFC 8259) without loss: numbers keep their text, members their order, duplicates stay visible.
 * `JSON.parse` loses all three, and then `1.10` or an 18-digit id would reach the target as another value.
 */
export type JsonNode =
  | { readonly kind: 'object'; readonly members: readonly (readonly [name: string, value: JsonNode])[] }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'true' | 'false' | 'null' };

/** As `JSON.parse` makes it, its members not known: where numbers and order do not matter. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object in a JSON text, or nothing if it is not one. */
export function parseObject(text: unknown): JsonObject | undefined {
  const value = typeof text === 'string' ? parseAny(text) : undefined;
  return isObject(value) ? value : undefined;
}

/** What a text is as JSON, or nothing if it is not JSON. */
export function parseAny(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Says nothing about the text, which may be a secret. */
export class JsonError extends Error {
  constructor() {
    super('not valid JSON');
    this.name = 'JsonError';
  }
}

/** Deeper nesting is refused: printing recurses. */
const MAX_DEPTH = 500;

/** @throws JsonError for what is not JSON, or nested deeper than 500 levels. */
export function parseJson(text: string): JsonNode {
  validate(text);
  return build(text);
}

/** The same; undefined for what `parseJson` throws at. */
export function parseIfJson(text: string): JsonNode | undefined {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** Compact, nothing escaped that needs no escaping. */
export function printJson(node: JsonNode): string {
  return joined((parts) => printNode(node, parts));
}

/** What `JSON.stringify` makes of plain data, with fewer copies of long texts. */
export function toJson(value: unknown): string {
  return joined((parts) => printPlain(value, parts));
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

/** Joined once: a value may be a mebibyte, and each level would copy it. */
function joined(print: (parts: string[]) => void): string {
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

/** `JSON.stringify` puts a text together out of small pieces; most texts need quotes and nothing else. */
function printText(text: string, parts: string[]): void {
  if (NEEDS_ESCAPE.test(text) || !text.isWellFormed()) parts.push(JSON.stringify(text));
  else parts.push('"', text, '"');
}

/** What JSON escapes (RFC 8259, 7). */
const NEEDS_ESCAPE = /["\\\u0000-\u001f]/;

/** A member somewhere below, by its path; the first of that name. */
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

/** The grammar is the platform's affair; after this, `build` may trust every character. */
function validate(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    // The platform's message quotes the text, so it goes no further.
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
      const end = endOfString(text, at);
      put({ kind: 'string', value: stringAt(text, at, end) });
      at = end;
    } else if (char === '{' || char === '[') {
      if (stack.length === MAX_DEPTH) throw new JsonError();
      stack.push(
        char === '{' ? { kind: 'object', members: [], name: undefined } : { kind: 'array', items: [] },
      );
      at += 1;
    } else if (char === '}' || char === ']') {
      const closed = stack.pop();
      if (closed?.kind === 'object') put({ kind: 'object', members: closed.members });
      else if (closed?.kind === 'array') put(closed);
      at += 1;
    } else if (BETWEEN.includes(char)) {
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

/** Of values and names. */
const BETWEEN = ',: \n\r\t';

/**
 * Without escapes a short text is a copy, as V8 makes pieces, and a long one is a piece of the whole, of which it is
 * most. Others are parsed, since as pieces they would keep the whole in memory.
 */
function stringAt(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  const isPiece = inner.length < SHORT || inner.length > LONG;
  return isPiece && !inner.includes('\\') ? inner : (JSON.parse(text.slice(start, end)) as string);
}

/** From here on a piece of a text keeps the whole. */
const SHORT = 13;
const LONG = 64 * 1024;

const WORD = /[-+.0-9a-zE]+/y;

function wordAt(text: string, at: number): string {
  WORD.lastIndex = at;
  const [word] = WORD.exec(text) ?? [];
  // The grammar leaves nothing else to stand here.
  if (word === undefined) throw new JsonError();
  return word.length < SHORT ? word : (JSON.parse(`"${word}"`) as string);
}

/** The index after the closing quote: the first quote that an even number of backslashes precedes. */
function endOfString(text: string, start: number): number {
  let quote = start;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    let slashes = 0;
    while (text.charAt(quote - 1 - slashes) === '\\') slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
}
