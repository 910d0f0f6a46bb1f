import { z } from 'zod';
import { isNamePattern, matchesPattern } from '../../sync/find.ts';
import { isSmallPattern, MOST_STEPS } from '../../sync/pattern.ts';

/** A regular expression that can be matched in linear time: https://github.com/google/re2/wiki/Syntax */
export function linearRegExp() {
  return z
    .string()
    .min(1)
    .refine(isSmallPattern, {
      error: `a regular expression of at most ${MOST_STEPS} characters with its repetitions written out, such as \`aaa\` for \`a{3}\``,
      abort: true,
    })
    .refine(isNamePattern, {
      error:
        'a regular expression of linear time (RE2): without look-around such as `(?=` or `(?<!`, and without back-references such as `\\1`',
    });
}

/** Anywhere in the text, as Go's `MatchString` does it; what is no such expression matches nothing. */
export function matchesRegExp(pattern: string, text: string): boolean {
  return matchesPattern(pattern, text);
}
