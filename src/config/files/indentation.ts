import { type SyntaxProblem, TAB } from './syntax.ts';

/** A mistake in the layout of the lines. Columns count from 1. */
interface LayoutMistake {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** An open object or list. All its members start at the same column. */
interface Level {
  readonly kind: 'object' | 'list';
  /** The number of characters in front of each member. */
  readonly indent: number;
  /** The line of the first member. */
  readonly line: number;
  /** Whether the last member has no value yet, so that deeper lines may follow. */
  isOpen: boolean;
  /** Whether a line of this level has a name with a colon. If not, the lines may be text. */
  hasName?: boolean;
  /** The line of the last member, if the member before it has no value. */
  lineAfterEmpty?: number | undefined;
}

/**
 * Finds the first line with a wrong indentation, or a bracket or quote that is not closed. Call this only for text that
 * is not valid YAML: the parser knows that something is wrong, but often reports the consequence and not the cause.
 */
export function findLayoutMistake(text: string): LayoutMistake | undefined {
  const scan = new LayoutScan();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const mistake = scan.next(line, index + 1);
    if (mistake !== undefined) return mistake;
  }
  return scan.end();
}

/**
 * Removes reports that only follow from an earlier mistake. Replaces the first report by its cause, if the cause is
 * found.
 */
export function withoutConsequences(
  problems: readonly SyntaxProblem[],
  text: string,
  file: string,
): readonly SyntaxProblem[] {
  const [first, ...others] = problems;
  // After its first mistake, the parser often misreads the rest of the file.
  const certain = first === undefined ? [] : [first, ...others.filter(({ isExact }) => isExact)];
  if (first === undefined || first.isExact === true) return certain;
  const mistake = findLayoutMistake(text);
  if (mistake === undefined || first.place.line < mistake.line - 1) return certain;
  const { line, column, message } = mistake;
  return [{ place: { file, line, column }, message }];
}

/** A bracket or quote that is open at the end of a line. */
interface Opening {
  readonly mark: string;
  readonly line: number;
  readonly column: number;
}

class LayoutScan {
  readonly #levels: Level[] = [];
  /** The levels that the latest line to the left closed, and that line. */
  #closed: { readonly levels: readonly Level[]; readonly line: number; readonly indent: number } | undefined;
  #openings: Opening[] = [];
  /** The indentation of the line that starts a text block (`|` or `>`). */
  #blockIndent: number | undefined;

  next(line: string, number: number): LayoutMistake | undefined {
    const content = line.trimStart();
    const indent = line.length - content.length;
    if (content === '') return undefined;
    const tab = line.slice(0, indent).indexOf('\t');
    if (this.#blockIndent !== undefined) {
      if (indent > this.#blockIndent) return undefined;
      this.#blockIndent = undefined;
    }
    const opening = this.#openings.at(-1);
    if (opening !== undefined) return this.#continue(opening, line, number);
    if (content.startsWith('#')) return undefined;
    if (tab !== -1) return { line: number, column: tab + 1, message: TAB };
    if (/^(?:---|\.\.\.)(?:\s|$)/.test(line)) {
      this.#levels.length = 0;
      return undefined;
    }
    return this.#place(content, indent, number) ?? this.#readMembers(line, indent, number);
  }

  end(): LayoutMistake | undefined {
    const opening = this.#openings[0];
    return opening && notClosed(opening);
  }

  /** Reads a line inside brackets or quotes. */
  #continue(opening: Opening, line: string, number: number): LayoutMistake | undefined {
    const content = line.trimStart();
    const [outer = opening] = this.#openings;
    const isMember = MEMBER.test(content);
    if (isMember && (isQuote(opening.mark) || line.length - content.length <= this.#indentOf()))
      return notClosed(outer);
    this.#scanText(line, 0, number);
    return undefined;
  }

  #indentOf(): number {
    return this.#levels.at(-1)?.indent ?? 0;
  }

  #close(closed: Level[]): void {
    const level = this.#levels.pop();
    if (level !== undefined) closed.push(level);
  }

