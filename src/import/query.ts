import { keyName, memberName, quoted } from './template/value.ts';

// Queries of other tools take one value out of a list of objects, where `property` takes one by its name. A query
// becomes a template, with the filters `where` and `map`.

/** Returns a template that takes the value out of the JSON text with this name, and applies more filters. */
export type Query = (name: string, filters?: string) => string;

interface Parts {
  /** The way to the list: names, and indexes as numbers. */
  readonly path: readonly Step[];
  /** The member and the value of the wanted objects. Undefined: all objects. */
  readonly where?: readonly [member: string, value: string] | undefined;
  /** The members to take of each object, one after the other. */
  readonly members: readonly Step[];
  /** What remains of the list: one item with these members, all items as JSON, or their number. */
  readonly end: readonly Step[] | 'json' | 'size';
}

type Step = string | number;

function queryOf({ path, where, members, end }: Parts): Query {
  const selected = [
    `json${place(path)}`,
    ...(where === undefined ? [] : [`where: ${quoted(where[0])}, ${where[1]}`]),
    ...members.map((name) => `map: ${quoted(String(name))}`),
  ].join(' | ');
  return (name, more) => {
    const parsed = `{% assign json = ${keyName(name)} | from_json %}`;
    const filters = more === undefined ? '' : ` | ${more}`;
    if (end === 'json' || end === 'size') return `${parsed}{{ ${selected} | ${end}${filters} }}`;
    if (end.length === 0) return `${parsed}{{ ${selected} | first${filters} }}`;
    return `${parsed}{% assign item = ${selected} | first %}{{ item${place(end)}${filters} }}`;
  };
}

function place(path: readonly Step[]): string {
  return path.map((step) => (typeof step === 'number' ? `[${step}]` : memberName(step))).join('');
}

const NAME = String.raw`(?:[A-Za-z_]\w*|"[\w -]+")`;
const STEPS = String.raw`(?:\.${NAME}|\[\d+\])*`;
/** `users[?name=='a'].password | [0]`, and the same with the index before the members. */
const JMES_PATH = new RegExp(
  String.raw`^(?<path>${NAME}${STEPS})?\[(?:\*|\?\s*(?<member>${NAME})\s*==\s*(?<value>'[^'\\]*'|\x60[^\x60\\]*\x60)\s*)\](?<members>(?:\.${NAME})*)\s*\|\s*\[0\](?<last>(?:\.${NAME})*)$`,
);

/**
 * Converts a JMESPath (https://jmespath.org/specification.html) that takes the first object of a list, or the first one
 * with a value. Undefined: it does something else.
 */
export function jmesQuery(expression: string): Query | undefined {
  const groups = JMES_PATH.exec(expression)?.groups;
  if (groups === undefined) return undefined;
  const { path = '', member, value = '', members = '', last = '' } = groups;
  const literal = literalOf(value);
  if (member !== undefined && literal === undefined) return undefined;
  return queryOf({
    path: stepsOf(path),
    where: member === undefined || literal === undefined ? undefined : [unquoted(member), literal],
    members: stepsOf(members),
    end: stepsOf(last),
  });
}

/** A raw text in `'`, or JSON in backticks. JSON without quotes is an old form of a text. */
function literalOf(value: string): string | undefined {
  const content = value.slice(1, -1);
  if (value.startsWith("'")) return quoted(content);
  if (/^(?:true|false|-?\d{1,15}(?:\.\d{1,15})?)$/.test(content)) return content;
  if (/^"[^"]*"$/.test(content)) return quoted(content.slice(1, -1));
  return /^[A-Za-z][\w-]*$/.test(content) && content !== 'null' ? quoted(content) : undefined;
}

function stepsOf(path: string): readonly Step[] {
  return [...path.matchAll(/\[(\d+)\]|"([^"]+)"|([A-Za-z_]\w*)/g)].map(([, index, inQuotes, plain = '']) =>
    index === undefined ? (inQuotes ?? plain) : Number(index),
  );
}

function unquoted(name: string): string {
  return name.replace(/^"|"$/g, '');
}

const PLAIN = String.raw`[^\s.*?|#@!{}()\[\]\\"]+`;
/** `users.#(name=="a").password`, with `#` after the parentheses for all such objects, and `users.#.password`. */
const GJSON = new RegExp(
  String.raw`^(?<path>(?:${PLAIN}\.)*)#(?:\((?<member>${PLAIN.replace('[^', '[^=<>%~')})==(?<value>"[^"\\]*"|true|false|-?\d{1,15})\)(?<all>#)?)?(?<members>(?:\.${PLAIN})*)$`,
);

/**
 * Converts a query of gjson (https://github.com/tidwall/gjson/blob/master/SYNTAX.md) with one condition. Undefined: it
 * does something else.
 */
export function gjsonQuery(property: string): Query | undefined {
  const groups = GJSON.exec(property)?.groups;
  if (groups === undefined) return undefined;
  const { path = '', member, value = '', all, members = '' } = groups;
  const names = namesIn(members);
  const isList = member === undefined || all !== undefined;
  // An index within each object has no equivalent.
  if (isList && names.some(isIndex)) return undefined;
  const literal = value.startsWith('"') ? quoted(value.slice(1, -1)) : value;
  return queryOf({
    path: namesIn(path).map(stepOf),
    where: member === undefined ? undefined : [member, literal],
    members: isList ? names : [],
    end: isList ? (member === undefined && names.length === 0 ? 'size' : 'json') : names.map(stepOf),
  });
}

function namesIn(path: string): readonly string[] {
  return path.split('.').filter((name) => name !== '');
}

function isIndex(name: string): boolean {
  return /^\d+$/.test(name);
}

function stepOf(name: string): Step {
  return isIndex(name) ? Number(name) : name;
}
