import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  type ParsedNode,
  parseAllDocuments,
} from 'yaml';
import { formatPlace, type Place, quoted } from '../problem.ts';
import type { Entry } from './entries.ts';
import { withoutConsequences } from './indentation.ts';
import { type SyntaxProblem, syntaxMessage } from './syntax.ts';

/** A value with the places of all its parts, so that findings can report line and column. */
export interface Located {
  readonly value: unknown;
  readonly place: Place;
  /** Members of an object, by name. */
  readonly members?: ReadonlyMap<string, Member>;
  /** Items of a list. */
  readonly items?: readonly Located[];
  /**
   * Set if the value was written with an alias or a tag. Its real meaning is unknown, so it cannot be checked further.
   */
  readonly isUnclear?: true;
  /**
   * Set for an object with an unreadable name, such as a merge key. Members that seem to be missing may be defined
   * under this name.
   */
  readonly isPartial?: true;
  /** Set for a mapping whose content is not read yet. `opened` returns the mapping with its content. */
  readonly entry?: Entry;
}

export interface Member {
  readonly keyPlace: Place;
  readonly node: Located;
}

export interface ParsedYaml {
  /** The valid YAML documents that are not empty. Unsupported features in them are reported as problems. */
  readonly documents: readonly Located[];
  readonly problems: readonly SyntaxProblem[];
  /** Whether the documents contain the complete content of the file. */
  readonly isWhole: boolean;
}

/** Problems beyond this number are usually consequences of the first ones. */
const MAX_SYNTAX_PROBLEMS = 10;

/**
 * The limit for unsupported features, which are independent of each other. It protects against a file that consists of
 * aliases.
 */
const MAX_UNSUPPORTED = 1_000;

/** The maximum nesting depth. It is enough for the format and safe for recursion. */
export const MAX_DEPTH = 40;

/**
 * Parses YAML 1.2 without features that make a configuration hard to review: anchors, aliases, merge keys, tags and
 * non-text keys. Aliases are never expanded, so a small file cannot use much memory.
 */
export function parseYaml(text: string, file: string): ParsedYaml {
  const { options, at } = parserOf(text, file);
  const reader = new NodeReader(at, text);
  const syntaxProblems: SyntaxProblem[] = [];
  const documents: Located[] = [];
  for (const document of parseAllDocuments(text, options)) {
    for (const { code, pos } of document.errors) {
      const place = at(pos[0]);
      const line = lineAt(text, pos[0] - place.column + 1);
      const { column = place.column, ...found } = syntaxMessage(code, line.slice(place.column - 1), line);
      syntaxProblems.push({ place: { ...place, column }, ...found });
    }
    const version = document.directives.yaml;
    if (version.explicit === true && version.version !== '1.2')
      reader.report(0, 'a `%YAML` directive with a version other than 1.2: remove it');
    if (document.errors.length > 0 || !isNode(document.contents) || isEmpty(document.contents)) continue;
    documents.push(reader.read(document.contents));
  }
  const isTooMuch = reader.problems.length >= MAX_UNSUPPORTED;
  return {
    documents: isTooMuch ? [] : documents,
    problems: [
      ...withoutConsequences(oncePerLine(syntaxProblems), text, file).slice(0, MAX_SYNTAX_PROBLEMS),
      ...reader.problems,
    ],
    isWhole: syntaxProblems.length === 0 && !isTooMuch && !reader.hasUnclear,
  };
}

/** The depth of an entry of a list section. */
const ENTRY_DEPTH = 2;

/**
 * Parses the text of one entry of a list. Returns undefined if the text is not exactly one valid entry with content.
 * Only a parse of the whole file then shows what is wrong.
 */
