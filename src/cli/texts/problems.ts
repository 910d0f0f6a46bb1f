import type { Problem } from '../../config/problem.ts';
import { toPrintable } from '../../core/errors.ts';
import { count, type Paint } from './output.ts';

/** Formats problems like compilers do, so that editors and terminals show their locations as links. */
export function problemsText(problems: readonly Problem[], paint: Paint): string {
  const lines = problems.flatMap(({ file, line, column, path, code, message, suggestion }) => [
    `${paint('bold', `${toPrintable(file)}:${line}:${column}`)}  ${paint('red', code)}${path === '' ? '' : `  ${paint('cyan', path)}`}`,
    `  ${toPrintable(message)}`,
    ...(suggestion === undefined ? [] : [`  ${paint('green', suggestion)}`]),
  ]);
  return [...lines, '', `The configuration has ${count(problems.length, 'problem')}.`].join('\n');
}
