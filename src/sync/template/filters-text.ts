import { type Budget, TemplateError } from './budget.ts';
import { integerOf, listOf, memberOf, plain, textOf, wellFormed } from './values.ts';

interface Filter {
  /** The minimum and the maximum number of arguments. */
  readonly args: readonly [number, number];
  /** A pure function. It charges the cost of its work to the budget before it starts. */
  readonly run: (budget: Budget, input: unknown, ...args: readonly unknown[]) => unknown;
}

export type Filters = Readonly<Record<string, Filter>>;

/** Filters take text and return text unless stated otherwise. Patterns are plain text, never regular expressions. */
export const TEXT_FILTERS: Filters = {
  append: { args: [1, 1], run: (b, input, addition) => joined(b, textOf(input, b), textOf(addition, b)) },
  prepend: { args: [1, 1], run: (b, input, addition) => joined(b, textOf(addition, b), textOf(input, b)) },
  upcase: { args: [0, 0], run: (b, input) => textOf(input, b).toUpperCase() },
  downcase: { args: [0, 0], run: (b, input) => textOf(input, b).toLowerCase() },
  capitalize: {
    args: [0, 0],
    run: (b, input) => textOf(input, b).replace(/^./su, (first) => first.toUpperCase()),
  },
  strip: { args: [0, 0], run: (b, input) => textOf(input, b).trim() },
  lstrip: { args: [0, 0], run: (b, input) => textOf(input, b).trimStart() },
  rstrip: { args: [0, 0], run: (b, input) => textOf(input, b).trimEnd() },
  strip_newlines: { args: [0, 0], run: (b, input) => textOf(input, b).replace(/[\r\n]/g, '') },
  normalize_newlines: { args: [0, 0], run: (b, input) => textOf(input, b).replace(/\r\n?/g, '\n') },
  replace: {
    args: [2, 2],
    run: (b, input, from, to) => replaced(b, textOf(input, b), textOf(from, b), textOf(to, b)),
  },
  remove: { args: [1, 1], run: (b, input, removed) => replaced(b, textOf(input, b), textOf(removed, b), '') },
  /** Returns a list. With an empty separator, returns the single characters. */
  split: {
    args: [1, 1],
    run(b, input, separator) {
      const parts = split(b, textOf(input, b), textOf(separator, b));
      b.list(parts.length);
      return parts;
    },
  },
  /** Takes a list. */
  join: {
    args: [0, 1],
    run(b, input, separator = ' ') {
      const parts = listOf(input, b).map((part) => textOf(part, b));
      const between = textOf(separator, b);
      b.text(parts.reduce((sum, part) => sum + part.length + between.length, 0));
      return parts.join(between);
    },
  },
  /** Takes a list. Returns `nil` for an empty list, because the engine treats `undefined` as an unknown variable. */
  first: { args: [0, 0], run: (b, input) => listOf(input, b)[0] ?? null },
  last: { args: [0, 0], run: (b, input) => listOf(input, b).at(-1) ?? null },
  reverse: { args: [0, 0], run: (b, input) => listOf(input, b).toReversed() },
  /** Sorts a list by the code units of each item's text. Numbers and booleans from JSON keep their type. */
  sort: {
    args: [0, 0],
    run: (b, input) =>
      listOf(input, b)
        .map((part) => ({ part, text: textOf(part, b) }))
        .sort((a, c) => (a.text < c.text ? -1 : Number(a.text > c.text)))
        .map(({ part }) => part),
  },
  uniq: {
    args: [0, 0],
    run(b, input) {
      const first = new Map<string, unknown>();
      for (const part of listOf(input, b)) {
        const id = `${typeof plain(part)} ${textOf(part, b)}`;
        if (!first.has(id)) first.set(id, part);
      }
      return [...first.values()];
    },
  },
  /** Returns the objects of a list whose member has this value. */
  where: {
    args: [2, 2],
    run(b, input, name, value) {
      const [wanted, list] = [plain(value), listOf(input, b)];
      return list.filter((item) => isSame(plain(memberOf(item, textOf(name, b))), wanted));
    },
  },
  /** Returns this member of each object of a list. Leaves out objects without it. */
  map: {
    args: [1, 1],
    run: (b, input, name) =>
      listOf(input, b)
        .map((item) => memberOf(item, textOf(name, b)))
        .filter((member) => member !== undefined && member !== null),
  },
  /** Returns the number of characters of a text, or of items of a list. */
  size: {
    args: [0, 0],
    run(b, input) {
      const value = plain(input);
      return typeof value === 'string' ? characters(value, b).length : listOf(value, b).length;
    },
  },
  /**
   * Returns one character, or the requested number of characters. The position counts from 0, or from the end if
   * negative.
   */
  slice: {
    args: [1, 2],
    run(b, input, start, length = 1) {
      const all = characters(textOf(input, b), b);
      const from = integerOf(start) < 0 ? Math.max(0, all.length + integerOf(start)) : integerOf(start);
      return all.slice(from, from + Math.max(0, integerOf(length))).join('');
    },
  },
  /** Limits the number of characters. The ending counts too. */
  truncate: {
    args: [1, 2],
    run(b, input, length, ending = '...') {
      const [all, end] = [characters(textOf(input, b), b), characters(textOf(ending, b), b)];
      if (all.length <= integerOf(length)) return all.join('');
      return [...all.slice(0, Math.max(0, integerOf(length) - end.length)), ...end].join('');
    },
  },
  /** Returns the fallback for a missing value, an empty text, an empty list or `false`. */
  default: {
    args: [1, 1],
    run(_, input, fallback) {
      const value = plain(input);
      const isEmpty = value === null || value === undefined || value === false || value === '';
      return isEmpty || (Array.isArray(value) && value.length === 0) ? fallback : input;
    },
  },
  /** Indents every line but the first, so that a multi-line text can be inserted into YAML. */
  indent: {
    args: [1, 1],
    run(b, input, width) {
      const spaces = integerOf(width);
      if (spaces < 0 || spaces > 100) throw new TemplateError('expected 0 to 100 spaces');
      const lines = split(b, textOf(input, b), '\n');
      b.text(lines.reduce((sum, line) => sum + line.length + 1 + spaces, 0));
      const [first = '', ...rest] = lines;
      return [first, ...rest.map((line) => (line === '' ? '' : `${' '.repeat(spaces)}${line}`))].join('\n');
    },
  },
  /** RFC 3986: percent-encodes everything except letters, digits and `-._~`. */
  url_encode: { args: [0, 0], run: (b, input) => urlEncoded(wellFormed(textOf(input, b))) },
  url_decode: { args: [0, 0], run: (b, input) => urlDecoded(textOf(input, b)) },
  xml_escape: { args: [0, 0], run: (b, input) => escaped(textOf(input, b), XML) },
  /**
   * Escapes text for XML and HTML like Liquid's own filter. The apostrophe is escaped by number, because older HTML has
   * no name for it.
   */
  escape: { args: [0, 0], run: (b, input) => escaped(textOf(input, b), HTML) },
};

/** Compares numbers as the engine does. */
function isSame(member: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'number') return member === wanted;
  const value: unknown = typeof member === 'object' ? member?.valueOf() : member;
  return typeof value === 'number' && value === wanted;
}

const XML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

const HTML: typeof XML = { ...XML, '"': '&#34;', "'": '&#39;' };

function escaped(text: string, names: typeof XML): string {
  return text.replace(/[&<>"']/g, (char) => names[char] ?? char);
}

function joined(b: Budget, left: string, right: string): string {
  b.text(left.length + right.length);
  return left + right;
}

function split(b: Budget, text: string, separator: string): string[] {
  b.search(text, separator);
  return separator === '' ? characters(text, b) : text.split(separator);
}

function replaced(b: Budget, text: string, from: string, to: string): string {
  if (from === '') throw new TemplateError('the text to search for is empty');
  const parts = split(b, text, from);
  b.text(text.length + (parts.length - 1) * (to.length - from.length));
  return parts.join(to);
}

/** Splits into code points, so that surrogate pairs are not split. */
function characters(text: string, b: Budget): string[] {
  b.spend(text.length);
  return Array.from(text);
}

function urlEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function urlDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) throw new TemplateError('this is not percent-encoded UTF-8');
    throw error;
  }
}
