import { AppError } from '../core/errors.ts';
import { isTargetKey, type Rename } from '../core/mapping.ts';
import { compilePattern, patternSteps } from './pattern.ts';

/** One pattern of `rename`. */
type NamePattern = NonNullable<Rename['patterns']>[number];

/** The maximum size of all patterns of one `rename`, because they run for each name in the thread of the service. */
const MAX_NAME_STEPS = 100;
/** Patterns do not change longer names, which are no valid keys. */
const MAX_NAME_LENGTH = 1_000;

/**
 * Makes the target key from a name in a store. Applies `patterns`, `case`, `replace`, `prefix` and `invalid`, in this
 * order.
 */
export function targetKey(name: string, rename: Rename | undefined, subject: string): string {
  const rewritten = (rename?.patterns ?? []).reduce(rewrite, name);
  const cased =
    rename?.case === 'upper'
      ? rewritten.toUpperCase()
      : rename?.case === 'lower'
        ? rewritten.toLowerCase()
        : rewritten;
  const { from, to } = rename?.replace ?? { from: '', to: '' };
  // Pass a function, because `$&` and similar patterns have a special meaning in a replacement text.
  const replaced = from === '' ? cased : cased.replaceAll(from, () => to);
  const prefixed = `${rename?.prefix ?? ''}${replaced}`;
  const key = rename?.invalid === 'replace' ? replaceInvalid(prefixed) : prefixed;
  if (!isTargetKey(key)) throw new AppError('KEY_INVALID', { subject, detail: `key ${JSON.stringify(key)}` });
  return key;
}

function replaceInvalid(name: string): string {
  const allowed = name.replace(/[^-._a-zA-Z0-9]/gu, '_');
  return allowed === '.' || allowed.startsWith('..') ? `_${allowed.slice(1)}` : allowed;
}

/** Replaces each match, like Go's `ReplaceAllString`: an empty match directly after another match does not count. */
function rewrite(name: string, { match, to }: NamePattern): string {
  const pattern = compilePattern(match);
  if (pattern === 'invalid' || name.length > MAX_NAME_LENGTH) return name;
  const matcher = pattern.matcher(name);
  let result = '';
  let end = 0;
  let isAfterMatch = false;
  while (matcher.find()) {
    const isEmpty = matcher.start() === matcher.end();
    if (isEmpty && isAfterMatch && matcher.start() === end) continue;
    result += name.slice(end, matcher.start()) + expand(to, (group) => matcher.group(group) ?? '');
    end = matcher.end();
    isAfterMatch = true;
  }
  return result + name.slice(end);
}

/** `$1` and `$name` are groups, whose names are as long as possible. `${1}` and `${name}` separate them from text. */
const REFERENCE = /\$(?:\$|(\w+)|\{(\w+)\})/g;

function expand(to: string, textOf: (group: string | number) => string): string {
  return to.replace(REFERENCE, (_, plain?: string, inBraces?: string) => {
    const name = plain ?? inBraces;
    return name === undefined ? '$' : textOf(groupOf(name));
  });
}

function groupOf(name: string): string | number {
  return /^\d+$/.test(name) ? Number(name) : name;
}

/** Returns what is wrong with the patterns of a `rename`, with the index of the wrong one. */
export function findPatternProblem(
  patterns: readonly NamePattern[],
): { readonly index: number; readonly field: 'match' | 'to'; readonly expected: string } | undefined {
  const steps = patterns.reduce((sum, { match }) => sum + patternSteps(match), 0);
  if (steps > MAX_NAME_STEPS)
    return {
      index: patterns.length - 1,
      field: 'match',
      expected: `regular expressions of at most ${MAX_NAME_STEPS} characters together, with repetitions written out`,
    };
  for (const [index, { match, to }] of patterns.entries()) {
    const pattern = compilePattern(match);
    if (pattern === 'invalid')
      return {
        index,
        field: 'match',
        expected: 'a regular expression without look-around and back-references',
      };
    const names = pattern.namedGroups();
    const isKnown = (name: string) =>
      /^\d+$/.test(name) ? Number(name) <= pattern.groupCount() : Object.hasOwn(names, name);
    const references = [...to.matchAll(REFERENCE)].flatMap(([, plain, inBraces]) => plain ?? inBraces ?? []);
    if (!references.every(isKnown))
      return {
        index,
        field: 'to',
        expected: 'a text with groups of `match`, such as `$1`, and `$$` for `$`',
      };
  }
  return undefined;
}
