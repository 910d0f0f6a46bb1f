import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Excerpt } from '../../config/excerpt.ts';
import type { Problem } from '../../config/problem.ts';
import { toPrintable } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';
import { count, type Paint } from './output.ts';

/** The limit keeps the output readable. Each problem has its place anyway. */
const MAX_EXCERPTS = 100;

/**
 * Formats problems like compilers do: with the place, so that editors and terminals show it as a link, and with the line
 * of the file.
 *
 * @param folder The folder that relative paths of files start from. Undefined if the problems are not about files here.
 */
export async function problemsText(
  problems: readonly Problem[],
  paint: Paint,
  folder?: string,
): Promise<string> {
  // Load the schema and the YAML library only if there are problems.
  const { createExcerpts } = await import('../../config/excerpt.ts');
  const excerptOf = createExcerpts((file) =>
    folder === undefined ? undefined : readText(resolve(folder, file)),
  );
  const lines = problems.flatMap((problem, index) => [
    ...problemLines(problem, paint),
    ...(index < MAX_EXCERPTS ? excerptLines(excerptOf(problem), paint) : []),
  ]);
  return [...lines, '', `The configuration has ${count(problems.length, 'problem')}.`].join('\n');
}

function problemLines({ file, line, column, path, code, message, suggestion }: Problem, paint: Paint) {
  return [
    `${paint('bold', `${toPrintable(file)}:${line}:${column}`)}  ${paint('red', code)}${path === '' ? '' : `  ${paint('cyan', path)}`}`,
    `  ${toPrintable(message)}`,
    ...(suggestion === undefined ? [] : [`  ${paint('green', suggestion)}`]),
  ];
}

function excerptLines(excerpt: Excerpt | undefined, paint: Paint): readonly string[] {
  if (excerpt === undefined) return [];
  const number = String(excerpt.number).padStart(6);
  return [
    `${paint('dim', `${number} |`)} ${excerpt.line}`,
    `${paint('dim', `${' '.repeat(number.length)} |`)} ${paint('red', excerpt.caret)}`,
  ];
}

/** Returns undefined for a file that cannot be read, because the problem already says so. */
function readText(path: string): string | undefined {
  try {
    return statSync(path).isFile() ? readFileSync(path, 'utf8').replace(/^\uFEFF/, '') : undefined;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}