export function parseEntry(text: string, file: string): Located | undefined {
  const { options, at } = parserOf(text, file);
  const [document, ...others] = parseAllDocuments(text, options);
  const list = document?.contents;
  if (document === undefined || others.length > 0 || document.errors.length > 0) return undefined;
  if (!isSeq(list) || list.flow === true || list.items.length !== 1) return undefined;
  const reader = new NodeReader(at, text);
  const [item] = list.items;
  if (!isMap(item)) return undefined;
  const located = reader.read(item as ParsedNode, ENTRY_DEPTH);
  return reader.problems.length > 0 || reader.hasUnclear ? undefined : located;
}

function parserOf(text: string, file: string) {
  const lines = new LineCounter();
  return {
    // Use plain errors, because pretty errors quote the file, which may contain a credential. Check for duplicate keys
    // ourselves, because the library takes quadratic time and does not report the first place.
    options: { prettyErrors: false, uniqueKeys: false, lineCounter: lines },
    at: (offset: number): Place => {
      const { line, col } = lines.linePos(Math.min(offset, text.length));
      return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
    },
  };
}

/** YAML reads `{{ name }}` without quotes as an object whose name is an object. */
function notText(key: ParsedNode): string {
  return isMap(key)
    ? 'a name must be text; put a text that starts with `{{` in quotes'
    : 'a name must be text';
}

/** Returns the line that starts at this offset. */
function lineAt(text: string, start: number): string {
  const end = text.indexOf('\n', start);
  // A name of more than 1024 characters is an error of its own, so a longer line needs no closer look.
  return text.slice(start, Math.min(end === -1 ? text.length : end, start + 2_000));
}

/** Converts the nodes of a document, and reports unsupported features. */
class NodeReader {
  readonly problems: SyntaxProblem[] = [];
  hasUnclear = false;
  readonly #at: (offset: number) => Place;
  readonly #text: string;

  constructor(at: (offset: number) => Place, text: string) {
    this.#at = at;
    this.#text = text;
  }

