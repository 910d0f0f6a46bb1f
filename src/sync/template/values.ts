import { Drop, toValue } from 'liquidjs';
import { type JsonNode, printJson } from '../../core/json.ts';
import { type Budget, TemplateError } from './budget.ts';

// The value types of templates: text, own numbers, `true`, `false`, nil, lists, and the three types below.

/** A value whose content is hidden from the engine. */
class Opaque extends Drop {}
// The engine reads inherited properties of such objects and calls them if they are functions. So hide all inherited
// properties.
for (const name of Object.getOwnPropertyNames(Object.prototype))
  if (name !== '__proto__')
    Object.defineProperty(Opaque.prototype, name, { value: undefined, writable: true });
Object.defineProperty(Opaque.prototype, '__proto__', { value: undefined });

/** A value of bytes that are not UTF-8. */
export class Binary extends Opaque {
  readonly #bytes: Uint8Array;
  readonly #name: string;

  /** @param name The name of the value in messages. */
  constructor(bytes: Uint8Array, name: string) {
    super();
    this.#bytes = bytes;
    this.#name = name;
  }

  static bytesOf(value: Binary): Uint8Array {
    return value.#bytes;
  }

  static refuse(value: Binary): never {
    throw new TemplateError(`${value.#name} is not UTF-8 text; \`base64\` makes text of it`);
  }

  // The engine calls this to compare, test or iterate.
  override valueOf(): never {
    return Binary.refuse(this);
  }
}

/** A number in its JSON notation. A JavaScript number would change an id of 18 digits, or `1.10`. */
class JsonNumber extends Opaque {
  readonly #text: string;

  constructor(text: string) {
    super();
    this.#text = text;
  }

  static textOf(value: JsonNumber): string {
    return value.#text;
  }

  override valueOf(): number {
    return Number(this.#text);
  }
}

/** The JSON text of each object or list from `from_json`, so that `json` returns it unchanged. */
const nodes = new WeakMap<object, JsonNode>();

export function fromNode(node: JsonNode, budget: Budget): unknown {
  switch (node.kind) {
    case 'string':
      return node.value;
    case 'number':
      return new JsonNumber(node.text);
    case 'array': {
      budget.list(node.items.length);
      return remember(
        node.items.map((item) => fromNode(item, budget)),
        node,
      );
    }
    case 'object': {
      budget.list(node.members.length);
      const members = node.members.map(([name, member]) => [name, fromNode(member, budget)] as const);
      // The object has no prototype. Iterating yields pairs in the order of the JSON text.
      const object: Record<string, unknown> = Object.create(null);
      for (const [name, member] of members) {
        if (Object.hasOwn(object, name)) throw new TemplateError('an object has the same member twice');
        object[name] = member;
      }
      Object.defineProperty(object, Symbol.iterator, { value: () => members.values() });
      return remember(object, node);
    }
    case 'null':
      return null;
    default:
      return node.kind === 'true';
  }
}

function remember<T extends object>(value: T, node: JsonNode): T {
  nodes.set(value, node);
  return value;
}

function toNode(value: unknown): JsonNode {
  const plainValue = plain(value);
  if (plainValue instanceof Binary) return Binary.refuse(plainValue);
  if (plainValue instanceof JsonNumber) return { kind: 'number', text: JsonNumber.textOf(plainValue) };
  if (typeof plainValue === 'string') return { kind: 'string', value: plainValue };
  if (typeof plainValue === 'number') return { kind: 'number', text: String(plainValue) };
  if (typeof plainValue === 'boolean') return { kind: plainValue ? 'true' : 'false' };
  if (plainValue === null || plainValue === undefined) return { kind: 'null' };
  const sourceNode = nodes.get(plainValue);
  if (sourceNode !== undefined) return sourceNode;
  if (Array.isArray(plainValue)) return { kind: 'array', items: plainValue.map(toNode) };
  throw new TemplateError('this has no JSON form');
}

/** Converts the engine's `nil`, `empty` and `blank` to plain values. */
export function plain(value: unknown): unknown {
  return value instanceof Opaque ? value : toValue(value);
}

/** Returns the text of a value. Throws for a value without text instead of returning an empty text. */
export function textOf(value: unknown, budget: Budget): string {
  const plainValue = plain(value);
  if (plainValue instanceof Binary) return Binary.refuse(plainValue);
  const text = plainValue instanceof JsonNumber ? JsonNumber.textOf(plainValue) : plainValue;
  if (typeof text === 'string') {
    budget.spend(text.length);
    return text;
  }
  if (typeof text === 'number' || typeof text === 'boolean') return String(text);
  if (text === null || text === undefined)
    throw new TemplateError('there is no value here; `default` can give one');
  throw new TemplateError('this is a list or an object, not text; `json` or `join` make text of it');
}

/** Half of a surrogate pair has no UTF-8 form. Encoding it as U+FFFD would change the value. */
export function wellFormed(text: string): string {
  if (text.isWellFormed()) return text;
  throw new TemplateError('the text holds half of a surrogate pair');
}

export function listOf(value: unknown, budget: Budget): readonly unknown[] {
  const plainValue = plain(value);
  if (plainValue instanceof Binary) return Binary.refuse(plainValue);
  if (plainValue === null || plainValue === undefined) throw new TemplateError('there is no list here');
  const list = Array.isArray(plainValue)
    ? plainValue
    : isJsonObject(plainValue)
      ? [...plainValue]
      : undefined;
  if (list === undefined) throw new TemplateError('this is not a list; `split` makes one of text');
  budget.list(list.length);
  return list;
}

export function isCollection(value: unknown): boolean {
  return Array.isArray(value) || isJsonObject(value);
}

function isJsonObject(value: unknown): value is Iterable<unknown> & Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && nodes.has(value);
}

/** Returns a member of an object from JSON. Undefined if there is none. */
export function memberOf(value: unknown, name: string): unknown {
  if (!isJsonObject(value) || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined;
  return value[name];
}

/** Returns an integer, for counts and positions. */
export function integerOf(value: unknown): number {
  const plainValue = plain(value);
  const number = plainValue instanceof JsonNumber ? plainValue.valueOf() : plainValue;
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number;
  throw new TemplateError('expected a whole number');
}

export function jsonText(value: unknown, budget: Budget): string {
  const text = printJson(toNode(value));
  budget.text(text.length);
  return text;
}

/** Decodes UTF-8, or returns the bytes if they are not UTF-8. */
export function fromBytes(bytes: Uint8Array, name: string): string | Binary {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return new Binary(bytes, name);
    throw error;
  }
}