  /** Finds the level that a line belongs to, or opens a new one. */
  #place(content: string, indent: number, number: number): LayoutMistake | undefined {
    const kind = /^-(?:\s|$)/.test(content) ? 'list' : 'object';
    const closed: Level[] = [];
    while (this.#indentOf() > indent) this.#close(closed);
    let top = this.#levels.at(-1);
    // The items of a list may start at the column of its name.
    if (top?.kind === 'list' && kind === 'object' && top.indent === indent && this.#levels.length > 1) {
      this.#close(closed);
      top = this.#levels.at(-1);
    }
    const before = this.#closed;
    if (closed.length > 0) this.#closed = { levels: closed, line: number, indent };
    if (top?.kind === kind && top.indent === indent) {
      top.lineAfterEmpty = top.isOpen ? number : undefined;
      return undefined;
    }
    if (top === undefined || top.isOpen) {
      if (top !== undefined) top.isOpen = false;
      this.#levels.push({ kind, indent, line: number, isOpen: false });
      return undefined;
    }
    // A text may continue on the next line.
    if (closed.length === 0 && kind === 'object' && !MEMBER.test(content)) return undefined;
    const continued = before?.levels.some((level) => level.kind === kind && level.indent === indent);
    if (continued && before !== undefined) {
      const message = `wrong indentation: this line is too far left (${spaces(before.indent)}), because line ${number} continues what stands above`;
      return { line: before.line, column: before.indent + 1, message };
    }
    return misplaced([...closed, ...this.#levels], kind, indent, number);
  }

  /** Opens the levels that begin on this line, such as the object after a dash. */
  #readMembers(line: string, start: number, number: number): LayoutMistake | undefined {
    let at = start;
    for (let dash = /^-\s+/.exec(line.slice(at)); dash !== null; dash = /^-\s+/.exec(line.slice(at))) {
      at += dash[0].length;
      const isList = /^-(?:\s|$)/.test(line.slice(at));
      if (isList || MEMBER.test(line.slice(at)))
        this.#levels.push({ kind: isList ? 'list' : 'object', indent: at, line: number, isOpen: false });
    }
    const rest = line.slice(at);
    const member = MEMBER.exec(rest);
    const value = member === null ? rest.replace(/^-\s*$/, '') : (member[1] ?? '');
    const top = this.#levels.at(-1);
    const content = value.replace(/(?:^|\s)#.*$/, '').trim();
    if (top?.hasName === true && top.indent === at && member === null && top.kind === 'object')
      return { line: number, column: at + 1, message: 'a `:` is missing after this name' };
    if (top !== undefined) top.isOpen = content === '';
    if (top?.indent === at) top.hasName = member !== null;
    if (/^[|>][-+0-9]*$/.test(content)) this.#blockIndent = this.#indentOf();
    else this.#scanText(line, line.length - value.length, number);
    return undefined;
  }

  /** Follows brackets and quotes from this column to the end of the line. */
  #scanText(line: string, from: number, number: number): void {
    for (let at = from; at < line.length; at++) {
      const character = line[at] ?? '';
      const open = this.#openings.at(-1)?.mark;
      if (open !== undefined && isQuote(open)) {
        if (open === '"' && character === '\\') at += 1;
        else if (character === open) this.#openings.pop();
      } else if (character === '#' && /^\s?$/.test(line[at - 1] ?? '')) return;
      else if (isOpening(line, at, open))
        this.#openings.push({ mark: character, line: number, column: at + 1 });
      else if (open !== undefined && character === CLOSING[open]) this.#openings.pop();
      // Outside of brackets, a text that does not start with a bracket or a quote has none.
      else if (open === undefined && character !== ' ') return;
    }
  }
}

/** A name with a colon, and the text after it. */
const MEMBER = /^(?:"[^"]*"|'[^']*'|[^\s"'#{}[\],&*!|>%@`-][^\s#]*?|-[^\s#]+?):(?:\s+(.*))?$/;

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']' };

function isQuote(mark: string): boolean {
  return mark === '"' || mark === "'";
}

/** Whether a bracket or a quote opens here. Inside of words they are ordinary characters. */
function isOpening(line: string, at: number, open: string | undefined): boolean {
  const character = line[at] ?? '';
  if (character === '{' || character === '[') return true;
  return isQuote(character) && (open === undefined || /^[\s,:{[]?$/.test(line[at - 1] ?? ''));
}

function notClosed({ mark, line, column }: Opening): LayoutMistake {
  return { line, column, message: `the ${isQuote(mark) ? 'quote' : 'bracket'} \`${mark}\` is not closed` };
}

function misplaced(
  levels: readonly Level[],
  kind: Level['kind'],
  indent: number,
  line: number,
): LayoutMistake {
  const [nearest] = levels
    .filter((level) => level.kind === kind)
    .toSorted((a, b) => Math.abs(a.indent - indent) - Math.abs(b.indent - indent) || b.indent - a.indent);
  const mistake = (message: string) => ({
    line,
    column: indent + 1,
    message: `wrong indentation: ${message}`,
  });
  if (nearest === undefined)
    return mistake('no list is open here; a line above is too far left, or its dash is missing');
  const direction = indent > nearest.indent ? 'too deep' : 'too far left';
  const expected = `${spaces(indent)}, expected ${nearest.indent} as on line ${nearest.line}`;
  const { lineAfterEmpty } = nearest;
  const other = lineAfterEmpty === undefined ? '' : `; or line ${lineAfterEmpty} is too far left`;
  return mistake(`this ${kind === 'list' ? 'list item' : 'line'} is ${direction} (${expected})${other}`);
}

function spaces(number: number): string {
  return `${number} space${number === 1 ? '' : 's'}`;
}
