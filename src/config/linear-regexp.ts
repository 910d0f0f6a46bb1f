import { z } from 'zod';

/** A regular expression that can be matched in linear time: https://github.com/google/re2/wiki/Syntax */
export function linearRegExp() {
  return z
    .string()
    .min(1)
    .refine(isRegExp, { error: 'a regular expression; this one cannot be parsed', abort: true })
    .refine(isLinear, {
      error:
        'a regular expression of linear time: without look-around such as `(?=` or `(?<!`, and without back-references such as `\\1`',
    });
}

function isRegExp(source: string): boolean {
  try {
    new RegExp(source, 'u');
    return true;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return false;
  }
}

function isLinear(source: string): boolean {
  // Escapes and character classes are taken whole, so that what they hide is not mistaken for syntax.
  const tokens = source.matchAll(/\\(?:k<|[1-9]|[\s\S])|\[(?:\\[\s\S]|[^\]\\])*\]|\(\?<?[=!]/gu);
  return ![...tokens].some(([token]) => /^\(\?<?[=!]|^\\(?:k<|[1-9])$/.test(token));
}
