import { append } from '../../core/lists.ts';
import type { Mapping } from '../../core/mapping.ts';

/**
 * A compact form of parsed documents, about twice the size of their text. As objects, they take fifteen times the size
 * of the text. Sending such objects to another thread takes as long as parsing.
 *
 * It is the JSON of two lists. The first one contains the documents: a scalar is itself, a list is `[0, item…]`, an
 * object is `[1, name, value…]`. The second one contains the line and column of each node and each name, in the same
 * order.
 */
export type Packed = string;

/**
 * A mapping in the list of a file. As long as its text stays the same, all loads share this object. So the object keeps
 * the results of earlier loads.
 */
export interface Entry {
  /** The lines of the mapping, as a part of the newest text. Comments and empty lines after it belong to it too. */
  text: string;
  /** The parsed text. Its lines count from 1, the first line of the text. Dropped when it is no longer needed. */
  packed?: Packed | undefined;
  /** Undefined until the text is parsed. */
  facts?: EntryFacts;
  /** The result of the last check. Undefined if the check found something. */
  verdict?: Verdict | undefined;
}

/**
 * What is known of an entry without its parsed text. The positions are relative to the text. All are in one object, to
 * save memory.
 */
export interface EntryFacts extends EntryClaims {
  readonly line: number;
  readonly column: number;
  /** The number of values. */
  readonly size: number;
}

/** The name and the targets of an entry, and their positions. */
export interface EntryClaims {
  readonly name: string | undefined;
  /** The target `<namespace>/<secret>`, or a list of several. */
  readonly targets: string | readonly string[];
  readonly nameLine: number;
  readonly nameColumn: number;
  readonly targetLine: number;
  readonly targetColumn: number;
}

/** An entry in which a check found nothing. */
export interface Verdict {
  /** Everything besides the entry itself that the check depends on. */
  readonly context: string;
  /** The `refresh` of the entry itself, in milliseconds. */
  readonly refresh: number | undefined;
  readonly mapping: Mapping;
}

/** An entry with its place in the file. */
export interface PlacedEntry {
  readonly entry: Entry;
  /** The number of the first line of its text. */
  readonly line: number;
}

/** The text of a file, divided at the entries of its list `mappings`. */
export interface Division {
  /** The text in front of the first entry. */
  readonly head: string;
  /** The number of spaces in front of the dash of each entry. */
  readonly indent: number;
  readonly entries: readonly PlacedEntry[];
  /** The text after the last entry. */
  readonly tail: string;
  /** The number of the line with the name of the list. */
  readonly listLine: number;
}

export interface DividedText {
  readonly text: string;
  readonly division: Division;
}

