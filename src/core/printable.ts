/** Control characters, line ends, and characters that are invisible or change the text direction. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Makes a text that may contain names from outside safe to print on one line. Unprintable characters are escaped, for
 * example as `\u{1B}`.
 */
export function toPrintable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter);
}

/** @param character One character. */
export function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
}
