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

/** A value with the places of everything in it, so that any later finding can name line and column. */
export interface Located {
  readonly value: unknown;
  readonly place: Place;
  /** Of an object, by name. */
  readonly members?: ReadonlyMap<string, Member>;
  /** Of a list. */
  readonly items?: readonly Located[];
  /** Something else is meant than what was read, so that nothing more can be said of it: an alias, a tag. */
  readonly isUnclear?: true;
  /** An object with a name that could not be read, such as a merge key: what is missing may stand behind that. */
  readonly isPartial?: true;
}

export interface Member {
  readonly keyPlace: Place;
  readonly node: Located;
}

export interface SyntaxProblem {
  readonly place: Place;
  readonly message: string;
}

export interface ParsedYaml {
  /** Documents that hold something and are YAML; what we do not support in them is a problem all the same. */
  readonly documents: readonly Located[];
  readonly problems: readonly SyntaxProblem[];
  /** Whether all that stands in the file is in the documents. */
  readonly isWhole: boolean;
}

/** More of them are consequences of the first ones. */
const MAX_SYNTAX_PROBLEMS = 10;

/** None is a consequence of another; but of a file of aliases alone nothing more is looked at, nor kept. */
const MAX_UNSUPPORTED = 1_000;

/** Plenty for the format, and little enough for recursion. */
const MAX_DEPTH = 40;

/**
 * YAML 1.2 without what makes a configuration hard to review or to bound: anchors, aliases, merge keys, tags
 * and keys that are no text. Aliases are never expanded, so a file cannot grow in memory.
 */
export function parseYaml(text: string, file: string): ParsedYaml {
  const lines = new LineCounter();
  // Plain errors: the pretty ones quote the file, and a credential may stand there. Keys are compared by
  // ourselves, since the library's way takes quadratic time and does not say where the first one stands.
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const reader = createReader(at);
  const broken: SyntaxProblem[] = [];
  const documents: Located[] = [];
  for (const document of Array.isArray(parsed) ? parsed : []) {
    for (const { code, pos } of document.errors)
      broken.push({ place: at(pos[0]), message: SYNTAX[code] ?? `this is not valid YAML (${code})` });
    const version = document.directives.yaml;
    if (version.explicit === true && version.version !== '1.2')
      reader.report(0, 'a `%YAML` directive of another version than 1.2: remove it');
    if (document.errors.length > 0 || !isNode(document.contents) || isEmpty(document.contents)) continue;
    documents.push(reader.read(document.contents));
  }
  const isTooMuch = reader.problems.length >= MAX_UNSUPPORTED;
  return {
    documents: isTooMuch ? [] : documents,
    problems: [...oncePerLine(broken).slice(0, MAX_SYNTAX_PROBLEMS), ...reader.problems],
    isWhole: broken.length === 0 && !isTooMuch && !reader.hasUnclear(),
  };
}

/** Our own sentences, since the library's may quote the file. */
const SYNTAX: Readonly<Partial<Record<string, string>>> = {
  BAD_ALIAS: 'an alias (`*`) without a name; put the text in quotes if the star belongs to it',
  BAD_DIRECTIVE: 'a line that starts with `%` is a directive of YAML, which is not supported here',
  BAD_DQ_ESCAPE: 'an unknown escape after a backslash in double quotes; use single quotes or write `\\\\`',
  BAD_INDENT:
    'the indentation does not fit the lines above, or a bracket (`{`, `[`) before this is not closed',
  BAD_SCALAR_START: 'text cannot start with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second `: ` on this line; put the text in quotes if the colon belongs to it',
  BLOCK_IN_FLOW: 'a block inside of brackets; write it in brackets too, or end the brackets before it',
  KEY_OVER_1024_CHARS: 'a name of more than 1024 characters',
  MISSING_CHAR:
    'something is missing here or before: a closing quote or bracket, a comma, `: ` or a space; or a line is indented too far or not far enough',
  MULTILINE_IMPLICIT_KEY: 'a name goes over several lines; is a `:` missing, or a closing quote?',
  MULTIPLE_DOCS: 'several documents where one is expected; separate them with a line `---`',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab is used for indentation; YAML allows spaces only',
  UNEXPECTED_TOKEN:
    'this cannot stand here; is it indented as it should be, and are all quotes and brackets closed?',
};

