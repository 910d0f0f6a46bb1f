import type { Place } from '../problem.ts';

// Describes the errors of the YAML parser in our own words, because the library's messages may quote the file.

export const TAB = 'a tab is used for indentation; YAML allows spaces only';

const MESSAGES: Readonly<Partial<Record<string, string>>> = {
  BAD_ALIAS: 'an alias (`*`) without a name; put the text in quotes if the asterisk is part of it',
  BAD_DIRECTIVE: 'a line that starts with `%` is a YAML directive, which is not supported here',
  BAD_DQ_ESCAPE: 'an unknown escape after a backslash in double quotes; use single quotes or write `\\\\`',
  BAD_INDENT:
    'the indentation does not match the lines above, or an earlier bracket (`{`, `[`) is not closed',
  BAD_SCALAR_START: 'text cannot start with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second `: ` on this line; put the text in quotes if the colon is part of it',
  BLOCK_IN_FLOW: 'a block inside brackets; write it in brackets too, or close the brackets before it',
  KEY_OVER_1024_CHARS: 'a name of more than 1024 characters',
  MISSING_CHAR:
    'something is missing here or before: a closing quote or bracket, a comma, `: ` or a space; or a line has the wrong indentation',
  MULTILINE_IMPLICIT_KEY: 'a name spans several lines; is a `:` or a closing quote missing?',
  MULTIPLE_DOCS: 'several documents where one is expected; separate them with a line `---`',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: TAB,
  UNEXPECTED_TOKEN: 'this is not allowed here; check the indentation, quotes and brackets',
};

/** Codes whose place and message are exact, so that no other cause needs to be searched. */
const EXACT: ReadonlySet<string> = new Set([
  'BAD_ALIAS',
  'BAD_DIRECTIVE',
  'BAD_DQ_ESCAPE',
  'BAD_SCALAR_START',
  'KEY_OVER_1024_CHARS',
  'RESOURCE_EXHAUSTION',
  'TAB_AS_INDENT',
]);

export interface SyntaxProblem {
  readonly place: Place;
  readonly message: string;
  /** Whether the place is known to be the cause, and not a consequence of an earlier mistake. */
  readonly isExact?: true;
}

export interface SyntaxMessage extends Pick<SyntaxProblem, 'message' | 'isExact'> {
  /** The column of the cause, if it is not the column of the error. */
  readonly column?: number;
}

/**
 * @param code The code of the library's error.
 * @param rest The text from the place of the error to the end of its line.
 */
export function syntaxMessage(code: string, rest: string, line: string): SyntaxMessage {
  if (/^(?:<{7}|={7}|>{7}|\|{7})(?: |$)/.test(line))
    return { message: 'a merge conflict marker; resolve the conflict first', isExact: true };
  const dash = /^\s*-(?=[A-Za-z_])/.exec(line);
  if (dash !== null)
    return { message: 'a space is missing after the dash', isExact: true, column: dash[0].length };
  if (code === 'MULTILINE_IMPLICIT_KEY' && /^[A-Za-z][\w.-]*:[^\s/]/.test(rest))
    return { message: 'a space is missing after the colon', isExact: true };
  if (code === 'UNEXPECTED_TOKEN' && /^[}\]]/.test(rest))
    return { message: 'a closing bracket without an opening bracket', isExact: true };
  if (code === 'BLOCK_IN_FLOW')
    return { message: 'a comma is missing before the last name, or a bracket is not closed' };
  const message = MESSAGES[code] ?? `this is not valid YAML (${code})`;
  return EXACT.has(code) ? { message, isExact: true } : { message };
}
