import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
} from 'yaml';
import { findSuspects } from '../core/credential-shapes.ts';
import { MAX_DEPTH } from './files/yaml.ts';
import { type Field, formatNames, ROOT } from './format.ts';
import type { Problem } from './problem.ts';

/** The line of a file with a problem. Both texts have the same indentation. */
export interface Excerpt {
  readonly number: number;
  /** The line, in which `…` replaces every text that may be a value or a credential. */
  readonly line: string;
  /** Points to the problem, for example `    ^^^^`. */
  readonly caret: string;
}

/** A text in the file: a name, or the text of a field. */
interface Piece {
  readonly start: number;
  readonly end: number;
  /** Whether the format and the place of this text show that it is neither a value nor a credential. */
  readonly isPublic: boolean;
}

/** Parsing a larger file takes too long for a message. */
const MAX_LENGTH = 512 * 1024;
/** The width of a line, so that a terminal with 80 columns shows it without a break. */
const MAX_WIDTH = 68;

/**
 * Returns a function that shows the line of a problem. A line may contain a value, or a credential in a wrong place.
 * So only names and settings at known places of the format are shown, and what the problem names itself.
 *
 * @param read Returns the text of a file, or undefined if it cannot be shown.
 */
export function createExcerpts(
  read: (file: string) => string | undefined,
): (problem: Problem) => Excerpt | undefined {
  const files = new Map<string, SourceText | undefined>();
  return (problem) => {
    if (!files.has(problem.file)) {
      const text = read(problem.file);
      const isShown = text !== undefined && text.length <= MAX_LENGTH;
      files.set(problem.file, isShown ? new SourceText(text) : undefined);
    }
    return files.get(problem.file)?.excerpt(problem);
  };
}

class SourceText {
  readonly #text: string;
  readonly #lines = new LineCounter();
  /** Sorted by their start, without overlaps. */
  readonly #pieces: readonly Piece[];

