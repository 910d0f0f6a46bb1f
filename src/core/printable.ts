/** Control characters, line breaks, and characters that are invisible or change the text direction. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Makes a text with names from outside safe to print on one line. Escapes unprintable characters, for example as
 * `\u{1B}`.
 */
export function toPrintable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter);
}

/** @param character A single character. */
export function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
}