function createReader(at: (offset: number) => Place) {
  const problems: SyntaxProblem[] = [];
  let unclear = false;
  const reportAt = (place: Place, message: string) => {
    if (problems.length < MAX_UNSUPPORTED) problems.push({ place, message });
  };
  const report = (offset: number, message: string) => reportAt(at(offset), message);
  const asUnclear = (node: Located): Located => {
    unclear = true;
    return { ...node, isUnclear: true };
  };

  function read(node: ParsedNode, depth = 0): Located {
    const [start] = node.range;
    const place = at(start);
    if (depth > MAX_DEPTH) {
      report(start, 'nested too deeply');
      return asUnclear({ value: null, place });
    }
    if (isAlias(node)) {
      report(start, 'an alias (`*name`) is not supported: write the value out, or use quotes if it is text');
      return asUnclear({ value: null, place });
    }
    if (node.anchor !== undefined) report(start, 'an anchor (`&name`) is not supported: remove it');
    if (node.tag === undefined) return readContent(node, place, depth);
    report(start, 'a tag (`!name`) is not supported: remove it, or use quotes if it is text');
    return asUnclear(readContent(node, place, depth));
  }

  function readContent(node: ParsedNode, place: Place, depth: number): Located {
    if (isScalar(node)) return { value: scalarValue(node.value), place };
    if (isSeq(node)) {
      const items = node.items.map((item) => read(item as ParsedNode, depth + 1));
      return { value: items.map((item) => item.value), place, items };
    }
    return isMap(node) ? readMap(node.items, place, depth) : { value: null, place };
  }

  function readMap(pairs: readonly Pair<unknown, unknown>[], place: Place, depth: number): Located {
    const members = new Map<string, Member>();
    const again: [string, Located][] = [];
    let isComplete = true;
    for (const pair of pairs) {
      const key = pair.key as ParsedNode;
      const name = readKey(key);
      const keyPlace = at(key.range[0]);
      // Of `<<: *name` enough is said with the name.
      const isSaid = name === undefined && isAlias(pair.value);
      const child = pair.value === null || isSaid ? undefined : read(pair.value as ParsedNode, depth + 1);
      // An empty value has no text of its own to point to.
      const isEmptyValue = child === undefined || (child.value === null && child.isUnclear !== true);
      const node = isEmptyValue ? { value: null, place: keyPlace } : child;
      const earlier = name === undefined ? undefined : members.get(name);
      if (name === undefined) isComplete = false;
      else if (earlier === undefined) members.set(name, { keyPlace, node });
      else {
        reportAt(keyPlace, `${quoted(name)} is given twice, first at ${formatPlace(earlier.keyPlace)}`);
        again.push([name, node]);
      }
    }
    if (depth === 0) joinSections(members, again);
    const value = Object.fromEntries([...members].map(([name, { node }]) => [name, node.value]));
    const map = { value, place, members };
    if (isComplete) return map;
    unclear = true;
    return { ...map, isPartial: true };
  }

  /** Nothing: what is meant is not known. */
  function readKey(key: ParsedNode): string | undefined {
    const offset = key.range[0];
    if (!isScalar(key)) {
      report(offset, isAlias(key) ? 'an alias (`*name`) is not supported' : 'a name must be text');
      return undefined;
    }
    if (key.anchor !== undefined) report(offset, 'an anchor (`&name`) is not supported: remove it');
    if (key.tag !== undefined) report(offset, 'a tag (`!name`) is not supported: remove it');
    // As written: `1e3` and `0x10` are names here, not numbers.
    const name = typeof key.value === 'string' ? key.value : (key.source ?? '');
    if (name === '<<') report(offset, 'a merge key (`<<`) is not supported: write the values out');
    else if (name === '__proto__') report(offset, 'the name `__proto__` is not supported');
    else return name;
    return undefined;
  }

  return { read, report, problems, hasUnclear: () => unclear };
}

/** What is given again does not count; but names in the entries of a section would be missed elsewhere. */
function joinSections(members: Map<string, Member>, again: readonly [string, Located][]): void {
  for (const [name, more] of Map.groupBy(again, ([section]) => section)) {
    const first = members.get(name);
    const entries = more.flatMap(([, node]) => node.items ?? []);
    if (first?.node.items !== undefined) members.set(name, joined(first, entries));
  }
}

/** The list of the first with more entries at its end. */
export function joined(first: Member, more: readonly Located[]): Member {
  const items = [...(first.node.items ?? []), ...more];
  return { keyPlace: first.keyPlace, node: { ...first.node, items, value: items.map((item) => item.value) } };
}

/** The core schema gives big integers and dates no special class; anything but these is text to us. */
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
