/** A value in a Liquid template, on its way through filters. */
export interface Value {
  /** A name, a text in quotes or a number. */
  readonly head: string;
  readonly filters: readonly string[];
  /** Out of JSON: it may be anything, not text alone. */
  readonly json: boolean;
  /** The text itself, where it is written in the template. */
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

/** Liquid's escapes are those of JavaScript. A tag ends at the first `%}`, in quotes too. */
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

/** A key as it is written at the beginning of a value, and below one. */
export function keyName(name: string): string {
  return isPlainName(name) ? name : `[${quoted(name)}]`;
}

export function memberName(name: string): string {
  return isPlainName(name) ? `.${name}` : `[${quoted(name)}]`;
}
