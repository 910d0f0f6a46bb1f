import { z } from 'zod';
import { isNamePattern, matchesPattern } from '../../sync/find.ts';
import { isSmallPattern, MAX_STEPS } from '../../sync/pattern.ts';

/** A regular expression with linear matching time: https://github.com/google/re2/wiki/Syntax */
export function linearRegExp() {
  return z
    .string()
    .min(1)
    .refine(isSmallPattern, {
      error: `a regular expression of at most ${MAX_STEPS} characters, with repetitions written out, such as \`aaa\` for \`a{3}\``,
      abort: true,
    })
    .refine(isNamePattern, {
      error:
        'a regular expression with linear matching time (RE2): no look-around such as `(?=` or `(?<!`, and no back-references such as `\\1`',
    });
}

/** Matches anywhere in the text, like Go's `MatchString`. An invalid expression matches nothing. */
export function matchesRegExp(pattern: string, text: string): boolean {
  return matchesPattern(pattern, text);
}
