import type { TxtDocumentNode, TxtNode } from '@textlint/ast-node-types';
import type { TextlintPluginCreator } from '@textlint/types';
import { type Comment, parseSync, Visitor } from 'oxc-parser';

// A textlint plugin for TypeScript and JavaScript. Comments, test names and messages become paragraphs.

type Range = readonly [start: number, end: number];

const TEST_FUNCTIONS = new Set(['describe', 'it', 'test']);
/** Matches the string literals that contain a message. Names, paths and formats do not match. */
const MESSAGE = /^[^<>{}=;]*[A-Za-z]{2,} [a-z$]{2,} [A-Za-z$`]/;
/** Matches SQL, shell and Lua in template literals. */
const CODE =
  /\b(?:create|select|insert into|update|delete from|values|with) .*\n.*[(,]|local \w+ =|\bfi\b|\bend\b\n/i;

interface Callee {
  readonly type: string;
  readonly name?: string;
  readonly object?: Callee;
  readonly callee?: Callee;
}

/** Returns the name of the called function: `describe` for `describe.each(table)`, `it` for `it.skipIf(x)`. */
function functionName(callee: Callee): string | undefined {
  const inner = callee.object ?? callee.callee;
  return inner === undefined ? callee.name : functionName(inner);
}

function sourceRanges(path: string, text: string): Range[] {
  const { comments, program } = parseSync(path, text);
  const ranges = commentRanges(text, comments);
  const isTest = path.startsWith('test/');
  new Visitor({
    CallExpression(node) {
      const [first] = node.arguments;
      const name = functionName(node.callee as Callee);
      if (!isTest || name === undefined || !TEST_FUNCTIONS.has(name)) return;
      if (first?.type === 'Literal' || first?.type === 'TemplateLiteral')
        ranges.push([first.start + 1, first.end - 1]);
    },
    Literal(node) {
      if (!isTest && typeof node.value === 'string' && MESSAGE.test(node.value))
        ranges.push([node.start + 1, node.end - 1]);
    },
    TemplateLiteral(node) {
      const content = text.slice(node.start + 1, node.end - 1);
      if (isTest || !MESSAGE.test(content) || CODE.test(content)) return;
      // Each indented line of a help text is a table row, so check it separately.
      let start = node.start + 1;
      for (const block of content.split(/(?<=\n)(?=\s{2,}\S|\s*\n)/)) {
        if (block.trim() !== '') ranges.push([start, start + block.length]);
        start += block.length;
      }
    },
  }).visit(program);
  return ranges.sort((a, b) => a[0] - b[0]);
}

/**
 * Returns the ranges of comments. Adjacent line comments form one range. Skips comments that are directives for tools.
 */
function commentRanges(text: string, comments: readonly Comment[]): Range[] {
  const ranges: Range[] = [];
  for (const { type, start, end, value } of comments) {
    if (/^\s*(?:biome-ignore|@ts-|#__PURE__)/.test(value) || (start === 0 && text.startsWith('#!'))) continue;
    const previous = ranges.at(-1);
    const isContinued =
      type === 'Line' && previous !== undefined && /^\n[ \t]*$/.test(text.slice(previous[1], start));
    if (isContinued) ranges[ranges.length - 1] = [previous[0], end];
    else ranges.push([start, end]);
  }
  return ranges;
}

function document(text: string, ranges: readonly Range[]): TxtDocumentNode {
  const lines = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  const position = (offset: number): { line: number; column: number } => {
    let [low, high] = [0, lines.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((lines[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (lines[low] ?? 0) };
  };
  const node = (
    type: 'Document' | 'Paragraph',
    [start, end]: Range,
    children?: readonly TxtNode[],
  ): TxtNode => ({
    type,
    raw: text.slice(start, end),
    range: [start, end],
    loc: { start: position(start), end: position(end) },
    ...(children === undefined ? {} : { children }),
  });
  const paragraphs = ranges.map((range) => node('Paragraph', range, []));
  return node('Document', [0, text.length], paragraphs) as TxtDocumentNode;
}

export const sourcePlugin: TextlintPluginCreator = {
  Processor: class {
    availableExtensions(): string[] {
      return ['.ts', '.js'];
    }
    processor() {
      return {
        preProcess: (text: string, path = 'source.ts') => document(text, sourceRanges(path, text)),
        postProcess: (messages: never[], path = 'source.ts') => ({ messages, filePath: path }),
      };
    }
  },
};
