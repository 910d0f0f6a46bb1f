import type { Problem } from '../../config/problem.ts';
import { shown } from '../../core/shown.ts';
import { count, type Paint } from './output.ts';

/** Problems of a configuration, as compilers print theirs: editors and terminals make the places links. */
export function problemsText(problems: readonly Problem[], paint: Paint): string {
  const lines = problems.flatMap(({ file, line, column, path, code, message, suggestion }) => [
    `${paint('bold', `${shown(file)}:${line}:${column}`)}  ${paint('red', code)}${path === '' ? '' : `  ${paint('cyan', path)}`}`,
    `  ${shown(message)}`,
    ...(suggestion === undefined ? [] : [`  ${paint('green', suggestion)}`]),
  ]);
  return [...lines, '', `The configuration has ${count(problems.length, 'problem')}.`].join('\n');
}
