import { stripVTControlCharacters } from 'node:util';

/**
 * Breaks lines that are wider than the terminal at spaces. Continuation lines are indented. A word that is longer than
 * a line is not broken.
 */
export function wrapLines(text: string, columns: number): string {
  return text
    .split('\n')
    .map((line) => (widthOf(line) <= columns ? line : wrapped(line, columns)))
    .join('\n');
}

function wrapped(line: string, columns: number): string {
  const indent = Math.min((/^ */.exec(line)?.[0].length ?? 0) + 2, Math.floor(columns / 3));
  const lines: string[] = [];
  let current = '';
  for (const [part] of line.matchAll(/ *[^ ]+/g)) {
    if (current === '' || widthOf(current) + widthOf(part) <= columns) current += part;
    else {
      lines.push(current);
      current = ' '.repeat(indent) + part.trimStart();
    }
  }
  return [...lines, current].join('\n');
}

/** Ignore color codes, which have no width. */
function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}
