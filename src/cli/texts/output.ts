import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { styleText } from 'node:util';
import type * as Yaml from 'yaml';
import { type AppError, toAppError } from '../../core/errors.ts';
import { written } from '../../core/shown.ts';
import { createLogger } from '../../log/logger.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { wrapLines } from './wrap.ts';

// Half of the time that `--help` would take. Without a promise, since a result is printed at once.
const load = createRequire(import.meta.url);

/** A result for a machine, and the same for a person. */
export interface Answer {
  readonly data: object;
  readonly human: (paint: Paint) => string;
  /** Other programs read it too: a terminal that is too narrow changes nothing in it. */
  readonly verbatim?: true;
}

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';
export type Paint = (style: Style, text: string) => string;

/** Prints the one result on stdout. */
export function print(context: Context, output: GlobalOptions['output'], answer: Answer): void {
  context.stdout.write(`${format(context, output, answer).replace(/\n+$/, '')}\n`);
}

function format(
  { color, columns }: Context,
  output: GlobalOptions['output'],
  { data, human, verbatim }: Answer,
): string {
  if (output === 'json') return JSON.stringify(data, null, 2);
  if (output === 'yaml') {
    const { stringify } = load('yaml') as typeof Yaml;
    // kubectl and many others read YAML 1.1, where `on` and `0755` are no text.
    return stringify(data, { aliasDuplicateObjects: false, compat: 'yaml-1.1' });
  }
  if (verbatim) return human(painter(color));
  const text = harmless(human(painter(color)), color);
  return columns === undefined ? text : wrapLines(text, columns);
}

/** Names are other people's words: of what paints or moves on a terminal, our colours alone pass. */
function harmless(text: string, color: boolean): string {
  return text.replace(/\u001b\[\d\d?m|[^\n\t\P{C}]/gu, (it) => {
    if (it.length > 2) return color ? it : `${written(it)}${it.slice(1)}`;
    return written(it);
  });
}

/** What a person reads beside the result. */
export function tell({ stderr, interactive, width, color }: Context, text: string): void {
  const line = harmless(text, color);
  stderr.write(`${interactive ? wrapLines(line, width) : line}\n`);
}

export function painter(color: boolean): Paint {
  return (style, text) => (color ? styleText(style, text, { validateStream: false }) : text);
}

/** What ended a command: on stderr for a person, and as the one object on stdout for a machine. */
export function printError(
  context: Context,
  output: GlobalOptions['output'],
  error: Pick<AppError, 'message' | 'todo'> & { readonly code: string; toJSON(): object },
): void {
  const { code, message, todo } = error;
  if (output !== 'human') print(context, output, { data: { error: error.toJSON() }, human: () => '' });
  const paint = painter(context.color);
  tell(context, `${paint('red', 'error')} ${code}: ${message}\n  ${todo}`);
  if (code === 'INTERNAL') printPlaces(context.stderr, error);
}

/** What nobody expected, without a word of its own: only the places in our code, so that somebody can mend it. */
export function printInternal(stderr: Writable, thrown: unknown): void {
  const { code, message, todo } = toAppError(thrown);
  stderr.write(`error ${code}: ${message}\n  ${todo}\n`);
  printPlaces(stderr, thrown);
}

function printPlaces(stream: Writable, error: unknown): void {
  createLogger({ level: 'error', format: 'text', stream }).error('unexpected failure', { error });
}

/** Columns as wide as their widest cell; the last one is left as it is. */
export function table(rows: readonly (readonly string[])[], gap = '  '): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  return rows
    .map((row) =>
      row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(gap),
    )
    .join('\n');
}

/** `1 target`, `2 targets`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** A fingerprint short enough to compare by eye. */
export function shortFingerprint(fingerprint: string): string {
  return fingerprint.replace(/^([0-9a-f]{8}):([0-9a-f]{8}).*$/, '$2…');
}