/** The name of the list. Nothing but a comment may follow on its line. */
const LIST = /^mappings:[ \t]*(?:#.*)?\r?$/m;

/**
 * Divides a text at the entries of its list `mappings`. Returns undefined if the entries are not written one below the
 * other with a dash each. A line with a dash may also be a part of a longer text, so the caller must check that each
 * part is valid YAML.
 *
 * @param before The previous text of the file. Entries with the same text are taken from it.
 */
export function divide(text: string, before?: DividedText): Division | undefined {
  const list = LIST.exec(text);
  const first = list === null ? undefined : firstEntry(text, list.index);
  if (list === null || first === undefined) return undefined;
  const listLine = 1 + linesIn(text, 0, list.index);
  const start = { at: first.at, line: listLine + linesIn(text, list.index, first.at) };
  const { indent } = first;
  const old = before?.division.indent === indent ? before.division : undefined;
  const leading =
    before === undefined || old === undefined ? { ...start, entries: [] } : matchLeading(text, start, before);
  const trailing = old === undefined ? undefined : matchTrailing(text, leading, old);
  const end = trailing?.at ?? text.length;
  const middle = scan(text, { at: leading.at, end, indent });
  if (middle === undefined) return undefined;
  const isWhole = middle.end === end;
  const others = old?.entries.slice(leading.entries.length, isWhole ? trailing?.from : undefined) ?? [];
  const known = new Map(others.map(({ entry }) => [entry.text, entry]));
  const entries: PlacedEntry[] = [...leading.entries];
  let { line } = leading;
  for (const [index, at] of middle.starts.entries()) {
    const stop = middle.starts[index + 1] ?? middle.end;
    const part = text.slice(at, stop);
    entries.push({ entry: known.get(part) ?? { text: part }, line });
    known.delete(part);
    line += linesIn(text, at, stop);
  }
  if (old !== undefined && trailing !== undefined && isWhole)
    append(entries, moved(old.entries.slice(trailing.from), line));
  const tailAt = isWhole && trailing !== undefined ? text.length - (old?.tail.length ?? 0) : middle.end;
  takeFrom(text, start.at, entries);
  // A copy has no room for more entries, which would take more memory than a single entry.
  return { head: text.slice(0, start.at), indent, entries: [...entries], tail: text.slice(tailAt), listLine };
}

/** Takes the text of each entry from the newest text, because a part of a text keeps the whole text in memory. */
function takeFrom(text: string, start: number, entries: readonly PlacedEntry[]): void {
  let at = start;
  for (const { entry } of entries) {
    const end = at + entry.text.length;
    entry.text = text.slice(at, end);
    at = end;
  }
}

/** Returns the same entries in lines that start at this line. */
function moved(entries: readonly PlacedEntry[], line: number): readonly PlacedEntry[] {
  const shift = line - (entries[0]?.line ?? line);
  return shift === 0 ? entries : entries.map((placed) => ({ ...placed, line: placed.line + shift }));
}

interface Spot {
  readonly at: number;
  readonly line: number;
}

/** Finds the first line with a dash after the line at this offset. */
function firstEntry(
  text: string,
  offset: number,
): { readonly at: number; readonly indent: number } | undefined {
  for (let at = lineAfter(text, offset); at < text.length; at = lineAfter(text, at)) {
    const indent = spacesAt(text, at);
    if (isDash(text, at + indent)) return { at, indent };
    if (!isBlank(text, at + indent)) return undefined;
  }
  return undefined;
}

/** Matches the entries at the start of the list. Returns them, and where they end. */
function matchLeading(
  text: string,
  start: Spot,
  { text: old, division: { entries, indent, head } }: DividedText,
): Spot & { readonly entries: readonly PlacedEntry[] } {
  const dash = `${' '.repeat(indent)}- `;
  const same = commonLength(old.slice(head.length), text.slice(start.at));
  let { at } = start;
  let count = 0;
  for (; count < entries.length; count += 1) {
    const end = at + (entries[count]?.entry.text.length ?? 0);
    // Without a new entry after it, the entry may have more lines now.
    if (end - start.at > same || text[end - 1] !== '\n' || !text.startsWith(dash, end)) break;
    at = end;
  }
  const kept = moved(entries.slice(0, count), start.line);
  const last = kept.at(-1);
  const { line } = last === undefined ? start : { line: last.line + linesIn(last.entry.text) };
  return { at, line, entries: kept };
}

/** Returns the length of the common start. Comparing parts for equality is faster than comparing each character. */
function commonLength(first: string, second: string): number {
  let [low, high] = [0, Math.min(first.length, second.length)];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (first.slice(low, middle) === second.slice(low, middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Matches the entries at the end of the list. Returns where they start, in the text and in the list. */
function matchTrailing(
  text: string,
  leading: { readonly at: number; readonly entries: readonly PlacedEntry[] },
  { entries, tail }: Division,
): { readonly at: number; readonly from: number } | undefined {
  if (!text.endsWith(tail)) return undefined;
  let at = text.length - tail.length;
  let from = entries.length;
  if (at < leading.at || (tail !== '' && text[at - 1] !== '\n')) return undefined;
  for (; from > leading.entries.length; from -= 1) {
    const part = entries[from - 1]?.entry.text ?? '';
    const start = at - part.length;
    if (start < leading.at || !text.startsWith(part, start) || text[start - 1] !== '\n') break;
    at = start;
  }
  return { at, from };
}

/** Finds the start of each entry in a part of the text, and the end of the list. Undefined for another layout. */
function scan(
  text: string,
  { at: from, end, indent }: { readonly at: number; readonly end: number; readonly indent: number },
): { readonly starts: readonly number[]; readonly end: number } | undefined {
  const starts: number[] = [];
  for (let at = from; at < end; at = lineAfter(text, at)) {
    const spaces = spacesAt(text, at);
    const content = at + spaces;
    if (spaces > indent || isBlank(text, content)) continue;
    if (spaces === indent && isDash(text, content)) starts.push(at);
    else return isSection(text, at) ? { starts, end: at } : undefined;
  }
  return { starts, end };
}

/** Whether a line is the start of another section. Any other line may belong to the list in some way. */
function isSection(text: string, at: number): boolean {
  SECTION.lastIndex = at;
  return SECTION.test(text);
}

const SECTION = /[A-Za-z]\w*:(?:\s|$)/y;

function lineAfter(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end === -1 ? text.length : end + 1;
}

function spacesAt(text: string, at: number): number {
  let count = 0;
  while (text.charCodeAt(at + count) === SPACE) count += 1;
  return count;
}

const SPACE = 32;

/** Whether the rest of a line is empty or a comment. */
function isBlank(text: string, at: number): boolean {
  const first = text[at];
  return first === undefined || first === '\n' || first === '#' || (first === '\r' && text[at + 1] === '\n');
}

function isDash(text: string, at: number): boolean {
  return text[at] === '-' && /^[ \r\n]?$/.test(text[at + 1] ?? '');
}

/** The number of line ends. */
export function linesIn(text: string, from = 0, to = text.length): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at !== -1 && at < to; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}
