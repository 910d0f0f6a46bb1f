/** What paints on a terminal, turns the text beside it, ends its line or shows nothing. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** A text in which names of others may stand, on one line: what cannot be seen in it is written out, as `\u{1B}`. */
export function shown(text: string): string {
  return text.replace(HIDDEN, written);
}

/** @param hidden One character. */
export function written(hidden: string): string {
  return `\\u{${(hidden.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
}