  /** Reports an anchor or a tag, which may stand on a line above its node. */
  #reportBefore(start: number, sign: string, message: string): void {
    const offset = this.#text.lastIndexOf(sign, start);
    this.report(offset === -1 ? start : offset, message);
  }

  report(offset: number, message: string): void {
    this.#reportAt(this.#at(offset), message);
  }

  read(node: ParsedNode, depth = 0): Located {
    const [start] = node.range;
    const place = this.#at(start);
    if (depth > MAX_DEPTH) {
      this.report(start, 'nested too deeply');
      return this.#markUnclear({ value: null, place });
    }
    if (isAlias(node)) {
      this.report(
        start,
        'an alias (`*name`) is not supported: write the value out, or use quotes if it is text',
      );
      return this.#markUnclear({ value: null, place });
    }
    if (node.anchor !== undefined)
      this.#reportBefore(start, `&${node.anchor}`, 'an anchor (`&name`) is not supported: remove it');
    if (node.tag === undefined) return this.#readContent(node, place, depth);
    const message = 'a tag (`!name`) is not supported: remove it, or use quotes if it is text';
    this.#reportBefore(start, '!', message);
    return this.#markUnclear(this.#readContent(node, place, depth));
  }

  #readContent(node: ParsedNode, place: Place, depth: number): Located {
    if (isScalar(node)) return { value: scalarValue(node.value), place };
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item as ParsedNode, depth + 1));
      return { value: items.map((item) => item.value), place, items };
    }
    return isMap(node) ? this.#readMap(node.items, place, depth) : { value: null, place };
  }

  #readMap(pairs: readonly Pair<unknown, unknown>[], place: Place, depth: number): Located {
    const members = new Map<string, Member>();
    const duplicates: [string, Located][] = [];
    let isComplete = true;
    for (const pair of pairs) {
      const key = pair.key as ParsedNode;
      const name = this.#readKey(key);
      const keyPlace = this.#at(key.range[0]);
      // For `<<: *name`, report only the merge key `<<`, and not also the alias.
      const isReported = name === undefined && isAlias(pair.value);
      const child =
        pair.value === null || isReported ? undefined : this.read(pair.value as ParsedNode, depth + 1);
      // An empty value has no text to point to, so use the place of its key.
      const isEmptyValue = child === undefined || (child.value === null && child.isUnclear !== true);
      const node = isEmptyValue ? { value: null, place: keyPlace } : child;
      const earlier = name === undefined ? undefined : members.get(name);
      if (name === undefined) isComplete = false;
      else if (earlier === undefined) members.set(name, { keyPlace, node });
      else {
        const [first] = members.keys();
        // The first name of a list entry again, on another line.
        const isEntry = depth > 1 && name === first && keyPlace.line !== earlier.keyPlace.line;
        const hint = isEntry ? '; is a dash missing in front of it?' : '';
        const twice = `${quoted(name)} is set twice, first at ${formatPlace(earlier.keyPlace)}`;
        this.#reportAt(keyPlace, twice + hint);
        duplicates.push([name, node]);
      }
    }
    if (depth === 0) joinSections(members, duplicates);
    const value = Object.fromEntries([...members].map(([name, { node }]) => [name, node.value]));
    const map = { value, place, members };
    if (isComplete) return map;
    this.hasUnclear = true;
    return { ...map, isPartial: true };
  }

  /** Returns the name of a member, or `undefined` if it cannot be determined. */
  #readKey(key: ParsedNode): string | undefined {
    const offset = key.range[0];
    if (!isScalar(key)) {
      this.report(offset, isAlias(key) ? 'an alias (`*name`) is not supported' : notText(key));
      return undefined;
    }
    if (key.anchor !== undefined)
      this.#reportBefore(offset, `&${key.anchor}`, 'an anchor (`&name`) is not supported: remove it');
    if (key.tag !== undefined) this.#reportBefore(offset, '!', 'a tag (`!name`) is not supported: remove it');
    // Use the source text, because `1e3` and `0x10` are names here, not numbers.
    const name = typeof key.value === 'string' ? key.value : (key.source ?? '');
    if (name === '<<') this.report(offset, 'a merge key (`<<`) is not supported: write the values out');
    else if (name === '__proto__') this.report(offset, 'the name `__proto__` is not supported');
    else return name;
    return undefined;
  }

  #reportAt(place: Place, message: string): void {
    if (this.problems.length < MAX_UNSUPPORTED) this.problems.push({ place, message });
  }

  #markUnclear(node: Located): Located {
    this.hasUnclear = true;
    return { ...node, isUnclear: true };
  }
}

/**
 * If a list section occurs twice, keeps the entries of both sections, because other entries may refer to the names of
 * these entries. All other duplicates are ignored.
 */
function joinSections(members: Map<string, Member>, duplicates: readonly [string, Located][]): void {
  for (const [name, more] of Map.groupBy(duplicates, ([section]) => section)) {
    const first = members.get(name);
    const entries = more.flatMap(([, node]) => node.items ?? []);
    if (first?.node.items !== undefined) members.set(name, appendItems(first, entries));
  }
}

/** Appends items to the list of a member. */
export function appendItems(first: Member, more: readonly Located[]): Member {
  const items = [...(first.node.items ?? []), ...more];
  return { keyPlace: first.keyPlace, node: { ...first.node, items, value: items.map((item) => item.value) } };
}

/** Turns big integers and dates into text, because the format has no such types. */
function scalarValue(value: unknown): unknown {
  const plain = value === null || ['string', 'number', 'boolean'].includes(typeof value);
  return plain ? value : String(value);
}

function isEmpty(node: unknown): boolean {
  return isScalar(node) && node.value === null && (node.source ?? '') === '';
}

function oncePerLine(problems: readonly SyntaxProblem[]): SyntaxProblem[] {
  const seen = new Set<number>();
  return problems.filter(({ place }) => (seen.has(place.line) ? false : seen.add(place.line)));
}
