/** A Liquid value with its filters. */
export interface Value {
  /** A name, a quoted text or a number. */
  readonly head: string;
  readonly filters: readonly string[];
  /** The value comes from JSON and may have any type. */
  readonly json: boolean;
  /** The text, if the value is a literal in the template. */
  readonly literal?: string;
}

export function named(head: string, json = false): Value {
  return { head, filters: [], json };
}

export function literal(text: string): Value {
  return { head: quoted(text), filters: [], json: false, literal: text };
}

export function piped(value: Value, filter: string, { json = false } = {}): Value {
  return { head: value.head, filters: [...value.filters, filter], json };
}

export function liquidOf({ head, filters }: Value): string {
  return [head, ...filters].join(' | ');
}

/** Liquid uses JavaScript's escapes. A tag ends at the first `%}`, even within quotes. */
export function quoted(text: string): string {
  const escaped = text.replace(/[\\"\n\r\t]|%(?=\})/g, (char) => ESCAPES[char] ?? char);
  return `"${escaped}"`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '%': '\\u0025',
};

const WORDS = new Set([
  'nil',
  'null',
  'empty',
  'blank',
  'true',
  'false',
  'and',
  'or',
  'not',
  'contains',
  'forloop',
]);

function isPlainName(name: string): boolean {
  return /^[A-Za-z_]\w*$/.test(name) && !WORDS.has(name);
}

/** Formats a top-level key. `memberName` formats a member after a dot. */
export function keyName(name: string): string {
  return isPlainName(name) ? name : `[${quoted(name)}]`;
}

export function memberName(name: string): string {
  return isPlainName(name) ? `.${name}` : `[${quoted(name)}]`;
}

/** The values of the dot and of the variables at one point of a template. */
export interface Scope {
  /** `undefined`: the dot is the root object with all keys. */
  dot: Value | undefined;
  readonly variables: Map<string, Value>;
}

/** Returns a nested scope for a block. Variables of the block end with it. */
export function within(scope: Scope): Scope {
  return { ...scope, variables: new Map(scope.variables) };
}
