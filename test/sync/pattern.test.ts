import fc from 'fast-check';
import { RE2JS, RE2JSSyntaxException } from 're2js';
import { describe, expect, it } from 'vitest';
import { compilePattern, isSmallPattern, MAX_STEPS } from '../../src/sync/pattern.ts';

describe('search pattern', () => {
  it.each([
    ['a{1000}'.repeat(11)],
    ['(?:[a-z]|\\d{3,}){1000}'.repeat(4)],
    ['(?:(?:x{30}){30}y){1}'.repeat(20)],
    ['\\pL{1000}\\p{Greek}{1,1000}'.repeat(6)],
    ['[[:alpha:]\\]{5}]{900,}'.repeat(12)],
    ['a'.repeat(MAX_STEPS + 1)],
    [`${'('.repeat(9_000)}${'a?'.repeat(2_000)}`],
    // Quoted text starts neither a character class nor a group.
    [`\\Q[\\E${'a{1000}'.repeat(11)}`],
    [`\\Q[\\E${'a{1000}'.repeat(11)}]`],
    [`(?:${'a'.repeat(200)}\\Q(\\E${'b'.repeat(10)}){100}`],
    // Flags and empty quotes cannot be repeated, so the count `{100}` applies to the group in front of them.
    [`(?:${'a'.repeat(110)})(?i){100}`],
    [`(?:${'a'.repeat(110)})\\Q\\E{100}`],
  ])('a search pattern is not compiled if it is too complex: %s', (text) => {
    expect(isSmallPattern(text)).toBe(false);
    expect(compilePattern(text)).toBe('invalid');
  });

  it.each([
    '^flag-',
    'a{1000}',
    '^([a-z0-9]{1,63}\\.){1,4}[a-z]{2,63}$',
    `^(?:${Array.from({ length: 900 }, (_, n) => `name-${n}`).join('|')})$`,
    '[]a{2}]{3}',
    '\\Qa{1000}\\E',
    `\\Q${'a{1000}'.repeat(20)}\\E`,
    '\\Q[(a{1000}\\E{2}',
    '(?i)a(?-i)\\Q[b',
    'a{,5}b{x}',
  ])('a search pattern is compiled if it is long but not complex: %s', (text) => {
    expect(isSmallPattern(text)).toBe(true);
    expect(compilePattern(text)).toBeInstanceOf(RE2JS);
  });

  it('the size of a search pattern is estimated accurately before the pattern is compiled', () => {
    const atom = fc.constantFrom(
      'a',
      '.',
      '\\d',
      '\\pL',
      '\\p{Greek}',
      '\\x{41}',
      '[a-z]',
      '[^]{9}]',
      '\\{',
      'é',
      '\\Q[(\\E',
      '\\Q\\E',
      '(?i)',
    );
    const { pattern } = fc.letrec<{ pattern: string; piece: string; group: string }>((tie) => ({
      piece: fc
        .tuple(
          fc.oneof({ maxDepth: 3 }, atom, tie('group')),
          fc.oneof(
            fc.constantFrom('', '', '', '*', '+', '?'),
            fc.integer({ min: 1, max: 40 }).map((n) => `{${n}}`),
            fc
              .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 5, max: 30 }))
              .map(([n, m]) => `{${n},${m}}`),
            fc.integer({ min: 0, max: 30 }).map((n) => `{${n},}`),
          ),
        )
        .map(([one, times]) => one + times),
      group: tie('pattern').map((inner) => `(?:${inner})`),
      pattern: fc
        .array(fc.oneof(tie('piece'), fc.constant('|')), { maxLength: 5 })
        .map((all) => all.join('')),
    }));
    fc.assert(
      fc.property(pattern, (text) => {
        const compiled = compilePattern(text);
        // An accepted pattern has at most three instructions for each step, plus a few at its start and end.
        if (compiled !== 'invalid') expect(compiled.programSize()).toBeLessThan(3 * MAX_STEPS);
        else if (!isSmallPattern(text)) expect(sizeOf(text)).toBeGreaterThan(MAX_STEPS / 20);
      }),
      { numRuns: 300 },
    );
  });

  it('the cache of search patterns has a limited size, so that many patterns do not fill the memory', () => {
    const many = Array.from({ length: 30 }, (_, n) => `x${n}${'a{1000}'.repeat(8)}`);
    const first = compilePattern('kept');
    expect(compilePattern('kept')).toBe(first);
    for (const text of many) expect(compilePattern(text)).toBeInstanceOf(RE2JS);
    expect(compilePattern('kept')).not.toBe(first);
  });
});

/** Returns the size of the compiled pattern, or infinity if the engine rejects the pattern. */
function sizeOf(text: string): number {
  try {
    return RE2JS.compile(text).programSize();
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return Number.POSITIVE_INFINITY;
    throw error;
  }
}