  constructor(text: string) {
    this.#text = text;
    const pieces: Piece[] = [];
    const options = { prettyErrors: false, uniqueKeys: false, lineCounter: this.#lines };
    for (const { contents } of parseAllDocuments(text, options))
      if (isNode(contents)) collectPieces(contents as ParsedNode, ROOT, { text, pieces });
    this.#pieces = pieces.toSorted((a, b) => a.start - b.start);
  }

  excerpt({ line, column, path, message }: Problem): Excerpt | undefined {
    const start = this.#lines.lineStarts[line - 1];
    if (start === undefined) return undefined;
    const next = this.#lines.lineStarts[line] ?? this.#text.length + 1;
    const end = start + this.#text.slice(start, next - 1).trimEnd().length;
    const at = start + column - 1;
    // The problem itself prints this name, so it is no secret.
    const isNamed = (text: string) => text !== '' && `${path} ${message}`.includes(text);
    const shown = this.#show(start, end, at, isNamed);
    // In a file that is not valid YAML, a text often covers several lines. Then show only how the line starts.
    const isUnclear = /^…|^[\s…{}[\],:-]*$/.test(shown.line);
    const rendered = isUnclear && path === '' ? startOf(this.#text.slice(start, end), column) : shown;
    return /[^\s…]/.test(rendered.line) ? { number: line, ...trimmed(rendered) } : undefined;
  }

  #show(start: number, end: number, at: number, isNamed: (text: string) => boolean): ShownLine {
    let line = '';
    let caretAt: number | undefined;
    let width = 1;
    let from = start;
    const append = (text: string, source: number, length: number): void => {
      if (caretAt === undefined && at < source + Math.max(length, 1)) {
        caretAt = line.length;
        width = at === source ? Math.max(text.length, 1) : 1;
      }
      line += text;
    };
    const appendGap = (to: number): void => {
      const gap = this.#text.slice(from, Math.max(from, to));
      for (const [token] of gap.matchAll(/\s+|[{}[\],]|[^\s{}[\],]+/g)) {
        // A comment ends the line. It may contain anything.
        if (token.startsWith('#')) return;
        append(GAP_TOKEN.test(token) ? token.replace(/\t/g, ' ') : '…', from, token.length);
        from += token.length;
      }
    };
    for (const piece of this.#piecesIn(start, end)) {
      appendGap(piece.start);
      const [first, last] = [Math.max(piece.start, start), Math.min(piece.end, end)];
      const text = this.#text.slice(first, last);
      const isShown = piece.isPublic || (piece.start === at && isNamed(unquoted(text)));
      append(isShown ? text : '…', first, last - first);
      from = last;
    }
    appendGap(end);
    return { line: line.trimEnd(), caretAt: caretAt ?? line.trimEnd().length, width };
  }

  #piecesIn(start: number, end: number): readonly Piece[] {
    let [low, high] = [0, this.#pieces.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#pieces[middle]?.end ?? 0) <= start) low = middle + 1;
      else high = middle;
    }
    const pieces: Piece[] = [];
    for (let piece = this.#pieces[low]; piece !== undefined && piece.start < end; piece = this.#pieces[++low])
      pieces.push(piece);
    return pieces;
  }
}

let names: ReadonlySet<string> | undefined;

/** Shows the indentation, the dashes and the name at the start of a line. Only names of the format are shown. */
function startOf(line: string, column: number): ShownLine {
  const [start, indent = '', name = '', colon = ''] = /^(\s*(?:-\s*)*)([A-Za-z]*)(:?)/.exec(line) ?? [''];
  names ??= formatNames();
  const value = line.slice(start.length);
  const rest = value.trim() === '' ? '' : `${/^\s/.test(value) ? ' ' : ''}…`;
  const shown = names.has(name) ? `${name}${colon}${rest}` : '…';
  const caretAt = Math.min(column - 1, indent.length + name.length);
  const width = caretAt === indent.length && names.has(name) ? name.length : 1;
  return { line: indent.replace(/\t/g, ' ') + shown, caretAt, width };
}

/** Marks that stand between names and texts. */
const GAP_TOKEN = /^(?:\s+|[{}[\],?:-]|:[{[]?|---)$/;

interface PieceList {
  readonly text: string;
  readonly pieces: Piece[];
}

function collectPieces(node: ParsedNode, field: Field, pieces: PieceList, depth = 0): void {
  if (depth > MAX_DEPTH || isAlias(node)) addPiece(node, false, pieces);
  else if (isScalar(node)) addPiece(node, field.isPublicText, pieces);
  else if (isSeq(node))
    node.items.forEach((item, index) => {
      collectPieces(item as ParsedNode, field.member(index), pieces, depth + 1);
    });
  else if (isMap(node))
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      if (isNode(key)) addPiece(key as ParsedNode, isScalar(key) && isPublicName(name, value, field), pieces);
      if (isNode(value)) collectPieces(value as ParsedNode, field.member(name), pieces, depth + 1);
    }
}

/** A name without a value may be a value itself, as in `{ password:, hunter2 }`. */
function isPublicName(name: string, value: unknown, field: Field): boolean {
  if (field.names.includes(name)) return true;
  const hasValue = isMap(value) || (isScalar(value) && (value.source ?? '') !== '');
  return field.hasTargetKeys && hasValue;
}

/** A text that looks like a credential, has several lines or unusual characters is never public. */
function addPiece({ range }: ParsedNode, isPublic: boolean, { text, pieces }: PieceList): void {
  const [start, end] = range;
  if (end <= start) return;
  const content = text.slice(start, end);
  pieces.push({ start, end, isPublic: isPublic && isOrdinary(content) });
}

function isOrdinary(text: string): boolean {
  if (!/^[\w ./:*?'"^$+(){}|[\]\\-]{1,200}$/.test(text) || findSuspects(text, true).length > 0) return false;
  // In a damaged file, an address may end within its password.
  return !text.includes('://') || /^["']?[a-z]+:\/\/[\w.-]+(?::\d+)?(?:\/[\w./-]*)?["']?$/.test(text);
}

function unquoted(text: string): string {
  return text.replace(/^(["'])(.*)\1$/, '$2');
}

interface ShownLine {
  readonly line: string;
  readonly caretAt: number;
  readonly width: number;
}

/** Cuts a long line at both ends, so that the caret stays visible. */
function trimmed({ line, caretAt, width }: ShownLine): Pick<Excerpt, 'line' | 'caret'> {
  const from = Math.max(0, Math.min(caretAt - MAX_WIDTH / 2, line.length - MAX_WIDTH));
  const [left, right] = [from > 0 ? '…' : '', from + MAX_WIDTH < line.length ? '…' : ''];
  const caretFrom = Math.max(0, caretAt - from) + left.length;
  return {
    line: `${left}${line.slice(from, from + MAX_WIDTH)}${right}`,
    caret: ' '.repeat(caretFrom) + '^'.repeat(Math.max(1, Math.min(width, MAX_WIDTH - caretFrom))),
  };
}
