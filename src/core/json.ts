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
  if (typeof text !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
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

export function parseJson(text: string): JsonNode {
  validate(text);
  return build(text);
}

/** Compact, nothing escaped that needs no escaping. */
export function printJson(node: JsonNode): string {
  switch (node.kind) {
    case 'object':
      return `{${node.members.map(([name, value]) => `${JSON.stringify(name)}:${printJson(value)}`).join(',')}}`;
    case 'array':
      return `[${node.items.map(printJson).join(',')}]`;
    case 'string':
      return JSON.stringify(node.value);
    case 'number':
      return node.text;
    default:
      return node.kind;
  }
}

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
      put({ kind: 'string', value: JSON.parse(text.slice(at, end)) as string });
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
    } else {
      const word = wordAt(text, at);
      if (word === '')
        at += 1; // white space, a comma or a colon
      else {
        put(
          word === 'true' || word === 'false' || word === 'null'
            ? { kind: word }
            : { kind: 'number', text: word },
        );
        at += word.length;
      }
    }
  }
  return result;
}

function wordAt(text: string, at: number): string {
  const word = /[-+.0-9a-zE]*/y;
  word.lastIndex = at;
  return word.exec(text)?.[0] ?? '';
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
