import { createRequire } from 'node:module';
import type { Writable } from 'node:stream';
import { stripVTControlCharacters, styleText } from 'node:util';
import type * as Yaml from 'yaml';
import { isErrorCode } from '../../core/error-codes.ts';
import { type AppError, escapeCharacter, toAppError } from '../../core/errors.ts';
import { createLogger } from '../../telemetry/logger.ts';
import type { Context, GlobalOptions } from '../context.ts';

// Load the package only when it is needed: without it, `--help` takes half the time. Load it synchronously, because the
// functions that print results are synchronous.
const load = createRequire(import.meta.url);

/** The result of a command. `data` is for programs, `human` for people. */
export interface CommandOutput {
  readonly data: object;
  readonly human: (paint: Paint) => string;
  /** For commands with `--output markdown`. */
  readonly markdown?: () => string;
  /** Whether to print the human output without line breaks. Set if other programs parse this output too. */
  readonly verbatim?: true;
}

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';
export type Paint = (style: Style, text: string) => string;

/** Prints the result of a command on stdout. */
export function print(context: Context, output: GlobalOptions['output'], answer: CommandOutput): void {
  context.stdout.write(`${format(context, output, answer).replace(/\n+$/, '')}\n`);
}

function format(
  { color, columns }: Context,
  output: GlobalOptions['output'],
  { data, human, markdown, verbatim }: CommandOutput,
): string {
  if (output === 'markdown' && markdown !== undefined) return escapeControlCharacters(markdown(), false);
  if (output === 'json') return JSON.stringify(data, null, 2);
  if (output === 'yaml') {
    const { stringify } = load('yaml') as typeof Yaml;
    // Quote texts that YAML 1.1 does not read as strings, such as `on` and `0755`. kubectl and many other tools read
    // YAML 1.1.
    return stringify(data, { aliasDuplicateObjects: false, compat: 'yaml-1.1' });
  }
  if (verbatim) return human(painter(color));
  const text = escapeControlCharacters(human(painter(color)), color);
  return columns === undefined ? text : wrapLines(text, columns);
}

/** Names come from users, so escape all control sequences except our own colors. */
function escapeControlCharacters(text: string, color: boolean): string {
  return text.replace(/\u001b\[\d\d?m|[^\n\t\P{C}]/gu, (match) => {
    if (match.length > 2) return color ? match : `${escapeCharacter(match)}${match.slice(1)}`;
    return escapeCharacter(match);
  });
}

/** Whether standard output must contain exactly one object. */
export function isForPrograms(output: GlobalOptions['output']): boolean {
  return output === 'json' || output === 'yaml';
}

/** Prints a message on stderr, in addition to the result on stdout. */
export function printNotice({ stderr, interactive, width, color }: Context, text: string): void {
  const line = escapeControlCharacters(text, color);
  stderr.write(`${interactive ? wrapLines(line, width) : line}\n`);
}

export function painter(color: boolean): Paint {
  return (style, text) => (color ? styleText(style, text, { validateStream: false }) : text);
}

/** Returns the remedy of an error for the user of a command. Unlike the service, a command does not try again. */
export function commandRemedy(remedy: string): string {
  return remedy.replace(/^No action needed\. (?=If the error persists)/, 'Run the command again. ');
}

/**
 * Prints the error that ended a command. For people, it is printed on stderr. For programs, it is the only object on
 * stdout.
 */
export function printError(
  context: Context,
  output: GlobalOptions['output'],
  error: Pick<AppError, 'message' | 'remedy'> & { readonly code: string; toJSON(): object },
): void {
  const { code, message, remedy } = error;
  if (isForPrograms(output)) print(context, output, { data: { error: error.toJSON() }, human: () => '' });
  const paint = painter(context.color);
  printNotice(context, `${paint('red', 'error')} ${code}: ${message}\n  ${commandRemedy(remedy)}`);
  printErrorHint(context, output, [code]);
  if (code === 'INTERNAL') printStack(context.stderr, error);
}

/**
 * Prints a hint to the command that explains the first of these codes. Prints nothing with JSON or YAML output, because
 * such output is for programs.
 */
export function printErrorHint(
  context: Context,
  output: GlobalOptions['output'],
  codes: readonly (string | undefined)[],
): void {
  const code = codes.find((candidate) => isErrorCode(candidate));
  if (output === 'human' && code !== undefined) printNotice(context, errorHint(code));
}

function errorHint(code: string): string {
  return `Run "secretbridge explain-error ${code}" for details.`;
}

/** Prints an unexpected error without its own message. For a bug report, prints the stack locations in our code. */
export function printInternal(stderr: Writable, thrown: unknown): void {
  const { code, message, remedy } = toAppError(thrown);
  stderr.write(`error ${code}: ${message}\n  ${remedy}\n${errorHint(code)}\n`);
  printStack(stderr, thrown);
}

function printStack(stream: Writable, error: unknown): void {
  createLogger({ level: 'error', format: 'text', stream }).error('unexpected error', { error });
}

/** Formats a table. The last column is not padded. */
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

/** Returns a number with its noun: `1 target`, `2 targets`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Shortens a fingerprint for display. */
export function shortFingerprint(fingerprint: string): string {
  return fingerprint.replace(/^([0-9a-f]{8}):([0-9a-f]{8}).*$/, '$2…');
}

/**
 * Breaks each line that is wider than the terminal. Breaks lines only at spaces, and indents continuation lines. Does
 * not break a word that is longer than a line.
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

export interface Progress extends Disposable {
  /** Shows progress. On a terminal, updates a single line. Otherwise prints a new line every few seconds. */
  step(done: number, total: number, what: string): void;
}

/** Writes progress to stderr, so that stdout contains only the result. */
export function createProgress({ stderr, interactive, width, clock }: Context, title: string): Progress {
  let shownAt = Number.NEGATIVE_INFINITY;
  const interval = interactive ? 50 : 5_000;
  return {
    step(done, total, what) {
      const last = done === total;
      if (!last && clock.now() - shownAt < interval) return;
      shownAt = clock.now();
      const line = `${title} ${done}/${total}${last ? '' : `  ${what}`}`;
      stderr.write(interactive ? `\r\u001b[2K${line.slice(0, width - 1)}` : `${line}\n`);
    },
    [Symbol.dispose]() {
      if (interactive && shownAt > 0) stderr.write('\r\u001b[2K');
    },
  };
}

/**
 * Formats an age: `12s ago`, `3m ago`, `5h ago`, `2d ago`. The clocks of two machines can differ, so a negative age is
 * shown as 0.
 */
export function ago(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole}s ago`;
  if (whole < 7_200) return `${Math.round(whole / 60)}m ago`;
  if (whole < 172_800) return `${Math.round(whole / 3_600)}h ago`;
  return `${Math.round(whole / 86_400)}d ago`;
}
